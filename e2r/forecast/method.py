"""What a whole method costs before anything runs: calls, rounds, tokens and FLOPs of a query."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache
from typing import Any, Literal, TypeAlias

from e2r.errors import DataError, UsageError
from e2r.flops.architecture import Architecture
from e2r.flops.estimate import Cost, Estimate, estimate
from e2r.flops.expression import Constant, Expression, Variable
from e2r.flops.hardware import peak_memory
from e2r.flops.variants import fused
from e2r.flops.work import Usage
from e2r.forecast.demand import Demand, demand, usages_of
from e2r.forecast.lengths import Lengths, call_counts, fused_counts, thinks
from e2r.ranking import method as find
from e2r.ranking.plan import (
    Attend,
    Calibrate,
    Choose,
    Duel,
    Order,
    Prefer,
    Rate,
    Score,
    Select,
    Task,
    drive,
)

Answers: TypeAlias = Literal["random", "first-stage"]

FUSED = "listwise.fid"
"""The method whose encoder reads each passage of a call for itself."""
DRAWS = 20
"""Random orders over which the calls of an adaptive method are averaged."""
PETA = 10**15

FLOPS = Variable("flops")
FIGURES: Mapping[str, Expression] = {
    "petaflops": FLOPS / PETA,
    "qpp": Constant(PETA) / FLOPS,
}
"""What follows from a query's means, as expressions that a page's script evaluates too."""


@dataclass(frozen=True)
class Forecast:
    """A query under a method: means over the simulated answers.

    `flops` is rounded to a whole number; `operations` and `bytes` are those of a mean call,
    `usages` the distinct calls, `weights` how many of each a query makes, and `pieces` how many
    passages the encoder reads one by one in each, under fusion in the decoder.
    """

    calls: float
    rounds: float
    prompt_tokens: float
    generated_tokens: float
    flops: int
    answers: Answers
    operations: tuple[Cost, ...] = ()
    bytes: float = 0.0
    usages: tuple[Usage, ...] = ()
    weights: tuple[float, ...] = ()
    pieces: tuple[int, ...] = ()

    def __repr__(self) -> str:
        return f"<Forecast: {self.calls:g} calls, {self.petaflops:.4g} PFLOPs a query>"

    @property
    def petaflops(self) -> float:
        """PetaFLOPs per query."""
        return float(FIGURES["petaflops"].evaluate({"flops": self.flops}))

    @property
    def qpp(self) -> float | None:
        """Queries per PetaFLOP; None where nothing is computed."""
        return float(FIGURES["qpp"].evaluate({"flops": self.flops})) if self.flops else None

    def demand(self, architecture: Architecture) -> Demand:
        """What a query asks of a device, for the clock."""
        asked = usages_of(architecture, self.usages)
        whole = demand(architecture, asked, self.weights, self.rounds)
        if not self.pieces:
            return whole
        calls = zip(self.pieces, self.usages, self.weights, strict=True)
        parts = [
            demand(fused(architecture, size), usages_of(architecture, [usage]), [weight], 1)
            for size, usage, weight in calls
        ]
        return replace(
            whole,
            prefill_flops=sum(part.prefill_flops for part in parts),
            decode_flops=sum(part.decode_flops for part in parts),
        )

    def memory(self, architecture: Architecture) -> int:
        """Bytes that the largest call holds at its end, alone in its batch."""
        return max((peak_memory(architecture, usage) for usage in self.usages), default=0)


def forecast(
    architecture: Architecture,
    method: str,
    *,
    depth: int = 100,
    k: int = 10,
    parameters: Mapping[str, int] | None = None,
    lengths: Lengths | None = None,
    convention: str = "ideal",
    answers: Answers = "random",
) -> Forecast:
    """Price one query of a method on a model from lengths alone.

    The plan is driven by an answerer that knows one consistent order of the candidates: the
    first stage's, or a random one (the mean of DRAWS). Raises UsageError for an unknown method or
    parameter and where the method asks for what the model cannot do, DataError for counts below 1.
    """
    lengths = lengths or Lengths()
    for name, value in (("depth", depth), ("k", k), ("query", lengths.query)):
        if value < 1:
            raise DataError(f"{name} is {value}; it has to be at least 1")
    if lengths.passage < 1 or lengths.extra < 0:
        raise DataError("passage tokens have to be at least 1, and extra tokens at least 0")
    given = tuple(sorted((parameters or {}).items()))
    shapes, rounds = simulate(method, depth, k, given, answers)
    usages = [_usage(architecture, method, kind, size, lengths) for kind, size in shapes]
    weights = list(shapes.values())
    costs = [
        estimate(fused(architecture, size) if method == FUSED else architecture, usage, convention)
        for (_, size), usage in zip(shapes, usages, strict=True)
    ]
    calls = sum(weights)
    return Forecast(
        calls=float(calls),
        rounds=float(rounds),
        prompt_tokens=_mean(weights, [usage.prompt_tokens for usage in usages]),
        generated_tokens=_mean(weights, [usage.generated_tokens for usage in usages]),
        flops=round(sum(w * cost.total for w, cost in zip(weights, costs, strict=True))),
        answers=answers,
        operations=_operations(weights, costs),
        bytes=_mean(weights, [cost.bytes for cost in costs]) / float(calls) if calls else 0.0,
        usages=tuple(usages),
        weights=tuple(float(weight) for weight in weights),
        pieces=tuple(size for _, size in shapes) if method == FUSED else (),
    )


@cache
def simulate(
    method: str, depth: int, k: int, given: tuple[tuple[str, int], ...], answers: Answers
) -> tuple[dict[tuple[str, int], Fraction], Fraction]:
    """Mean calls of each (kind of task, number of passages), and mean rounds."""
    chosen = find(method)
    parameters = chosen.complete(dict(given))
    orders = _orders(depth, answers)
    counts: Counter[tuple[str, int]] = Counter()
    rounds = 0
    for places in orders:

        def answer(tasks: Sequence[Task], places: Sequence[int] = places) -> list[Any]:
            counts.update((type(task).__name__, len(task.candidates)) for task in tasks)
            return [_answer(task, places) for task in tasks]

        rounds += drive(chosen.plan(depth, k, **parameters), answer).rounds
    means = {shape: Fraction(count, len(orders)) for shape, count in sorted(counts.items())}
    return means, Fraction(rounds, len(orders))


def _orders(depth: int, answers: Answers) -> list[list[int]]:
    if answers == "first-stage":
        return [list(range(depth))]
    generator = random.Random(0)  # noqa: S311 — a simulation, not a secret
    return [generator.sample(range(depth), depth) for _ in range(DRAWS)]


def _answer(task: Task, places: Sequence[int]) -> Any:
    match task:
        case Score(candidate):
            return -float(places[candidate])
        case Prefer(candidate, over):
            return places[candidate] < places[over]
        case Duel(candidate, over):
            return 1.0 if places[candidate] < places[over] else 0.0
        case Select(candidates, count):
            return tuple(sorted(candidates, key=lambda candidate: places[candidate])[:count])
        case Choose(candidates):
            return min(candidates, key=lambda candidate: places[candidate])
        case Order(candidates):
            return tuple(sorted(candidates, key=lambda candidate: places[candidate]))
        case Rate(candidates):
            return tuple(-float(places[candidate]) for candidate in candidates)
        case Attend(candidates):
            return tuple((-float(places[candidate]),) for candidate in candidates)
        case Calibrate(candidates):
            return tuple((0.0,) for _ in candidates)


def _usage(
    architecture: Architecture, method: str, kind: str, size: int, lengths: Lengths
) -> Usage:
    mode, own, method = architecture.mode, method, find(method).prompted_as
    try:
        counts = (
            fused_counts(mode)
            if method == FUSED
            else call_counts(mode, architecture.task, method, kind)
        )
    except UsageError as error:
        raise UsageError(f"{error}; {architecture.name} is not one") from None
    variables = {
        "query_tokens": lengths.query,
        "passage_tokens": lengths.passage,
        "extra_tokens": lengths.extra,
        "passages": size,
    }
    if thinks(method):
        if lengths.answer is None:
            raise UsageError(f"{own}: how long it thinks is open; give --answer-tokens")
        variables["answer_tokens"] = lengths.answer
    return Usage(**{name: count.evaluate(variables) for name, count in counts.items()})


def _operations(weights: Sequence[Fraction], costs: Sequence[Estimate]) -> tuple[Cost, ...]:
    """FLOPs of each operation in a mean call, rounded to whole numbers."""
    sums: dict[tuple[str, str], Fraction] = {}
    for weight, cost in zip(weights, costs, strict=True):
        for part, name, flops in ((op.part, op.name, op.flops) for op in cost.operations):
            sums[part, name] = sums.get((part, name), Fraction(0)) + weight * int(flops)
    calls = sum(weights) or 1
    return tuple(Cost(part, name, round(total / calls)) for (part, name), total in sums.items())


def _mean(weights: Sequence[Fraction], values: Sequence[Any]) -> float:
    return float(sum(weight * value for weight, value in zip(weights, values, strict=True)))
