"""What a plan is: rounds of independent tasks about candidate indices, driven by anyone's answers.

A plan is a generator. It yields rounds (non-empty lists of tasks that do not depend on one
another), is sent one answer a task in the same order, and returns its result. Candidates are
indices 0 … n−1 in first-stage order. `None` is an answer everywhere: nothing usable was said.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Score:
    """How relevant is this candidate? Answered by a float, larger is better."""

    candidate: int

    @property
    def candidates(self) -> tuple[int, ...]:
        return (self.candidate,)


@dataclass(frozen=True, slots=True)
class Prefer:
    """Is `candidate`, shown first, more relevant than `over`, shown second? Answered by a bool."""

    candidate: int
    over: int

    @property
    def candidates(self) -> tuple[int, ...]:
        return (self.candidate, self.over)


@dataclass(frozen=True, slots=True)
class Choose:
    """Which of these candidates is the most relevant? Answered by one of them."""

    candidates: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Order:
    """How are these candidates ordered by relevance? Answered by a permutation of them."""

    candidates: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Rate:
    """How relevant is each of these candidates, shown together? Answered by one float each."""

    candidates: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Duel:
    """How probably is `candidate`, shown first, the more relevant one? Answered by a float."""

    candidate: int
    over: int

    @property
    def candidates(self) -> tuple[int, ...]:
        return (self.candidate, self.over)


@dataclass(frozen=True, slots=True)
class Select:
    """Which `count` of these candidates are the most relevant? Answered by a tuple of them."""

    candidates: tuple[int, ...]
    count: int


@dataclass(frozen=True, slots=True)
class Attend:
    """How much attention does the query pay to each token of each of these candidates?

    Answered by a tuple of tuples of floats, one inner tuple a candidate.
    """

    candidates: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Calibrate:
    """The same for a query without content, which shows the model's own bias."""

    candidates: tuple[int, ...]


Task = Score | Prefer | Choose | Order | Rate | Duel | Select | Attend | Calibrate
Plan = Generator[Sequence[Any], Sequence[Any], T]


@dataclass(frozen=True, slots=True)
class Driven(Generic[T]):
    """A plan's result, with its sequential depth (rounds) and its number of calls (tasks)."""

    result: T
    rounds: int
    tasks: int


def drive(plan: Plan[T], answer: Callable[[Sequence[Any]], Sequence[Any]]) -> Driven[T]:
    """Run a plan to its end, answering each round by one call of `answer`."""
    rounds = tasks = 0
    try:
        asked = next(plan)
        while True:
            rounds += 1
            tasks += len(asked)
            asked = plan.send(answer(asked))
    except StopIteration as end:
        return Driven(end.value, rounds, tasks)


def together(plans: Iterable[Plan[T]], at_least: int | None = None) -> Plan[list[T]]:
    """Merge the rounds of many plans into one plan, which returns their results in order.

    Every merged round holds the current round of each plan that is under way. All plans are
    under way from the start, unless rounds are to hold `at_least` tasks, which is the size of a
    batch: then no more plans are under way than fill batches, and a merged round holds the
    rounds of those that have waited longest, as many as make whole batches. A plan's own rounds
    do not depend on that.
    """
    waiting = enumerate(plans)
    results: dict[int, T] = {}
    active: dict[int, tuple[Plan[T], Sequence[Any]]] = {}

    def advance(number: int, plan: Plan[T], answers: Sequence[Any] | None) -> None:
        # Taken out and put back, so that the plans stand in the order in which they last asked.
        active.pop(number, None)
        try:
            asked = next(plan) if answers is None else plan.send(answers)
        except StopIteration as end:
            results[number] = end.value
        else:
            active[number] = (plan, asked)

    while True:
        while _has_room([len(asked) for _, asked in active.values()], at_least):
            following = next(waiting, None)
            if following is None:
                break
            advance(*following, None)
        if not active:
            return [results[number] for number in sorted(results)]
        sizes = {number: len(asked) for number, (_, asked) in active.items()}
        chosen = [(number, *active[number]) for number in _whole_batches(sizes, at_least)]
        answers = iter((yield [task for _, _, asked in chosen for task in asked]))
        for number, plan, asked in chosen:
            advance(number, plan, [next(answers) for _ in asked])


def _has_room(sizes: Sequence[int], at_least: int | None) -> bool:
    """Whether another plan may begin beside those whose rounds have these sizes.

    Half as many plans again as fill a batch with one task each leave a choice of rounds; rounds
    that fill several batches by themselves need no company.
    """
    if at_least is None:
        return True
    return len(sizes) < at_least + at_least // 2 and sum(sizes) < 4 * at_least


def _whole_batches(sizes: Mapping[int, int], at_least: int | None) -> list[int]:
    """The plans, by number, whose rounds are merged next: the first, and what fills the batch."""
    if at_least is None:
        return list(sizes)
    chosen: list[int] = []
    total = 0
    for number, size in sizes.items():
        if total < at_least or size <= -total % at_least:
            chosen.append(number)
            total += size
    return chosen
