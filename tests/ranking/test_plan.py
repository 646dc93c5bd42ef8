"""Driving plans, alone and together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from e2r.ranking import method
from e2r.ranking.plan import Plan, Score, drive, together
from tests.ranking.answering import by_relevance, shuffled


def counting(rounds: int, width: int, base: int = 0) -> Plan[list[int]]:
    """A plan that asks `rounds` rounds of `width` tasks and returns the answers."""
    heard: list[int] = []
    for number in range(rounds):
        tasks = [Score(base + number * width + i) for i in range(width)]
        heard.extend((yield tasks))
    return heard


def echo(tasks: list[Score]) -> list[int]:
    return [task.candidate for task in tasks]


def test_drive_counts_rounds_and_tasks() -> None:
    driven = drive(counting(3, 4), echo)
    assert (driven.rounds, driven.tasks, driven.result) == (3, 12, list(range(12)))


def test_together_merges_rounds_and_keeps_results_in_order() -> None:
    plans = [counting(rounds, 2, base=100 * rounds) for rounds in (3, 1, 0, 2)]
    driven = drive(together(plans), echo)
    assert driven.rounds == 3
    assert driven.tasks == 12
    alone = [drive(counting(r, 2, base=100 * r), echo).result for r in (3, 1, 0, 2)]
    assert driven.result == alone


def test_together_begins_only_as_many_plans_as_fill_batches() -> None:
    begun: list[int] = []
    widths: list[int] = []

    def plan(number: int) -> Plan[None]:
        begun.append(number)
        for _ in range(2):
            yield [Score(number)]

    def answer(tasks: list[Score]) -> list[int]:
        widths.append(len(tasks))
        return [0] * len(tasks)

    merged = together((plan(number) for number in range(5)), at_least=2)
    assert [task.candidate for task in next(merged)] == [0, 1]
    assert begun == [0, 1, 2], "one beside the batch leaves a choice"
    assert [task.candidate for task in merged.send([0, 0])] == [2, 0]
    assert begun == [0, 1, 2], "the first two are still under way"
    drive(together((plan(number) for number in range(5)), at_least=2), answer)
    assert widths == [2] * 5


def test_rounds_that_fill_batches_alone_are_asked_alone() -> None:
    """A pointwise pass over many candidates needs no company, nor others' lists in memory."""
    begun: list[int] = []

    def plan(number: int) -> Plan[None]:
        begun.append(number)
        yield [Score(i) for i in range(100)]

    merged = together((plan(number) for number in range(5)), at_least=16)
    assert len(next(merged)) == 100
    assert begun == [0]


@pytest.mark.parametrize("name", ["setwise.heapsort", "pairwise.heapsort"])
def test_heap_sorts_in_lockstep_fill_their_batches(name: str) -> None:
    """43 queries, batches of 16: at least nine places in ten are taken."""
    places = calls = 0
    relevances = [shuffled(100, seed) for seed in range(43)]

    def tagged(number: int) -> Plan[list[int]]:
        plan = method(name).plan(100, 10)
        try:
            tasks = next(plan)
            while True:
                tasks = plan.send((yield [(number, task) for task in tasks]))
        except StopIteration as end:
            return list(end.value)

    def answer(asked: Sequence[Any]) -> list[Any]:
        nonlocal places, calls
        calls += len(asked)
        places += -(-len(asked) // 16) * 16
        return [by_relevance(relevances[number])([task])[0] for number, task in asked]

    plans = (tagged(number) for number in range(43))
    results = drive(together(plans, at_least=16), answer).result
    assert calls / places >= 0.9
    for relevance, ranking in zip(relevances, results, strict=True):
        assert ranking[:10] == sorted(range(100), key=lambda i: -relevance[i])[:10]


def test_together_of_nothing_ends_at_once() -> None:
    assert drive(together([]), echo).result == []
    assert drive(together([counting(0, 1)], at_least=4), echo).rounds == 0
