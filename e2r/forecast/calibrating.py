"""Measures a machine with a model: passes over tokens and calls, decoding steps, loading."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import product
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Any, Literal

from e2r.errors import DataError
from e2r.flops.architecture import Architecture
from e2r.forecast.calibration import Calibration, Point
from e2r.prompts.request import Classify, Generate, Labels, Reply, Request
from e2r.prompts.template import Message
from e2r.records.environment import code_version, environment
from e2r.records.spec import ExecutionSpec, ModelSpec

if TYPE_CHECKING:
    from e2r.models.network.transformers import TransformersModel

LENGTHS = (32, 96, 256, 700, 2000, 6000)
"""Prompt tokens that are tried, as many as the model reads and a batch holds."""
CALLS = (1, 4, 16, 64)
CONTEXTS = (64, 250, 1000)
STEPS = 9
"""New tokens of a measured answer: one of the prefill, and eight decoding steps."""
REPEATS = 7
"""Measurements of a point at most; the median counts."""
WORDS = (
    "the river carried grey silt past the mill and the old bridge where children fished for "
    "perch every summer until the water rose and the town moved up the hill "
)


@dataclass(frozen=True)
class _Trial:
    """A pass to measure; of a decoding step, answers with it and `again` without it."""

    phase: Literal["prefill", "decode"]
    calls: int
    requests: tuple[Request, ...]
    again: tuple[Request, ...] = ()


def calibrate(
    spec: ModelSpec,
    execution: ExecutionSpec,
    seconds: float,
    note: Callable[[str], None] = lambda _: None,
) -> Calibration:
    """Measure this machine with a model for so many seconds, loading apart.

    Every point is measured once, the short ones first, then again as long as time is left. Raises
    MissingError where the model is not here, DataError where not even the shortest pass was done.
    """
    from e2r.models.network.transformers import load

    model = load(spec, execution, note)
    began = perf_counter()
    model.prepare()
    loading = perf_counter() - began
    record = model.record()
    if record.architecture is None:
        raise DataError(f"{spec.source}: its config is no architecture that can be priced")
    architecture = Architecture.load(record.architecture)
    peaks = model.peaks()
    trials = _trials(model, architecture)
    taken: dict[int, list[tuple[float, Reply]]] = {}
    _measured(model, trials[0])  # The first pass of all warms caches and kernels up.
    took: dict[int, float] = {}
    began = perf_counter()
    for _ in range(REPEATS):
        for place, trial in enumerate(trials):
            if taken and perf_counter() - began + took.get(place, 0.0) > seconds:
                continue
            start = perf_counter()
            found = _measured(model, trial)
            took[place] = perf_counter() - start
            if found is not None:
                taken.setdefault(place, []).append(found)
    points = tuple(
        _point(trials[place], [span for span, _ in found], found[0][1])
        for place, found in sorted(taken.items())
    )
    if not any(point.phase == "prefill" for point in points):
        raise DataError(
            f"{spec.source}: nothing was measured in {seconds:g} s; give more --seconds"
        )
    here = environment(model.device)
    version = code_version().version
    return Calibration(
        name="here",
        made=datetime.now(UTC).isoformat(timespec="seconds"),
        about={
            "processor": here.processor,
            "device": here.device,
            "threads": here.threads,
            "dtype": record.dtype,
            "packages": {**here.packages, "e2r": version},
            "load": {
                "batch_size": model.batch_size,
                "batch_tokens": model.batch_tokens,
                "load_average": list(os.getloadavg()),
            },
        },
        model=record.name,
        architecture=architecture,
        points=points,
        peak_flops=peaks.flops,
        bandwidth=peaks.bandwidth,
        memory=peaks.memory,
        cache=peaks.cache,
        loading_seconds=max(loading, 1e-6),
    )


def _trials(model: TransformersModel, architecture: Architecture) -> list[_Trial]:
    """What is measured, the shortest first: prefills, and answers of two lengths for the steps."""
    longest = min(architecture.context or LENGTHS[-1], model.batch_tokens)
    full = [(model.batch_tokens // calls, calls) for calls in CALLS]
    found: list[tuple[int, _Trial]] = []
    for length, calls in sorted({*product(LENGTHS, CALLS), *full}):
        tokens = calls * length
        if length <= longest and calls <= model.batch_size and tokens <= model.batch_tokens:
            request = _read(model, length)
            found.append((tokens, _Trial("prefill", calls, (request,) * calls)))
    if architecture.generates:
        for context, calls in product(CONTEXTS, CALLS):
            tokens = calls * context
            if (
                context + STEPS <= longest
                and calls <= model.batch_size
                and tokens <= model.batch_tokens
            ):
                messages = _messages(model, context)
                one, many = (Generate(messages, count) for count in (1, STEPS))
                trial = _Trial("decode", calls, (many,) * calls, (one,) * calls)
                found.append((2 * tokens, trial))
    return [trial for _, trial in sorted(found, key=lambda it: it[0])]


def _read(model: TransformersModel, length: int) -> Request:
    if model.classifies:
        return Classify((Message("query", "grey silt"), Message("passage", _text(model, length))))
    return Labels(_messages(model, length), ("A", "B"))


def _messages(model: TransformersModel, length: int) -> tuple[Message, ...]:
    return (Message("text", _text(model, length)),)


def _text(model: TransformersModel, length: int) -> str:
    """Words of about so many tokens; how many they are a reply says."""
    return model.cut(WORDS * (length // 20 + 1), length)[0]


def _measured(model: TransformersModel, trial: _Trial) -> tuple[float, Reply] | None:
    """Seconds of the pass, or of a step; None where the answer ended before a step."""
    replies = model.reply(trial.requests)
    whole = sum(reply.seconds for reply in replies)
    if not trial.again:
        return whole, replies[0]
    steps = max(reply.generated_tokens for reply in replies) - 1
    if steps < 1:
        return None
    prefill = sum(reply.seconds for reply in model.reply(trial.again))
    step = (whole - prefill) / steps
    return (step, replies[0]) if step > 0 else None


def _point(trial: _Trial, spans: list[float], reply: Reply) -> Point:
    counts: dict[str, Any] = {
        "prompt_tokens": reply.prompt_tokens,
        "decoder_prompt_tokens": reply.decoder_prompt_tokens,
        "generated_tokens": 0 if trial.phase == "prefill" else reply.generated_tokens,
        "head_positions": reply.head_positions,
    }
    return Point(trial.phase, trial.calls, median(spans), **counts)
