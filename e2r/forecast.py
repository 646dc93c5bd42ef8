"""What a whole method costs before anything runs: calls, rounds, tokens and FLOPs of a query."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Any, Literal, TypeAlias

from e2r.errors import DataError, UsageError
from e2r.flops.architecture import Architecture
from e2r.flops.estimate import Cost, Estimate, estimate
from e2r.flops.work import Usage
from e2r.ranking import method as find
from e2r.ranking.plan import Choose, Duel, Order, Prefer, Score, Select, Task, drive

Answers: TypeAlias = Literal["random", "first-stage"]

DRAWS = 20
"""Random orders over which the calls of an adaptive method are averaged."""
CHAT = 30
"""Tokens that a chat template puts around one user turn, its system prompt included."""
PAIR = 3
"""Special tokens around a query and a passage in a cross-encoder's input."""


@dataclass(frozen=True)
class Text:
    """Tokens of a prompt's own words, as SmolLM2's tokenizer counts the templates of this package.

    `fixed` are those of any call, `each` those that come with a passage, `queries` how often the
    query stands in it, `turn` what a chat adds to each passage, `answer` the new tokens a passage
    costs, and `start` the decoder prompt of encoder-decoder models.
    """

    fixed: int
    each: int = 0
    queries: int = 1
    turn: int = 0
    answer: int = 0
    start: int = 1


TEXTS: Mapping[str, Text] = {
    "pointwise": Text(22),
    "pointwise.qlm": Text(13, queries=0),
    "pairwise": Text(33, each=7, start=3),
    "setwise": Text(32, each=8, start=3),
    "listwise": Text(137, each=5, queries=2, turn=14, answer=4),
    "listwise.likelihood": Text(32, each=8),
    "tournament": Text(137, each=5, queries=2, turn=14, answer=2),
}
"""Prompt texts by method, else by family."""


@dataclass(frozen=True)
class Forecast:
    """A query under a method: means over the simulated answers.

    `flops` is rounded to a whole number; `operations` and `bytes` are those of a mean call.
    """

    calls: float
    rounds: float
    prompt_tokens: float
    generated_tokens: float
    flops: int
    answers: Answers
    operations: tuple[Cost, ...] = ()
    bytes: float = 0.0


@dataclass(frozen=True)
class Lengths:
    """Tokens of a query and of a passage, and what else stands in every prompt."""

    query: int = 9
    passage: int = 75
    extra: int = 0


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
    costs = [estimate(architecture, usage, convention) for usage in usages]
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


def _usage(
    architecture: Architecture, method: str, kind: str, size: int, lengths: Lengths
) -> Usage:
    pair = method == "pointwise.cross_encoder"
    able = architecture.task == "classification" if pair else architecture.generates
    if not able:
        wants = "a classifier" if pair else "a model that generates"
        raise UsageError(f"{method} wants {wants}; {architecture.name} is not one")
    if pair:
        return Usage(PAIR + lengths.query + lengths.passage + lengths.extra)
    text = TEXTS.get(method) or TEXTS.get(method.partition(".")[0])
    if method.endswith(".reasoning"):
        raise UsageError(f"{method}: how long it thinks is open; use e2r plan --answer-tokens N")
    if text is None:
        raise UsageError(f"{method}: its prompt's length is not known before it runs; use e2r plan")
    pairs = architecture.mode == "decoder"
    chat = 0 if pairs else CHAT + size * text.turn
    prompt = (
        text.fixed
        + size * (text.each + lengths.passage)
        + text.queries * lengths.query
        + chat
        + lengths.extra
    )
    if method == "pointwise.qlm":
        if pairs:
            start = lengths.query + 1
            return Usage(prompt, decoder_prompt_tokens=start, head_positions=lengths.query)
        return Usage(prompt + lengths.query, head_positions=lengths.query)
    generated = max(size * text.answer, 0)
    if pairs:
        # Two new tokens: the label, and the end that generate() waits for.
        scored = method.endswith(".likelihood")
        generated = generated or (2 if kind in ("Prefer", "Choose") and not scored else 0)
        return Usage(prompt, generated, decoder_prompt_tokens=text.start)
    return Usage(prompt, generated or 1)


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
