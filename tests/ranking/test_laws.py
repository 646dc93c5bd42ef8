"""Laws that every ranking method keeps, over all methods, sizes and depths."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from e2r.errors import UsageError
from e2r.ranking import METHODS, method
from e2r.ranking.method import FIDELITIES, Method
from e2r.ranking.plan import Task, drive, together
from tests.ranking.answering import Answer, Watched, by_relevance, shuffled, wild

NAMES = sorted(METHODS)
ASKING = [name for name in NAMES if name != "first_stage"]
SIZES = [0, 1, 2, 3, 4, 9, 10, 11, 19, 20, 21, 95, 100, 101, 1000]
QUICK = 60_000
"""Calls beyond which a case takes seconds, and is marked slow."""


def tops(n: int) -> list[int]:
    return sorted({1, 10, max(n, 1), 2 * n + 1})


def cases() -> list[Any]:
    """Every method × n × k."""
    return [
        pytest.param(name, n, k, id=f"{name}-{n}-{k}", marks=marks(method(name).bound(n, k)))
        for name in NAMES
        for n in SIZES
        for k in tops(n)
    ]


def marks(calls: int) -> list[pytest.MarkDecorator]:
    return [pytest.mark.slow] if calls > QUICK else []


def in_order(found: Method, n: int, k: int) -> int:
    """How many of the top k a perfect answerer must bring to the front in their order.

    One pass of windows carries no more than what two neighbours share; the points of a tournament
    are tiers, see the tournament's own test.
    """
    if found.name == "tournament.blitzrank":
        return min(k, n)
    if found.family in ("tournament", "partition"):
        return 0
    shared = found.parameters.get("window", n) - found.parameters.get("step", 0)
    return min(k, n) if n <= found.parameters.get("window", n) else min(k, shared)


@pytest.mark.parametrize(("name", "n", "k"), cases())
def test_whatever_is_answered(name: str, n: int, k: int) -> None:
    """The output is a permutation, the bound holds, and every question makes sense."""
    found = method(name)
    watched = Watched(wild(n + k))
    driven = drive(found.plan(n, k), watched)
    assert sorted(driven.result) == list(range(n))
    assert driven.tasks <= found.bound(n, k)
    if found.exact:
        assert driven.tasks == found.bound(n, k)
    for tasks in watched.rounds:
        assert tasks, "a plan never yields an empty round"
        for task in tasks:
            assert len(set(task.candidates)) == len(task.candidates) > 0
            assert all(0 <= i < n for i in task.candidates)


@pytest.mark.parametrize(("name", "n", "k"), cases())
def test_a_perfect_oracle_puts_the_true_top_in_front(name: str, n: int, k: int) -> None:
    if name == "first_stage":
        return
    found = method(name)
    relevance = shuffled(n)
    driven = drive(found.plan(n, k), by_relevance(relevance))
    assert driven.tasks <= found.bound(n, k)
    first = in_order(found, n, k)
    assert driven.result[:first] == sorted(range(n), key=lambda i: -relevance[i])[:first]


@settings(max_examples=120, deadline=None)
@given(
    name=st.sampled_from([name for name in ASKING if method(name).parameters]),
    n=st.integers(0, 60),
    k=st.integers(1, 70),
    sizes=st.tuples(st.integers(2, 23), st.integers(1, 23), st.integers(1, 3)),
    seed=st.integers(0, 10_000),
    perfect=st.booleans(),
)
def test_laws_hold_for_any_parameters(
    name: str, n: int, k: int, sizes: tuple[int, int, int], seed: int, perfect: bool
) -> None:
    large, step, few = sizes
    found = method(name)
    given_sizes = {
        "set_size": large,
        "window": large,
        "step": min(step, large),
        "pivot": min(few, large),
    }
    values = {key: given_sizes.get(key, few) for key in found.parameters}
    parameters = found.complete(values)
    relevance = shuffled(n, seed)
    answer = by_relevance(relevance) if perfect else wild(seed)
    driven = drive(found.plan(n, k, **parameters), answer)
    assert sorted(driven.result) == list(range(n))
    bound = found.bound(n, k, **parameters)
    assert driven.tasks == bound if found.exact else driven.tasks <= bound
    if perfect and found.family in ("setwise", "pairwise"):
        first = min(k, n)
        assert driven.result[:first] == sorted(range(n), key=lambda i: -relevance[i])[:first]


@settings(max_examples=60, deadline=None)
@given(
    name=st.sampled_from(ASKING),
    n=st.integers(0, 40),
    k=st.integers(1, 41),
    seed=st.integers(0, 10_000),
)
def test_its_own_answers_lead_to_the_same_ranking(name: str, n: int, k: int, seed: int) -> None:
    """Replaying what was answered asks the same and ranks the same: a plan has no other state."""
    answer = wild(seed)
    heard: list[list[Any]] = []

    def recorded(tasks: Sequence[Task]) -> list[Any]:
        heard.append(answer(tasks))
        return heard[-1]

    first = Watched(recorded)
    driven = drive(method(name).plan(n, k), first)
    replayed = iter(heard)
    second = Watched(lambda tasks: next(replayed))
    assert drive(method(name).plan(n, k), second) == driven
    assert second.rounds == first.rounds


@pytest.mark.parametrize("name", ASKING)
def test_together_asks_and_ranks_as_alone(name: str) -> None:
    """A query's calls and ranking do not depend on who else is under way."""
    sizes = [0, 1, 7, 30, 60]
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

    def silent(tasks: Sequence[Any]) -> list[None]:
        return [None] * len(tasks)

    alone: list[list[Any]] = [[] for _ in sizes]
    results = [drive(tagged(number, alone[number]), silent).result for number in range(len(sizes))]
    for at_least in (None, 1, 16):
        merged: list[list[Any]] = [[] for _ in sizes]
        plans = (tagged(number, merged[number]) for number in range(len(sizes)))
        driven = drive(together(plans, at_least), silent)
        assert driven.result == results
        assert merged == alone


