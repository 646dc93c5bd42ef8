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
from e2r.flops.work import Usage
from e2r.ranking import method as find
from e2r.ranking.plan import (
    Attend,
    Calibrate,
    Choose,
    Duel,
    Order,
    Prefer,
    Score,
    Select,
    Task,
    drive,
)

Answers: TypeAlias = Literal["random", "first-stage"]

DRAWS = 20
"""Random orders over which the calls of an adaptive method are averaged."""
CHAT = 30
"""Tokens that a chat template puts around one user turn, its own system prompt included."""
SYSTEM = 13
"""The same where the template brings a system prompt, whose words count as its own."""
PAIR = 3
"""Special tokens around a query and a passage in a cross-encoder's input."""
CONTENTLESS = 3
"""Tokens of the query without content that attention is calibrated with."""


@dataclass(frozen=True)
class Text:
    """Tokens of a prompt's own words, as SmolLM2's tokenizer counts the templates of this package.

    `fixed` are those of any call, `each` those that come with a passage, `queries` how often the
    query stands in it, `chat` and `turn` what a chat adds to a call and to each passage, `answer`
    the new tokens a passage costs, and `start` the decoder prompt of encoder–decoder models: its
    start token and the words that open the answer. `scored` says that nothing is generated, and
    `after` how many tokens follow the documents, the query apart, where calls share them.
    """

    fixed: int
    each: int = 0
    queries: int = 1
    chat: int = CHAT
    turn: int = 0
    answer: float = 0
    start: int = 1
    scored: bool = False
    after: int = 0


LISTWISE = Text(131, each=6, queries=2, chat=9, turn=15, answer=4.55)
SETWISE = Text(32, each=8, start=3)
TEXTS: Mapping[str, Text] = {
    "pointwise.qlm": Text(13, queries=0, scored=True),
    "pointwise.yes_no": Text(22, scored=True),
    "pointwise.monot5": Text(6, scored=True),
    "pointwise.qwen3": Text(60, chat=SYSTEM, start=10, scored=True),
    "pointwise.reasoning": Text(32, chat=0),
    "pairwise": Text(29, each=7, start=3),
    "pairwise.duot5": Text(10, scored=True),
    "pairwise.duot5.allpair": Text(10, scored=True),
    "setwise": SETWISE,
    "setwise.heapsort.likelihood": replace(SETWISE, scored=True),
    "setwise.bubblesort.likelihood": replace(SETWISE, scored=True),
    "setwise.insertion.likelihood": replace(SETWISE, scored=True),
    "setwise.heapsort.reasoning": Text(167, each=4, chat=SYSTEM),
    "listwise": LISTWISE,
    "listwise.likelihood": replace(SETWISE, scored=True),
    "listwise.first": Text(126, each=4, queries=2, chat=SYSTEM, start=2, scored=True),
    "tournament": Text(108, each=13, queries=2, chat=22, turn=9, answer=2.1),
    "attention.icr": Text(25, each=5, scored=True, after=24),
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
    """Tokens of a query and of a passage, what else stands in every prompt, and of a thought."""

    query: int = 9
    passage: int = 75
    extra: int = 0
    answer: int | None = None


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
        case Attend(candidates):
            return tuple((-float(places[candidate]),) for candidate in candidates)
        case Calibrate(candidates):
            return tuple((0.0,) for _ in candidates)


def _usage(
    architecture: Architecture, method: str, kind: str, size: int, lengths: Lengths
) -> Usage:
    if method == "pointwise.cross_encoder":
        _able(architecture, method, architecture.task == "classification", "a classifier")
        return Usage(PAIR + lengths.query + lengths.passage + lengths.extra)
    _able(architecture, method, architecture.generates, "a model that generates")
    text = TEXTS.get(method) or TEXTS[method.partition(".")[0]]
    prompt = text.fixed + size * (text.each + lengths.passage) + lengths.extra
    asked = CONTENTLESS if kind == "Calibrate" else lengths.query
    prompt += text.queries * asked
    if architecture.mode == "decoder":
        _able(architecture, method, kind not in ("Attend", "Calibrate"), "a decoder-only model")
        if method == "pointwise.qlm":
            return Usage(prompt, decoder_prompt_tokens=asked, head_positions=asked)
        return Usage(prompt, _new_tokens(text, method, size, lengths, 2), text.start)
    prompt += text.chat + size * text.turn + text.start - 1
    if method == "pointwise.qlm":
        # The query's last token is scored and never fed.
        return Usage(prompt + asked - 1, head_positions=asked)
    if kind in ("Attend", "Calibrate"):
        shared = prompt - text.after - asked if kind == "Calibrate" else 0
        return Usage(prompt, cached_tokens=shared, head_positions=0)
    return Usage(prompt, _new_tokens(text, method, size, lengths, 1))


def _able(architecture: Architecture, method: str, able: bool, wanted: str) -> None:
    if not able:
        raise UsageError(f"{method} wants {wanted}; {architecture.name} is not one")


def _new_tokens(text: Text, method: str, size: int, lengths: Lengths, label: int) -> int:
    """New tokens of a call; `label` are those of an answer of one letter."""
    if text.scored:
        return 0
    if method.endswith(".reasoning"):
        if lengths.answer is None:
            raise UsageError(f"{method}: how long it thinks is open; give --answer-tokens")
        return lengths.answer
    return round(size * text.answer) or label


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
