"""plan(…): what reranking would cost, from lengths alone or from a spec and its real prompts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from e2r.errors import E2RError, UsageError
from e2r.flops.architecture import Architecture
from e2r.forecast.dry_run import DryRun, counted, counter_of, dry_run, refuse_unfit
from e2r.forecast.lengths import Lengths
from e2r.forecast.method import PETA, Forecast, forecast
from e2r.models.counting import Counter
from e2r.records.collection import load_collection
from e2r.records.spec import Spec

NO_MODELS = {"oracle", "random", "replay", "none"}
"""Answerers that compute nothing."""
SERVED = ("openai:", "rerank:")
"""Models whose tokenizer may be nobody's: words are counted then, and that is said."""


@dataclass(frozen=True, eq=False)
class Planned:
    """What a spec would cost if it were run: a dry run with real prompts, and its price.

    `architecture` is None where nobody knows it; then there is no price.
    """

    spec: Spec
    dry_run: DryRun
    architecture: Architecture | None
    tokenizer: str
    convention: str

    @property
    def petaflops(self) -> float | None:
        """PetaFLOPs per query."""
        if self.architecture is None:
            return None
        return self.dry_run.flops(self.architecture, self.convention) / self.dry_run.queries / PETA

    @property
    def calls(self) -> float:
        """Calls per query."""
        return self.dry_run.calls / self.dry_run.queries

    @property
    def rounds(self) -> float:
        """Rounds per query."""
        return self.dry_run.rounds / self.dry_run.queries

    def __repr__(self) -> str:
        cost = "unknown" if self.petaflops is None else f"{self.petaflops:.4g}"
        return (
            f"<Planned {self.spec.method.name} on {self.spec.model.source}: {self.calls:g} calls, "
            f"{cost} PFLOPs a query>"
        )


def plan(
    asked: Spec | Architecture | str | Path | Mapping[str, Any],
    method: str | None = None,
    *,
    answers: str | None = None,
    convention: str = "ideal",
    depth: int = 100,
    k: int = 10,
    parameters: Mapping[str, int] | None = None,
    lengths: Lengths | None = None,
    note: Callable[[str], None] | None = None,
) -> Planned | Forecast:
    """What a query would cost, before anything is loaded.

    A Spec is planned with its own data, prompts and tokenizer: `plan(Spec.load("spec.toml"))`.
    A model (a name, a config, an Architecture) with a method is forecast from lengths in tokens:
    `plan("Qwen/Qwen3-8B", "setwise.heapsort", depth=50)`. `answers` are those of `e2r plan
    --answers`, or `random` and `first-stage` for a forecast. Raises UsageError for what cannot be
    planned, and what loading data and models raises.
    """
    if isinstance(asked, Spec):
        if method is not None or lengths is not None:
            raise UsageError("a spec says method and texts; drop them, or name a model instead")
        return _of_a_spec(asked, answers, convention, note)
    if method is None:
        raise UsageError('name the method, as in plan("Qwen/Qwen3-8B", "setwise.heapsort")')
    architecture = asked if isinstance(asked, Architecture) else Architecture.load(asked)
    if answers not in (None, "random", "first-stage"):
        raise UsageError(f"{answers!r}: a forecast's answers are random or first-stage")
    return forecast(
        architecture,
        method,
        depth=depth,
        k=k,
        parameters=dict(parameters or {}),
        lengths=lengths or Lengths(),
        convention=convention,
        answers="first-stage" if answers == "first-stage" else "random",
    )


def architecture_of(source: str) -> Architecture | None:
    """That of a catalogue name, a config or a folder; None where it lies elsewhere."""
    try:
        return Architecture.load(source)
    except E2RError:
        return None


def refuse_without_a_model(spec: Spec) -> None:
    """Raise UsageError for a spec whose model computes nothing: there is nothing to price."""
    if spec.method.name == "first_stage":
        raise UsageError("first_stage asks no model; its price is in e2r estimate")
    if spec.model.source.partition(":")[0] in NO_MODELS:
        raise UsageError(
            f"--model {spec.model.source} computes nothing; name the model to price, and who "
            "answers by --answers"
        )


def counting(spec: Spec) -> tuple[Architecture | None, Counter, str]:
    """A spec's architecture, if anyone knows it, who counts its tokens, and by what in words.

    Raises DataError for prompts that cannot fit, and what loading a tokenizer raises.
    """
    model = counted(spec.model)
    architecture = architecture_of(spec.model.architecture or model.source)
    counter, tokenizer = counter_of(
        model, spec.execution, architecture, closed=spec.model.source.startswith(SERVED)
    )
    facts = counter.record().architecture
    if architecture is None and facts is not None:
        architecture = Architecture.load(facts)
    if architecture is not None:
        refuse_unfit(spec, architecture)
    return architecture, counter, tokenizer


def _of_a_spec(
    spec: Spec, answers: str | None, convention: str, note: Callable[[str], None] | None
) -> Planned:
    refuse_without_a_model(spec)
    collection = load_collection(spec, note or (lambda text: None))
    architecture, counter, tokenizer = counting(spec)
    headline = answers or ("oracle" if collection.judgments else "first-stage")
    run = dry_run(spec, collection, counter, headline)
    return Planned(spec, run, architecture, tokenizer, convention)
