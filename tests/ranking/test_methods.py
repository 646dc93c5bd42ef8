"""Laws that every ranking method keeps, and golden facts of each."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from e2r.errors import UsageError
from e2r.ranking import METHODS, method
from e2r.ranking.plan import Choose, Order, Prefer, Score, Task, drive, together

NAMES = sorted(METHODS)
ASKING = [name for name in NAMES if name != "first_stage"]
SIZES = [0, 1, 2, 9, 10, 11, 19, 20, 21, 95, 100, 1000]
TOPS = [1, 10, 2000]

Answer = Callable[[Sequence[Task]], list[Any]]


def by_relevance(relevance: Sequence[float]) -> Answer:
    """A perfect answerer for candidates of distinct relevance."""

    def one(task: Task) -> Any:
        match task:
            case Score(candidate=i):
                return relevance[i]
            case Prefer(candidate=i, over=j):
                return relevance[i] > relevance[j]
            case Choose(candidates=several):
                return max(several, key=lambda i: relevance[i])
            case Order(candidates=several):
                return tuple(sorted(several, key=lambda i: -relevance[i]))

    return lambda tasks: [one(task) for task in tasks]


def wild(seed: int) -> Answer:
    """Contradictory, random and missing answers."""
    generator = random.Random(seed)

    def one(task: Task) -> Any:
        if generator.random() < 0.3:
            return None
        match task:
            case Score():
                return generator.choice([0.0, 1.0, generator.random()])
            case Prefer():
                return generator.random() < 0.5
            case Choose(candidates=several):
                return generator.choice(several)
            case Order(candidates=several):
                return tuple(generator.sample(several, len(several)))

    return lambda tasks: [one(task) for task in tasks]


def shuffled(n: int, seed: int = 5) -> list[float]:
    relevance = [float(i) for i in range(n)]
    random.Random(seed).shuffle(relevance)
    return relevance


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("k", TOPS)
def test_the_output_is_a_permutation_whatever_is_answered(name: str, n: int, k: int) -> None:
    if n == 1000 and k == 2000 and name == "setwise.heapsort":
        k = 100
    asked: list[Sequence[Task]] = []
    answer = wild(n + k)

    def watched(tasks: Sequence[Task]) -> list[Any]:
        asked.append(tasks)
        return answer(tasks)

    driven = drive(method(name).plan(n, k), watched)
    assert sorted(driven.result) == list(range(n))
    for tasks in asked:
        assert tasks, "a plan never yields an empty round"
        for task in tasks:
            assert len(set(task.candidates)) == len(task.candidates)
            assert all(0 <= i < n for i in task.candidates)


@pytest.mark.parametrize("name", ASKING)
@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("k", [1, 10])
def test_a_perfect_oracle_puts_the_true_top_in_front(name: str, n: int, k: int) -> None:
    relevance = shuffled(n)
    driven = drive(method(name).plan(n, k), by_relevance(relevance))
    assert driven.result[:k] == sorted(range(n), key=lambda i: -relevance[i])[:k]


@pytest.mark.parametrize("name", ASKING)
def test_together_asks_and_ranks_as_alone(name: str) -> None:
    """A query's calls and ranking do not depend on who else is under way."""
    sizes = [0, 1, 7, 30, 100]
    relevances = [shuffled(n, seed=n) for n in sizes]

    def tagged(number: int, log: list[Any]) -> Any:
        plan = method(name).plan(sizes[number], 10)
        answer = by_relevance(relevances[number])
        try:
            tasks = next(plan)
            while True:
                log.append(tasks)
                yield [(number, task) for task in tasks]
                tasks = plan.send(answer(tasks))
        except StopIteration as end:
            return end.value

    alone: list[list[Any]] = [[] for _ in sizes]
    results = [
        drive(tagged(number, alone[number]), lambda t: [None] * len(t)).result
        for number in range(len(sizes))
    ]
    for at_least in (None, 1, 16):
        merged: list[list[Any]] = [[] for _ in sizes]
        plans = (tagged(number, merged[number]) for number in range(len(sizes)))
        driven = drive(together(plans, at_least), lambda t: [None] * len(t))
        assert driven.result == results
        assert merged == alone


