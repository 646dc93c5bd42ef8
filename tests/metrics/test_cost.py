"""Cost: equal to FLOPs added up by hand, exact at any size, from the ledger alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from e2r.errors import DataError, UsageError
from e2r.metrics.cost import matched, price, sum_by
from e2r.metrics.runs.recorded import Recorded

# LLAMA: width 64, FFN 160, 2 layers, 4 heads of 16 that share 2 pairs of keys and values.
WEIGHTS = 2 * (64 * 64 + 2 * 64 * 32 + 64 * 64 + 3 * 64 * 160)
HEAD = 64 * 1000


def ideal(prompt: int, generated: int, head: int) -> int:
    """2 FLOPs a weight and token, 4·width FLOPs a layer and attended pair, the head where read."""
    steps = max(generated, 1) - 1
    tokens = prompt + steps
    pairs = tokens * (tokens + 1) // 2
    return 2 * WEIGHTS * tokens + 2 * 4 * 64 * pairs + 2 * HEAD * (head + steps)


def test_queries_cost_what_their_calls_cost_by_hand(make_run) -> None:
    run = Recorded.load(make_run().path)
    cost = price(run)
    assert cost.per_query == {
        "q1": ideal(100, 1, 1) + ideal(120, 3, 1),
        "q2": ideal(90, 1, 1),
        "q3": ideal(200, 1, 1) + ideal(210, 2, 1) + ideal(50, 0, 7),
        "q4": ideal(64, 1, 1),
    }
    assert sum(op.flops for op in cost.operations) == sum(cost.per_query.values())
    assert all(type(amount) is int for amount in cost.per_query.values())


def test_any_convention_prices_the_same_ledger(make_run) -> None:
    run = Recorded.load(make_run().path)
    square = price(run, "torch").per_query["q2"] - price(run, "ideal").per_query["q2"]
    assert square == 2 * 4 * 64 * (90 * 90 - 90 * 91 // 2)
    with pytest.raises(UsageError, match="idael"):
        price(run, "idael")


def test_the_first_stage_costs_equation_17(make_run) -> None:
    run = Recorded.load(make_run(method="first_stage", architecture=None, calls={}).path)
    cost = price(run)
    wanted = {"q1": 11 * 3 * 1000, "q2": 11 * 4 * 1000, "q3": 11 * 5 * 1000, "q4": 11 * 6 * 1000}
    assert cost.per_query == cost.first_stage == wanted


def test_a_search_of_e2rs_own_is_priced_by_its_terms_and_by_its_postings(make_run) -> None:
    run = Recorded.load(make_run(method="first_stage", architecture=None, calls={}).path)
    assert matched(run.records) is None
    records = [replace(row, searched_terms=2, postings=30) for row in run.records]
    cost = price(replace(run, records=tuple(records)))
    assert set(cost.first_stage.values()) == {11 * 2 * 1000}
    assert matched(records) == dict.fromkeys(("q1", "q2", "q3", "q4"), 11 * 30)
    assert matched([*records[1:], run.records[0]]) is None


def test_a_first_stage_over_a_collection_of_unknown_size_has_no_price(make_run) -> None:
    asked = {"method": "first_stage", "architecture": None, "calls": {}, "documents": None}
    cost = price(Recorded.load(make_run(**asked).path))
    assert cost.per_query is None
    assert cost.note is not None
    assert "--documents" in cost.note


def test_a_model_free_answerer_costs_nothing_and_says_so(make_run) -> None:
    cost = price(Recorded.load(make_run(architecture=None, model="random-1").path))
    assert set(cost.per_query.values()) == {0}
    assert "undefined" in cost.note


def test_a_query_without_calls_costs_nothing(make_run) -> None:
    cost = price(Recorded.load(make_run(calls={"q1": [(10, 1, 1)]}).path))
    assert cost.per_query["q1"] == ideal(10, 1, 1)
    assert cost.per_query["q2"] == 0


def test_what_failed_queries_cost_is_unknown_where_no_call_is_recorded(make_run) -> None:
    cost = price(Recorded.load(make_run(calls={}, failed=("q1",)).path))
    assert cost.per_query is None
    assert "unknown" in cost.note


def test_a_model_that_the_estimator_does_not_know_is_refused_by_run(make_run) -> None:
    folder = make_run(architecture={"model_type": "sponge"})
    with pytest.raises(DataError, match=r"0123abcd.*sponge"):
        price(Recorded.load(folder.path))


def test_sums_beyond_63_bits_stay_exact() -> None:
    large = 2**62 + 1
    assert sum_by(np.array([1, 1, 1]), np.array([large] * 3), 2) == [0, 3 * large]
    assert sum_by(np.array([0, 1]), np.array([2**90, 1], dtype=object), 2) == [2**90, 1]
