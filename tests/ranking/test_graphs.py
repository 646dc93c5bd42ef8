"""Laws of partitions and tournament graphs beyond those of every method."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from e2r.errors import UsageError
from e2r.ranking import method
from e2r.ranking.acurank import acurank
from e2r.ranking.blitzrank import Graph, blitzrank
from e2r.ranking.jointrank import blocks, jointrank, page_rank
from e2r.ranking.partition import tdpart
from e2r.ranking.plan import Task, drive
from e2r.ranking.trueskill import Belief, rated
from tests.ranking.answering import Watched, by_relevance, shuffled, wild


def true_order(relevance: list[float]) -> list[int]:
    return sorted(range(len(relevance)), key=lambda i: -relevance[i])


def test_tdpart_takes_seven_calls_in_three_rounds() -> None:
    relevance = [float(-i) for i in range(100)]
    relevance[99] = 1.0  # one of the last chunk beats the pivot
    driven = drive(tdpart(100, 10), by_relevance(relevance))
    assert (driven.tasks, driven.rounds) == (7, 3)
    assert driven.result[:10] == true_order(relevance)[:10]


def test_tdpart_stops_where_nothing_beats_the_pivot() -> None:
    """The exit that the reference has and, by its condition, cannot take."""
    driven = drive(tdpart(100, 10), by_relevance([float(-i) for i in range(100)]))
    assert (driven.tasks, driven.rounds) == (6, 2)
    assert driven.result == list(range(100))


@settings(max_examples=80, deadline=None)
@given(n=st.integers(2, 120), window=st.integers(2, 25), seed=st.integers(0, 999))
def test_tdpart_finds_the_top_where_a_window_holds_what_beats_the_pivot(
    n: int, window: int, seed: int
) -> None:
    relevance, pivot = shuffled(n, seed), max(1, window // 2)
    head = true_order(relevance[:window])
    better = sum(value > relevance[head[min(pivot, len(head)) - 1]] for value in relevance)
    driven = drive(tdpart(n, 10, window, pivot), by_relevance(relevance))
    if n <= window or better <= window:
        assert driven.result[:pivot] == true_order(relevance)[:pivot]


def test_the_pivot_lies_in_the_window() -> None:
    with pytest.raises(UsageError, match="pivot"):
        method("partition.tdpart").complete({"window": 5, "pivot": 6})


def test_blitzrank_needs_few_calls_at_a_hundred() -> None:
    calls = [
        drive(blitzrank(100, 10), by_relevance(shuffled(100, seed))).tasks for seed in range(40)
    ]
    assert 6 <= sum(calls) / 40 <= 8
    assert max(calls) <= 9


@settings(max_examples=60, deadline=None)
@given(n=st.integers(0, 60), k=st.integers(1, 61), window=st.integers(2, 12), seed=st.integers(0))
def test_blitzrank_settles_a_new_pair_in_each_call(n: int, k: int, window: int, seed: int) -> None:
    graph, answer = Graph(n), wild(seed)

    def related() -> int:
        return sum((graph.below[i] | graph.above[i]).bit_count() for i in range(n))

    def watched(tasks: Sequence[Task]) -> list[Any]:
        [task], before = tasks, related()
        shown = task.candidates
        assert len({graph.kind(i) for i in shown}) == len(shown), "one of each kind"
        [order] = answers = answer(tasks)
        order = shown if order is None else order
        for better, worse in pairwise(order):
            graph.add(better, worse)
        assert related() > before, "something new is known"
        return answers

    driven = drive(blitzrank(n, k, window), watched)
    assert driven.rounds == driven.tasks <= n * (n - 1) // 2
    assert all(graph.settled(i) for i in driven.result[:k])


def test_a_cycle_is_one_kind() -> None:
    graph = Graph(5)
    for better, worse in ((0, 1), (1, 2), (2, 0), (2, 3), (3, 4)):
        graph.add(better, worse)
    assert graph.kind(0) == graph.kind(1) == graph.kind(2) == 0b111
    assert [graph.losses(i) for i in range(5)] == [0, 0, 0, 3, 4]
    assert [graph.wins(i) for i in range(5)] == [2, 2, 2, 1, 0]
    assert all(graph.settled(i) for i in range(5))


@pytest.mark.parametrize(
    ("n", "window", "repeats"), [(100, 20, 4), (100, 10, 2), (95, 20, 4), (21, 20, 3), (7, 20, 2)]
)
def test_blocks_hold_each_candidate_as_often_as_asked(n: int, window: int, repeats: int) -> None:
    made = blocks(n, window, repeats)
    assert len(made) == (math.ceil(repeats * n / window) if n > window else repeats)
    assert all(len(set(block)) == len(block) == min(window, n) for block in made)
    counts = Counter(i for block in made for i in block)
    assert set(counts) == set(range(n))
    assert set(counts.values()) <= {repeats, repeats + 1}


def test_jointrank_is_one_round_of_twenty_calls() -> None:
    relevance = shuffled(100)
    driven = drive(jointrank(100, 10), by_relevance(relevance))
    assert (driven.tasks, driven.rounds) == (20, 1)
    assert len(set(driven.result[:10]) & set(true_order(relevance)[:10])) >= 8


def test_jointrank_of_one_block_is_that_block() -> None:
    relevance = shuffled(12)
    driven = drive(jointrank(12, 10), by_relevance(relevance))
    assert driven.result == true_order(relevance)


def test_page_rank_by_hand() -> None:
    """Two that lose to one another and one that loses to both: a + b = 1 − c, c = 0.05."""
    weight = page_rank([{1: 1}, {0: 1}, {0: 1, 1: 1}])
    assert weight == pytest.approx([0.475, 0.475, 0.05])
    assert page_rank([{}, {}, {}]) == pytest.approx([1 / 3] * 3)


def test_beliefs_are_those_that_trueskill_publishes() -> None:
    """Two and three newcomers, as trueskill.org prints them."""
    two, three = rated([Belief()] * 2), rated([Belief()] * 3)
    assert [b.mean for b in two] == pytest.approx([29.396, 20.604], abs=1e-3)
    assert [b.deviation for b in two] == pytest.approx([7.171, 7.171], abs=1e-3)
    assert [b.mean for b in three] == pytest.approx([31.675, 25.000, 18.325], abs=1e-3)
    assert [b.deviation for b in three] == pytest.approx([6.656, 6.208, 6.656], abs=1e-3)
    assert rated([Belief(3, 2)]) == [Belief(3, 2)]


@pytest.mark.parametrize("seed", range(3))
def test_acurank_asks_on_while_the_best_are_uncertain(seed: int) -> None:
    relevance = shuffled(100, seed)
    watched = Watched(by_relevance(relevance))
    driven = drive(acurank(100, 10), watched)
    assert [len(tasks) for tasks in watched.rounds[:1]] == [5]
    assert 8 <= driven.tasks <= 14
    assert len(set(driven.result[:10]) & set(true_order(relevance)[:10])) >= 8
    for tasks in watched.rounds:
        asked = [i for task in tasks for i in task.candidates]
        assert len(asked) == len(set(asked)), "windows of a round share nobody"