@pytest.mark.parametrize("n", SIZES)
def test_pointwise_asks_once_a_candidate_in_one_round(n: int) -> None:
    driven = drive(method("pointwise.qlm").plan(n, 10), by_relevance(shuffled(n)))
    assert (driven.tasks, driven.rounds) == (n, min(n, 1))


def test_pointwise_ties_keep_first_stage_order_and_unscored_come_last() -> None:
    scores = [0.5, None, 0.9, 0.5, 0.9]
    driven = drive(
        method("pointwise.yes_no").plan(5, 5), lambda t: [scores[x.candidate] for x in t]
    )
    assert driven.result == [2, 4, 0, 3, 1]


@pytest.mark.parametrize("n", [2, 19, 20, 21, 30, 95, 100, 101])
@pytest.mark.parametrize(("window", "step"), [(20, 10), (4, 2), (5, 5)])
def test_listwise_calls_follow_the_formula(n: int, window: int, step: int) -> None:
    plan = method("listwise.generation").plan(n, 10, window=window, step=step, repeats=2)
    driven = drive(plan, by_relevance(shuffled(n)))
    assert driven.tasks == 2 * (max(0, math.ceil((n - window) / step)) + 1)


def test_listwise_windows_reach_the_top_and_short_lists_are_asked() -> None:
    windows: list[tuple[int, ...]] = []

    def keep(tasks: Sequence[Task]) -> list[Any]:
        windows.extend(task.candidates for task in tasks)
        return [None for _ in tasks]

    drive(method("listwise.generation").plan(45, 10), keep)
    assert [(w[0], w[-1]) for w in windows] == [(25, 44), (15, 34), (5, 24), (0, 14)]
    windows.clear()
    drive(method("listwise.generation").plan(3, 10), keep)
    assert windows == [(0, 1, 2)]


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
def test_heapsort_makes_the_published_calls(n: int, set_size: int, k: int) -> None:
    """The same ranking and the same calls, siblings of a level asked in one round."""
    relevance = shuffled(n, seed=11)
    expected, calls = recursive_heapsort(
        n, k, set_size - 1, lambda docs: max(docs, key=lambda i: relevance[i])
    )
    made: list[tuple[int, ...]] = []

    def answer(tasks: Sequence[Task]) -> list[Any]:
        made.extend(task.candidates for task in tasks)
        return by_relevance(relevance)(tasks)

    driven = drive(method("setwise.heapsort").plan(n, k, set_size=set_size), answer)
    assert driven.result == expected
    assert sorted(made) == sorted(calls)
    assert driven.rounds <= driven.tasks


def test_heapsort_golden_trace() -> None:
    """Seven candidates, the last the best: two sub-heaps share the first round."""
    trace: list[list[tuple[int, ...]]] = []

    def answer(tasks: Sequence[Task]) -> list[Any]:
        trace.append([task.candidates for task in tasks])
        return [max(task.candidates) for task in tasks]

    driven = drive(method("setwise.heapsort").plan(7, 2), answer)
    assert trace == [
        [(1, 3, 4), (2, 5, 6)],
        [(0, 4, 6)],
        [(0, 5, 2)],
        [(2, 4, 5)],
        [(2, 0)],
    ]
    assert driven.result == [6, 5, 0, 1, 2, 3, 4]


def test_heapsort_keeps_the_parent_where_nothing_was_answered() -> None:
    driven = drive(method("setwise.heapsort").plan(20, 5), lambda t: [None for _ in t])
    assert driven.result[0] == 0


def test_unknown_names_and_parameters_are_refused_with_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"did you mean setwise\.heapsort"):
        method("setwise.heap_sort")
    with pytest.raises(UsageError, match="did you mean set_size"):
        method("setwise.heapsort").complete({"setsize": 3})
    with pytest.raises(UsageError, match="at least 2"):
        method("setwise.heapsort").complete({"set_size": 1})
    with pytest.raises(UsageError, match="never be asked"):
        method("listwise.generation").complete({"window": 5, "step": 6})


def test_every_method_says_what_it_is() -> None:
    for name in METHODS:
        found = method(name)
        assert found.name == name
        assert found.source
        assert found.calls
        assert found.summary