@pytest.mark.parametrize("name", ASKING)
@pytest.mark.parametrize("answers", ["missing", "first", "last"])
def test_stubborn_answers_end_within_the_bound(name: str, answers: str) -> None:
    """Nothing usable, always the first shown, always the last shown."""
    found = method(name)

    def by_place(tasks: Sequence[Task]) -> list[Any]:
        places: dict[str, Answer] = {
            "first": by_place_of(lambda place, shown: shown - place),
            "last": by_place_of(lambda place, shown: place),
        }
        return places[answers](tasks) if answers in places else [None] * len(tasks)

    for n in (2, 57, 100):
        driven = drive(found.plan(n, 10), by_place)
        assert sorted(driven.result) == list(range(n))
        assert driven.tasks <= found.bound(n, 10)


def by_place_of(value: Any) -> Answer:
    """An answerer that sees nothing but the place at which a candidate is shown."""

    def one(task: Task) -> Any:
        shown = task.candidates
        ranks = {i: float(value(place, len(shown))) for place, i in enumerate(shown)}
        relevance = [ranks.get(i, 0.0) for i in range(max(shown) + 1)]
        return by_relevance(relevance)([task])[0]

    return lambda tasks: [one(task) for task in tasks]


@pytest.mark.parametrize("name", ASKING)
def test_no_plan_recurses(name: str) -> None:
    """Thirty frames are enough, for a heap that is a chain as for any other."""
    found = method(name)
    parameters = {"set_size": 2} if "set_size" in found.parameters else {}
    relevance = [float(i) for i in range(100)]
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack()) + 30)
    try:
        driven = drive(found.plan(100, 10, **parameters), by_relevance(relevance))
    finally:
        sys.setrecursionlimit(limit)
    assert sorted(driven.result) == list(range(100))


def test_unknown_names_and_parameters_are_refused_with_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"did you mean setwise\.heapsort"):
        method("setwise.heap_sort")
    with pytest.raises(UsageError, match="did you mean set_size"):
        method("setwise.heapsort").complete({"setsize": 3})
    with pytest.raises(UsageError, match="at least 2"):
        method("setwise.heapsort").complete({"set_size": 1})
    with pytest.raises(UsageError, match="never be asked"):
        method("listwise.generation").complete({"window": 5, "step": 6})
    with pytest.raises(UsageError, match="labels for 23 passages"):
        method("setwise.heapsort").complete({"set_size": 24})
    with pytest.raises(UsageError, match="labels for 26 passages"):
        method("listwise.first").complete({"window": 27})
    with pytest.raises(UsageError, match="did you mean llm-rankers"):
        method("setwise.heapsort").under("llm_rankers")
    with pytest.raises(UsageError, match="llm-rankers has no such method"):
        method("tournament.tourrank").under("llm-rankers")


def test_every_method_says_what_it_is() -> None:
    for name in METHODS:
        found = method(name)
        assert found.name == name
        assert found.source
        assert found.calls
        assert found.rounds
        assert found.summary
        assert found.under("mended") is found
    assert set(FIDELITIES) == {"mended", "llm-rankers"}
