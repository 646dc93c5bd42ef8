"""Golden traces of the sorts, and the published algorithms that they must equal call for call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from e2r.ranking import method
from e2r.ranking.plan import Prefer, Task, drive
from tests.ranking.answering import Answer, Watched, by_relevance, shuffled


@pytest.mark.parametrize("n", [0, 1, 2, 19, 20, 21, 95, 1000])
def test_pointwise_asks_once_a_candidate_in_one_round(n: int) -> None:
    driven = drive(method("pointwise.qlm").plan(n, 10), by_relevance(shuffled(n)))
    assert (driven.tasks, driven.rounds) == (n, min(n, 1))


def test_pointwise_ties_keep_first_stage_order_and_unscored_come_last() -> None:
    scores = [0.5, None, 0.9, 0.5, 0.9]
    driven = drive(
        method("pointwise.yes_no").plan(5, 5), lambda t: [scores[x.candidate] for x in t]
    )
    assert driven.result == [2, 4, 0, 3, 1]


def recursive_heapsort(n: int, k: int, children: int, best: Callable[[list[int]], int]) -> Any:
    """The published algorithm as its authors wrote it down: recursive and sequential."""
    arr, calls = list(range(n)), []

    def heapify(size: int, i: int) -> None:
        if children * i + 1 < size:
            places = [i, *range(children * i + 1, min(children * (i + 1) + 1, size))]
            docs = [arr[p] for p in places]
            calls.append(tuple(docs))
            largest = places[docs.index(best(docs))]
            if largest != i:
                arr[i], arr[largest] = arr[largest], arr[i]
                heapify(size, largest)

    for i in range(n // children, -1, -1):
        heapify(n, i)
    for ranked, i in enumerate(range(n - 1, 0, -1), start=1):
        arr[i], arr[0] = arr[0], arr[i]
        if ranked == k:
            break
        heapify(i, 0)
    top = arr[::-1][: min(k, n)]
    return top + [i for i in range(n) if i not in top], calls


@pytest.mark.parametrize("n", [1, 2, 3, 4, 10, 20, 57, 100])
@pytest.mark.parametrize("set_size", [2, 3, 4, 10])
@pytest.mark.parametrize("k", [1, 10, 100])
def test_setwise_heapsort_makes_the_published_calls(n: int, set_size: int, k: int) -> None:
    """The same ranking and the same calls, siblings of a level asked in one round."""
    relevance = shuffled(n, seed=11)
    expected, calls = recursive_heapsort(
        n, k, set_size - 1, lambda docs: max(docs, key=lambda i: relevance[i])
    )
    watched = Watched(by_relevance(relevance))
    driven = drive(method("setwise.heapsort").plan(n, k, set_size=set_size), watched)
    assert driven.result == expected
    assert sorted(shown for sets in watched.sets for shown in sets) == sorted(calls)
    assert driven.rounds <= driven.tasks


def recursive_pairwise_heapsort(n: int, k: int, wins: Callable[[int, int], bool]) -> Any:
    """The published binary heap: each child is compared with the largest so far."""
    arr, compared = list(range(n)), []

    def greater(a: int, b: int) -> bool:
        compared.append((a, b))
        return wins(a, b)

    def heapify(size: int, i: int) -> None:
        largest = i
        if 2 * i + 1 < size and greater(arr[2 * i + 1], arr[i]):
            largest = 2 * i + 1
        if 2 * i + 2 < size and greater(arr[2 * i + 2], arr[largest]):
            largest = 2 * i + 2
        if largest != i:
            arr[i], arr[largest] = arr[largest], arr[i]
            heapify(size, largest)

    for i in range(n // 2, -1, -1):
        heapify(n, i)
    for ranked, i in enumerate(range(n - 1, 0, -1), start=1):
        arr[i], arr[0] = arr[0], arr[i]
        if ranked == k:
            break
        heapify(i, 0)
    top = arr[::-1][:k]
    return top + [i for i in range(n) if i not in top], compared


def published_bubblesort(n: int, k: int, wins: Callable[[int, int], bool]) -> Any:
    """The published passes from the bottom, with their bookkeeping of unchanged pairs."""
    ranking, compared = list(range(n)), []
    bottom = n - 1
    for front in range(min(k, n)):
        place, moved = bottom, False
        while place > front:
            compared.append((ranking[place], ranking[place - 1]))
            if wins(ranking[place], ranking[place - 1]):
                ranking[place - 1], ranking[place] = ranking[place], ranking[place - 1]
                if not moved and bottom != n - 1:
                    bottom += 1
                moved = True
            if not moved:
                bottom -= 1
            place -= 1
    return ranking[:k] + [i for i in range(n) if i not in ranking[:k]], compared


def inconsistent(seed: int) -> Answer:
    """Preferences that follow the order shown for one pair in three."""
    relevance = shuffled(200, seed)

    def one(task: Task) -> Any:
        i, j = task.candidates
        biased = (i * j + seed) % 3 == 0
        return True if biased else relevance[i] > relevance[j]

    return lambda tasks: [one(task) for task in tasks]


@pytest.mark.parametrize("name", ["pairwise.heapsort", "pairwise.bubblesort"])
@pytest.mark.parametrize("n", [0, 1, 2, 3, 10, 57, 100])
@pytest.mark.parametrize("k", [1, 10, 100])
@pytest.mark.parametrize("seed", [None, 1, 2])
def test_pairwise_sorts_make_the_published_calls(
    name: str, n: int, k: int, seed: int | None
) -> None:
    """Consistent or not, both orders of every published comparison are asked, in one round."""
    answer = by_relevance(shuffled(n, seed=3)) if seed is None else inconsistent(seed)

    def wins(a: int, b: int) -> bool:
        first, second = answer([Prefer(a, b), Prefer(b, a)])
        return first is True and second is False

    published = {
        "pairwise.heapsort": recursive_pairwise_heapsort,
        "pairwise.bubblesort": published_bubblesort,
    }[name]
    expected, compared = published(n, k, wins)
    watched = Watched(answer)
    driven = drive(method(name).plan(n, k), watched)
    assert driven.result == expected
    asked = [pair for sets in watched.sets for pair in sets]
    assert sorted(asked[::2]) == sorted(compared)
    assert asked[1::2] == [(b, a) for a, b in asked[::2]]


def trace(name: str, n: int, k: int, answer: Answer, **parameters: int) -> tuple[Any, list[int]]:
    watched = Watched(answer)
    driven = drive(method(name).plan(n, k, **parameters), watched)
    return watched.sets, driven.result


def larger_index(tasks: Sequence[Task]) -> list[Any]:
    """The last candidate of the first stage is the best."""
    return by_relevance([float(i) for i in range(100)])(tasks)


def test_setwise_heapsort_golden_trace() -> None:
    """Seven candidates, the last the best: two sub-heaps share the first round."""
    asked, ranking = trace("setwise.heapsort", 7, 2, larger_index)
    assert asked == [
        [(1, 3, 4), (2, 5, 6)],
        [(0, 4, 6)],
        [(0, 5, 2)],
        [(2, 4, 5)],
        [(2, 0)],
    ]
    assert ranking == [6, 5, 0, 1, 2, 3, 4]


def test_setwise_bubblesort_golden_trace() -> None:
    """Where nothing moved, the second pass asks only about the window that lost its first."""
    asked, ranking = trace("setwise.bubblesort", 6, 2, larger_index, set_size=3)
    assert asked == [[(3, 4, 5)], [(1, 2, 5)], [(0, 5)], [(1, 4, 3)], [(0, 2, 4)]]
    assert ranking[:2] == [5, 4]


def test_setwise_insertion_golden_trace() -> None:
    """Five candidates, two wanted: the third and fourth lose together to the second."""
    relevance = [3.0, 4.0, 1.0, 2.0, 5.0]
    asked, ranking = trace("setwise.insertion", 5, 2, by_relevance(relevance))
    assert asked == [[(0, 1)], [(0, 2, 3)], [(0, 4)], [(1, 4)]]
    assert ranking == [4, 1, 0, 2, 3]


def test_pairwise_golden_traces() -> None:
    asked, ranking = trace("pairwise.heapsort", 4, 1, larger_index)
    assert asked == [
        [(3, 1), (1, 3)],
        [(3, 0), (0, 3)],
        [(2, 3), (3, 2)],
        [(1, 0), (0, 1)],
    ]
    assert ranking == [3, 0, 1, 2]
    asked, ranking = trace("pairwise.bubblesort", 3, 3, larger_index)
    assert asked == [[(2, 1), (1, 2)], [(2, 0), (0, 2)], [(1, 0), (0, 1)]]
    assert ranking == [2, 1, 0]
    asked, ranking = trace("pairwise.allpair", 3, 3, larger_index)
    assert asked == [[(0, 1), (1, 0), (0, 2), (2, 0), (1, 2), (2, 1)]]
    assert ranking == [2, 1, 0]


def test_allpair_shares_a_point_where_the_orders_disagree_and_ties_keep_their_order() -> None:
    """Only (2, 0) is a consistent win; the rest are halves."""

    def answer(tasks: Sequence[Any]) -> list[Any]:
        return [True if set(t.candidates) != {0, 2} else t.candidates[0] == 2 for t in tasks]

    assert drive(method("pairwise.allpair").plan(4, 4), answer).result == [2, 1, 3, 0]
    nothing = drive(method("pairwise.allpair").plan(4, 4), lambda t: [None] * len(t))
    assert nothing.result == [0, 1, 2, 3]


def test_duels_are_won_by_the_larger_probability() -> None:
    """Both orders favour the one shown first; the difference decides."""
    chances = {(0, 1): 0.7, (1, 0): 0.9}
    driven = drive(
        method("pairwise.duot5").plan(2, 2), lambda t: [chances[x.candidates] for x in t]
    )
    assert driven.result == [1, 0]
    summed = drive(
        method("pairwise.duot5.allpair").plan(2, 2), lambda t: [chances[x.candidates] for x in t]
    )
    assert summed.result == [1, 0]


def test_a_non_answer_keeps_who_was_in_front() -> None:
    for name in ("setwise.heapsort", "setwise.bubblesort", "setwise.insertion"):
        driven = drive(method(name).plan(20, 5), lambda t: [None for _ in t])
        assert driven.result[0] == 0


@pytest.mark.parametrize(("n", "calls"), [(100, 13), (20, 3), (21, 4), (2, 0), (1, 0), (0, 0)])
def test_a_tournament_has_the_published_stages(n: int, calls: int) -> None:
    watched = Watched(by_relevance(shuffled(n)))
    driven = drive(method("tournament.tourrank").plan(n, 10, tournaments=3), watched)
    assert driven.tasks == 3 * calls
    stages = [len(tasks) // 3 for tasks in watched.rounds]
    assert sum(stages) == calls
    if n == 100:
        assert stages == [5, 5, 1, 1, 1]
        shown = [{(len(t.candidates), t.count) for t in tasks} for tasks in watched.rounds]
        assert shown == [{(20, 10)}, {(10, 4)}, {(20, 10)}, {(10, 5)}, {(5, 2)}]
        assert driven.rounds == 5


def test_a_perfect_oracle_wins_the_tournament_with_the_true_best_two() -> None:
    """Points are tiers: the two best are always in front, their order is the first stage's."""
    for n in (3, 19, 20, 21, 95, 100, 1000):
        relevance = shuffled(n)
        driven = drive(
            method("tournament.tourrank").plan(n, 10, tournaments=2), by_relevance(relevance)
        )
        best = sorted(range(n), key=lambda i: -relevance[i])[:2]
        assert set(driven.result[:2]) == set(best)
