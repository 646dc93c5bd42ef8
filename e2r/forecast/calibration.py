"""A measured machine: what passes of a model took there, and what others would take by that.

The file holds facts alone: counts of the measured passes and their seconds, and where they were
measured. Rates are derived from them with the model's own architecture.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from math import log
from pathlib import Path
from typing import Any, Literal

from e2r.borders.reading import json_file, shortened
from e2r.errors import DataError
from e2r.flops.architecture import Architecture
from e2r.flops.estimate import by_unit, estimate, evaluate
from e2r.flops.hardware import Accelerator, least_weight_bytes
from e2r.flops.traffic import traffic
from e2r.flops.work import Usage
from e2r.forecast.demand import Demand

FORMAT = "e2r-calibration-1"
FILE_BYTES = 1 << 20
FRESH_DAYS = 30
"""Days after which a calibration is said to be old."""
COUNTS = (
    "prompt_tokens",
    "decoder_prompt_tokens",
    "generated_tokens",
    "head_positions",
)
ABOUT = ("processor", "device", "threads", "dtype", "packages", "load")


@dataclass(frozen=True)
class Point:
    """A measured pass of `calls` equal calls: a prefill, or one decoding step at a context."""

    phase: Literal["prefill", "decode"]
    calls: int
    seconds: float
    prompt_tokens: int
    decoder_prompt_tokens: int = 0
    generated_tokens: int = 0
    head_positions: int = 1

    def usage(self, mode: str) -> Usage:
        """The counts of one of its calls."""
        return Usage(
            self.prompt_tokens,
            self.generated_tokens,
            decoder_prompt_tokens=self.decoder_prompt_tokens if mode == "decoder" else None,
            head_positions=self.head_positions,
        )


@dataclass(frozen=True, eq=False)
class Calibration:
    """A device as measured with a model; `about` says where and with what (see ABOUT)."""

    name: str
    made: str
    about: dict[str, Any]
    model: str
    architecture: Architecture
    points: tuple[Point, ...]
    peak_flops: float
    bandwidth: float
    memory: float
    cache: float
    loading_seconds: float

    @property
    def dtype(self) -> str:
        """The numbers that the model was measured with."""
        return str(self.about["dtype"])

    @cached_property
    def device(self) -> Accelerator:
        """The machine as an accelerator, whose peaks are the best that was measured on it."""
        return Accelerator(
            self.name,
            max([self.peak_flops, *(rate for _, _, rate in self.prefill_rates)]),
            self.bandwidth,
            self.memory,
            None,
            f"measured on {self.about['processor']} with {self.model} in {self.dtype}",
            self.cache,
        )

    @cached_property
    def prefill_rates(self) -> list[tuple[int, int, float]]:
        """(calls, prompt tokens, achieved FLOP/s) of each measured prefill."""
        return [
            (
                point.calls,
                point.prompt_tokens,
                point.calls * self._flops(point) / point.seconds,
            )
            for point in self.points
            if point.phase == "prefill"
        ]

    @cached_property
    def decode_rates(self) -> list[tuple[int, int, float]]:
        """(calls, context, achieved bytes a second) of each measured decoding step."""
        cache = by_unit(op for op in traffic(self.architecture) if op.name == "cache")
        weights = least_weight_bytes(self.architecture)[2]
        found = []
        for point in self.points:
            if point.phase == "decode":
                read = _step(cache, self.architecture, point.prompt_tokens)
                rate = (weights + point.calls * read) / point.seconds
                found.append((point.calls, point.prompt_tokens, rate))
        return found

    @property
    def overhead(self) -> float:
        """Seconds of a pass that no token explains: where two short prompts' line begins."""
        alone = sorted(
            (self._flops(point), point.seconds)
            for point in self.points
            if point.phase == "prefill" and point.calls == 1
        )
        if len(alone) < 2 or alone[0][0] == alone[1][0]:
            return 0.0
        (less, quick), (more, slow) = alone[:2]
        return max(0.0, quick - less * (slow - quick) / (more - less))

    def seconds(
        self, asked: Demand, batch_size: int, batch_tokens: int | None, concurrency: int
    ) -> tuple[float, float]:
        """Expected seconds of a query: prefill and decode.

        Passes hold the calls of a round of the queries in flight, shared out evenly, as many as
        the batch and its tokens let in. Another model's passes are taken to reach the FLOP/s and
        the bytes a second that the measured model's reached at the same lengths and calls.
        """
        if asked.usages is None or not asked.calls or not asked.rounds:
            return 0.0, 0.0
        import numpy

        usages, weights = asked.usages, asked.weights
        tokens = numpy.asarray(usages.prompt_tokens) - numpy.asarray(usages.cached_tokens)
        together = max(1.0, concurrency * asked.calls / asked.rounds)
        most = numpy.full(tokens.shape, float(batch_size))
        if batch_tokens is not None:
            most = numpy.clip(batch_tokens // numpy.maximum(tokens, 1), 1, batch_size).astype(float)
        calls = together / numpy.ceil(together / most)
        first = Usage(
            usages.prompt_tokens,
            numpy.minimum(usages.generated_tokens, 1),
            decoder_prompt_tokens=usages.decoder_prompt_tokens,
            cached_tokens=usages.cached_tokens,
            head_positions=usages.head_positions,
        )
        flops = numpy.asarray(estimate(asked.architecture, first).flops, dtype=float)
        rates = _looked_up(self.prefill_rates, calls, tokens)
        prefill = float((weights * flops / rates).sum())
        steps = numpy.maximum(usages.generated_tokens, 1) - 1
        if not steps.any():
            return prefill, 0.0
        if not self.decode_rates:
            raise DataError(
                f"calibration {self.name}: no decoding step of {self.model} was measured; "
                "calibrate with a model that generates, and give it more --seconds"
            )
        cache = by_unit(op for op in traffic(asked.architecture) if op.name == "cache")
        context = usages.prompt_tokens + steps // 2
        read = _step(cache, asked.architecture, context)
        rates = _looked_up(self.decode_rates, calls, context)
        step = (asked.decode_weight_bytes / calls + read) / rates
        return prefill, float((weights * steps * step).sum())

    def stale(self, processor: str, threads: int, packages: dict[str, str]) -> list[str]:
        """Why the figures may no longer be this machine's, as sentences; none where they are."""
        found = []
        if self.about["processor"] != processor:
            found.append(f"it was measured on {self.about['processor']}, and this is {processor}")
        if self.about["threads"] != threads:
            found.append(f"it was measured with {self.about['threads']} threads, now {threads}")
        for name, version in self.about["packages"].items():
            if name in ("torch", "transformers", "e2r") and packages.get(name, version) != version:
                found.append(f"{name} was {version} and is {packages[name]}")
        days = (datetime.now(UTC) - datetime.fromisoformat(self.made)).days
        if days > FRESH_DAYS:
            found.append(f"it is {days} days old")
        return found

    def refuse_dtype(self, dtype: str) -> None:
        """Raise DataError where numbers of another kind are asked for than were measured."""
        if dtype != self.dtype:
            raise DataError(
                f"calibration {self.name} was measured in {self.dtype}, and {dtype} is asked for; "
                f"run e2r calibrate with --dtype {dtype}"
            )

    def to_json(self) -> dict[str, Any]:
        """What `read` reads."""
        return {
            "format": FORMAT,
            "name": self.name,
            "made": self.made,
            "about": self.about,
            "model": self.model,
            "architecture": dict(self.architecture.config),
            "peak_flops": self.peak_flops,
            "bandwidth": self.bandwidth,
            "memory": self.memory,
            "cache": self.cache,
            "loading_seconds": self.loading_seconds,
            "points": [
                {
                    "phase": point.phase,
                    "calls": point.calls,
                    "seconds": point.seconds,
                    **{name: getattr(point, name) for name in COUNTS},
                }
                for point in self.points
            ],
        }

    def _flops(self, point: Point) -> int:
        return estimate(self.architecture, point.usage(self.architecture.mode)).total


def read(path: Path) -> Calibration:
    """A calibration's file. Raises DataError for another, with what is wrong in it."""
    try:
        facts = json_file(path, FILE_BYTES)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None
    if not isinstance(facts, dict) or facts.get("format") != FORMAT:
        raise DataError(f"{path}: is no calibration ({FORMAT}); make one by e2r calibrate")
    try:
        about = {name: facts["about"][name] for name in ABOUT}
        points = tuple(_point(row) for row in facts["points"])
        numbers = {
            name: _positive(name, facts[name])
            for name in ("peak_flops", "bandwidth", "memory", "cache", "loading_seconds")
        }
        made = str(facts["made"])
        if datetime.fromisoformat(made).tzinfo is None or not isinstance(about["packages"], dict):
            raise ValueError("made names no time zone, or packages are no table")
        if not any(point.phase == "prefill" for point in points):
            raise ValueError("holds no measured prefill")
        return Calibration(
            name=str(facts["name"]),
            made=made,
            about=about,
            model=str(facts["model"]),
            architecture=Architecture.load(facts["architecture"]),
            points=points,
            **numbers,
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(
            f"{path}: is not as e2r calibrate writes it ({shortened(error)}); calibrate again"
        ) from None


def _point(row: dict[str, Any]) -> Point:
    if row["phase"] not in ("prefill", "decode"):
        raise ValueError("a point is a prefill or a decode")
    counts = {name: row[name] for name in COUNTS}
    if not all(type(value) is int and 0 <= value <= 10**7 for value in counts.values()):
        raise ValueError("counts are whole numbers")
    calls = row["calls"]
    if type(calls) is not int or not 1 <= calls <= 10**6 or counts["prompt_tokens"] < 1:
        raise ValueError("a point has a call and a prompt at least")
    return Point(row["phase"], calls, _positive("seconds", row["seconds"]), **counts)


def _positive(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e30:
        raise ValueError(f"{name} is {value!r}; it is above 0")
    return float(value)


def _step(cache: Any, architecture: Architecture, context: Any) -> Any:
    """Bytes of keys and values that a decoding step reads and writes at a context, by call."""
    if architecture.mode == "decoder":
        sizes = [Usage(context, count, decoder_prompt_tokens=1) for count in (1, 2)]
    else:
        sizes = [Usage(context, count) for count in (1, 2)]
    before, after = (
        evaluate(cache, usage.variables(architecture.mode, architecture.generates))
        for usage in sizes
    )
    return after - before


def _looked_up(rates: Sequence[tuple[int, int, float]], calls: Any, tokens: Any) -> Any:
    """Rates at numbers of calls and tokens: straight lines in logarithms, level beyond the ends."""
    import numpy

    curves: dict[int, list[tuple[int, float]]] = {}
    for count, length, rate in rates:
        curves.setdefault(count, []).append((length, rate))
    counts = sorted(curves)
    asked = numpy.log(numpy.asarray(tokens, dtype=float))
    rows = numpy.array([_curve(sorted(curves[count]), asked) for count in counts])
    places = numpy.interp(
        numpy.log(numpy.asarray(calls, dtype=float)),
        [log(count) for count in counts],
        range(len(counts)),
    )
    low = numpy.floor(places).astype(int)
    high = numpy.minimum(low + 1, len(counts) - 1)
    share = places - low
    columns = numpy.arange(rows.shape[1])
    return numpy.exp((1 - share) * rows[low, columns] + share * rows[high, columns])


def _curve(points: Iterable[tuple[int, float]], asked: Any) -> Any:
    import numpy

    lengths, rates = zip(*points, strict=True)
    return numpy.interp(asked, numpy.log(lengths), numpy.log(rates))
