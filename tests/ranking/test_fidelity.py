"""What fidelity llm-rankers changes in plans: each fault of that project, and that it is kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from e2r.ranking import METHODS, method
from e2r.ranking.plan import Task, drive
from tests.ranking.answering import Watched, by_relevance, shuffled, wild

PUBLISHED = sorted(name for name in METHODS if method(name).llm_rankers is not None)


def sequential_setwise_bubblesort(
    n: int, k: int, c: int, best: Callable[[list[int]], int | None]
) -> tuple[list[int], list[tuple[int, ...]]]:
    """llm-rankers' setwise bubblesort as it stands there: one index for where a pass starts.

    `best` gives the place of the winner in a window, or None where nothing usable was said.
    """
    docs, asked = list(range(n)), []
    last_start = n - (c + 1)
    for i in range(k):
        start, end, is_change = last_start, last_start + c + 1, False
        while True:
            start = max(start, i)
            window = docs[start:end]
            asked.append(tuple(window))
            winner = best(window) or 0
            if winner != 0:
                docs[start], docs[start + winner] = docs[start + winner], docs[start]
                if not is_change:
                    is_change = True
                    if last_start != n - (c + 1) and winner == len(window) - 1:
                        last_start += len(window) - 1
            if start == i:
                break
            if not is_change:
                last_start -= c
            start -= c
            end -= c
    top = docs[:k]
    return top + [i for i in range(n) if i not in top], asked


@settings(max_examples=80, deadline=None)
@given(n=st.integers(1, 60), k=st.integers(1, 70), c=st.integers(1, 15), seed=st.integers(0, 999))
def test_setwise_bubblesort_is_that_of_the_reference(n: int, k: int, c: int, seed: int) -> None:
    relevance = shuffled(n, seed)
    perfect = by_relevance(relevance)

    def best(window: list[int]) -> int | None:
        return max(range(len(window)), key=lambda p: relevance[window[p]], default=None)

    expected, asked = sequential_setwise_bubblesort(n, k, c, best)
    watched = Watched(perfect)
    found = method("setwise.bubblesort").under("llm-rankers")
    driven = drive(found.plan(n, k, set_size=c + 1), watched)
    assert driven.result == expected
    assert [shown for sets in watched.sets for shown in sets] == asked


def correlated(n: int, seed: int, noise: float = 1.0) -> list[float]:
    """Distinct relevances that follow the first stage, the more so the less noise there is."""
    drawn = shuffled(n, seed)
    return [noise * drawn[i] - i * (1 + 1e-6) for i in range(n)]


def missed(fidelity: str, set_size: int, noise: float = 1.0, trials: int = 60) -> float:
    """The share of trials in which a perfect oracle does not bring the true top ten to the top."""
    found = method("setwise.bubblesort").under(fidelity)
    wrong = 0
    for seed in range(trials):
        relevance = correlated(100, seed, noise)
        driven = drive(found.plan(100, 10, set_size=set_size), by_relevance(relevance))
        wrong += set(driven.result[:10]) != set(
            sorted(range(100), key=lambda i: -relevance[i])[:10]
        )
    return wrong / trials


def test_fault_1_windows_skipped_wrongly_lose_the_top_ten() -> None:
    """More than half of all trials for large sets; for small ones where the order was good."""
    assert missed("llm-rankers", 15) > 0.5
    assert missed("llm-rankers", 10) > 0.5
    assert missed("llm-rankers", 4) == missed("llm-rankers", 3) == 0
    assert missed("llm-rankers", 3, noise=0.2) > 0.2
    for set_size in (3, 4, 10, 15):
        assert missed("mended", set_size) == missed("mended", set_size, noise=0.2) == 0


def test_fault_1_k_is_not_clamped() -> None:
    """A pass for each of k, though there are but four candidates; a prompt may have no passage."""
    watched = Watched(by_relevance([4.0, 3.0, 2.0, 1.0]))
    found = method("setwise.bubblesort").under("llm-rankers")
    driven = drive(found.plan(4, 9), watched)
    assert driven.result == [0, 1, 2, 3]
    assert watched.sets[-1] == [()]
    assert driven.tasks >= 9
    mended = drive(method("setwise.bubblesort").plan(4, 9), by_relevance([4.0, 3.0, 2.0, 1.0]))
    assert mended.tasks <= 6


@pytest.mark.parametrize("name", ["listwise.generation", "listwise.likelihood"])
def test_fault_2_windows_do_not_reach_the_top_of_odd_lists(name: str) -> None:
    found = method(name).under("llm-rankers")
    assert drive(found.plan(19, 10), lambda t: []).tasks == 0
    watched = Watched(by_relevance([float(i) for i in range(95)]))
    driven = drive(found.plan(95, 10, window=20, step=10), watched)
    assert {i for sets in watched.sets for shown in sets for i in shown}.isdisjoint(range(5))
    assert driven.result[:5] == [0, 1, 2, 3, 4]
    for n in (20, 30, 100):
        whole = drive(found.plan(n, 10, repeats=2), lambda t: [None] * len(t))
        assert whole.tasks == 2 * ((n - 20) // 10 + 1)
    mended = Watched(by_relevance([float(i) for i in range(95)]))
    drive(method(name).plan(95, 10), mended)
    assert set(range(95)) == {i for sets in mended.sets for shown in sets for i in shown}


def test_fault_3_a_comparison_is_two_calls() -> None:
    """llm-rankers counts comparisons; a ledger holds both prompts of each."""
    relevance = shuffled(30)
    driven = drive(
        method("pairwise.heapsort").under("llm-rankers").plan(30, 10), by_relevance(relevance)
    )
    assert driven.tasks % 2 == 0


def test_fault_5_ties_go_to_whoever_had_points_first() -> None:
    """Candidate 1 loses to 0 and 2 wins over 0: all have one point and 2 came after 0."""

    def cycle(tasks: Sequence[Any]) -> list[Any]:
        wins = {(0, 1), (1, 2), (2, 0)}
        return [task.candidates in wins for task in tasks]

    found = method("pairwise.allpair")
    assert drive(found.plan(3, 3), cycle).result == [0, 1, 2]
    assert drive(found.under("llm-rankers").plan(3, 3), cycle).result == [0, 2, 1]


def test_fault_5_the_rest_keeps_its_first_stage_order() -> None:
    relevance = shuffled(12)
    found = method("pairwise.allpair")
    best = sorted(range(12), key=lambda i: -relevance[i])
    assert drive(found.plan(12, 3), by_relevance(relevance)).result == best
    kept = drive(found.under("llm-rankers").plan(12, 3), by_relevance(relevance)).result
    assert kept == best[:3] + sorted(best[3:])


@pytest.mark.parametrize("name", PUBLISHED)
@pytest.mark.parametrize("n", [0, 1, 2, 5, 19, 21, 60])
@pytest.mark.parametrize("k", [1, 10, 70])
def test_every_reference_plan_ends_with_a_permutation(name: str, n: int, k: int) -> None:
    driven = drive(method(name).under("llm-rankers").plan(n, k), wild(n + k))
    assert sorted(driven.result) == list(range(n))


@pytest.mark.parametrize(
    "name", [name for name in PUBLISHED if method(name).llm_rankers == method(name).plan]
)
def test_the_other_methods_have_one_plan(name: str) -> None:
    assert method(name).under("llm-rankers").plan == method(name).plan


def test_a_reference_task_may_show_nothing_and_is_still_answered() -> None:
    def first(tasks: Sequence[Task]) -> list[Any]:
        return [task.candidates[0] if task.candidates else None for task in tasks]

    driven = drive(method("setwise.bubblesort").under("llm-rankers").plan(10, 5), first)
    assert driven.result == list(range(10))
