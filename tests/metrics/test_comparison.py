"""compare: differences of one run and a baseline, over the queries that both have."""

from __future__ import annotations

import json

import pytest

from e2r.errors import DataError, UsageError
from e2r.metrics.comparison import compare

QUERIES = [f"q{i}" for i in range(12)]
GRADES = {qid: {"a": 1} for qid in QUERIES}
GOOD = dict.fromkeys(QUERIES, ("a", "b"))
BAD = dict.fromkeys(QUERIES, ("b", "a"))
CHEAP = {qid: [(50 + i, 1, 1)] for i, qid in enumerate(QUERIES)}
DEAR = {qid: [(50 + i, 1, 1)] * 4 for i, qid in enumerate(QUERIES)}


@pytest.fixture
def pair(make_run):
    bad = make_run(rankings=BAD, calls=CHEAP, judgments=GRADES)
    good = make_run(rankings=GOOD, calls=DEAR, judgments=GRADES, hash8="beefbeef")
    return bad.path, good.path


def test_a_better_and_dearer_run(pair) -> None:
    [found] = compare(pair, "RR").contrasts
    assert found.difference.value == pytest.approx(0.5)
    assert (found.tests.wins, found.tests.ties, found.tests.losses) == (12, 0, 0)
    assert found.p == pytest.approx(2 / 2**12)
    assert found.cost_ratio.value == pytest.approx(4)
    extra = found.run.petaflops.value - found.baseline.petaflops.value
    assert found.gain_per_petaflop.value == pytest.approx(0.5 / extra)
    assert (found.better, found.cheaper, found.better_and_cheaper) == (1, 0, 0)
    assert found.verdict == "better by 0.5000 RR (p = 0.0005) at 4 times the FLOPs"
    json.dumps(found.to_json(), allow_nan=False)


def test_the_other_way_round_everything_turns(pair) -> None:
    [found] = compare(pair, "RR", baseline=pair[1]).contrasts
    assert found.difference.value == pytest.approx(-0.5)
    assert found.cost_ratio.value == pytest.approx(0.25)
    assert found.gain_per_petaflop.value is None
    assert found.cheaper == 1
    assert found.verdict.startswith("worse by 0.5000 RR")


def test_p_values_are_corrected_over_all_contrasts(pair, make_run) -> None:
    third = make_run(rankings=GOOD, calls=CHEAP, judgments=GRADES, hash8="00000003")
    found = compare([*pair, third.path], "RR nDCG@10").contrasts
    assert len(found) == 4
    assert [contrast.p for contrast in found] == pytest.approx([4 * 2 / 2**12] * 4)
    same_cost = [contrast for contrast in found if contrast.run.path == third.path]
    assert same_cost[0].cost_ratio.value == pytest.approx(1)


def test_unequal_query_sets_are_compared_on_the_common_ones_aloud(pair, make_run) -> None:
    some = {qid: GOOD[qid] for qid in QUERIES[:5]}
    fewer = make_run(rankings=some, calls={}, judgments=GRADES, hash8="00000005")
    [found] = compare([pair[0], fewer.path], "RR").contrasts
    assert found.queries == 5
    assert "only the 5 common queries" in found.notes[0]


def test_other_datasets_and_judgments_are_refused(pair, make_run) -> None:
    other = make_run(dataset="other", rankings=GOOD, calls=CHEAP, judgments=GRADES)
    with pytest.raises(DataError, match="same dataset"):
        compare([pair[0], other.path])


def test_one_run_is_no_comparison(pair) -> None:
    with pytest.raises(UsageError, match="at least two"):
        compare([pair[0]])


def test_runs_without_a_common_query_are_refused(pair, make_run) -> None:
    grades = {**GRADES, "x": {"a": 1}}
    one = make_run(rankings={"x": ("a",)}, calls={}, judgments=grades, hash8="00000006")
    two = make_run(rankings={"q1": ("a",)}, calls={}, judgments=grades, hash8="00000007")
    with pytest.raises(DataError, match="no judged query in common"):
        compare([one.path, two.path])


def test_a_free_baseline_has_no_cost_ratio(pair, make_run) -> None:
    free = make_run(rankings=GOOD, calls={}, judgments=GRADES, architecture=None, model="random-1")
    [found] = compare([free.path, pair[0]], "RR").contrasts
    assert found.cost_ratio.value is None
    json.dumps(found.to_json(), allow_nan=False)


def test_a_run_without_price_still_compares_in_quality(pair, make_run) -> None:
    asked = {"method": "first_stage", "architecture": None, "documents": None, "calls": {}}
    bm25 = make_run(rankings=BAD, judgments=GRADES, **asked)
    [found] = compare([bm25.path, pair[1]], "RR").contrasts
    assert found.difference.value == pytest.approx(0.5)
    assert found.cheaper is None
    assert found.verdict == "better by 0.5000 RR (p = 0.0005)"
