"""compare: differences of one run and a baseline, over the queries that both have."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest
from scipy.stats import bootstrap, ttest_rel

from e2r.errors import DataError, UsageError
from e2r.metrics import evaluate
from e2r.metrics.comparison import compare
from e2r.metrics.statistics.intervals import RESAMPLES, SEED

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
    chances = found.chances
    assert (chances.better, chances.cheaper, chances.better_and_cheaper) == (1, 0, 0)
    assert (chances.dominates, chances.dominated) == (0, 0)
    assert found.verdict == (
        "better by 0.5000 RR (p = 0.0005) at 4 times the FLOPs; neither is surely at least as good "
        "at no more cost (it is with probability 0.000, the baseline with 0.000)"
    )
    json.dumps(found.to_json(), allow_nan=False)


def test_the_other_way_round_everything_turns(pair) -> None:
    [found] = compare(pair, "RR", baseline=pair[1]).contrasts
    assert found.difference.value == pytest.approx(-0.5)
    assert found.cost_ratio.value == pytest.approx(0.25)
    assert found.gain_per_petaflop.value is None
    assert found.chances.cheaper == 1
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
    fewer = make_run(rankings=some, limit=5, calls={}, judgments=GRADES, hash8="00000005")
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
    one = make_run(rankings={"x": ("a",)}, limit=1, calls={}, judgments=grades, hash8="00000006")
    two = make_run(rankings={"q1": ("a",)}, limit=1, calls={}, judgments=grades, hash8="00000007")
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
    assert found.chances.cheaper is None
    assert found.verdict == "better by 0.5000 RR (p = 0.0005)"


def noisy(make_run, **asked):
    """A run whose relevant document is sometimes first, at a cost that varies by query."""
    generator = np.random.default_rng(asked.pop("seed"))
    share, price = asked.pop("share"), asked.pop("price")
    return make_run(
        rankings={qid: ("a", "b") if generator.random() < share else ("b", "a") for qid in QUERIES},
        calls={qid: [(price + int(generator.integers(20)), 1, 1)] for qid in QUERIES},
        judgments=GRADES,
        **asked,
    ).path


@pytest.fixture
def three(make_run):
    """A first stage, a cheap reranker and a dear one."""
    none = {"method": "first_stage", "model": "no-model", "architecture": None, "calls": {}}
    first = make_run(rankings={**BAD, "q0": ("a", "b")}, judgments=GRADES, **none).path
    cheap = noisy(make_run, seed=1, share=0.5, price=50, hash8="00000001")
    return first, cheap, noisy(make_run, seed=2, share=0.6, price=200, hash8="00000002")


def test_the_difference_at_equal_cost_by_hand_and_by_scipy(three) -> None:
    first, cheap, dear = three
    [found] = compare([cheap, dear], "RR", first_stage=first).contrasts
    rows = evaluate([first, cheap, dear], "RR").rows
    quality = [np.array([row.scores.values["RR"][qid] for qid in QUERIES]) for row in rows]
    cost = [np.array([row.cost.per_query[qid] / 1e15 for qid in QUERIES]) for row in rows]

    def at_equal_cost(q0, q1, q2, c1, c2, axis):
        """The dear one reranks only the share of queries that the cheap one's cost pays for."""
        q0, q1, q2, c1, c2 = (part.mean(axis=axis) for part in (q0, q1, q2, c1, c2))
        share = c1 / c2
        return share * q2 + (1 - share) * q0 - q1

    sample = (*quality, *cost[1:])
    wanted = at_equal_cost(*sample, axis=0)
    assert found.at_equal_cost.value == pytest.approx(wanted)
    scipys = bootstrap(
        sample,
        at_equal_cost,
        paired=True,
        vectorized=True,
        n_resamples=RESAMPLES,
        method="BCa",
        rng=np.random.default_rng(SEED),
    )
    interval = (found.at_equal_cost.low, found.at_equal_cost.high)
    assert interval == pytest.approx(tuple(scipys.confidence_interval), rel=1e-6)
    share = (scipys.bootstrap_distribution > 0).mean()
    assert found.chances.better_at_equal_cost == pytest.approx(share, abs=1e-3)
    assert "at equal cost the difference is" in found.verdict


def test_the_better_buy_is_counted_resample_by_resample(three) -> None:
    _, cheap, dear = three
    [found] = compare([dear, cheap], "RR").contrasts
    rows = evaluate([cheap, dear], "RR").rows
    drawn = np.random.default_rng(SEED).integers(0, len(QUERIES), (RESAMPLES, len(QUERIES)))
    quality, cost = (
        [np.array([values(row, qid) for qid in QUERIES])[drawn].mean(axis=1) for row in rows]
        for values in (
            lambda row, qid: row.scores.values["RR"][qid],
            lambda row, qid: row.cost.per_query[qid],
        )
    )
    as_good = quality[0] - quality[1] >= -1e-12
    assert found.chances.dominates == pytest.approx((as_good & (cost[0] <= cost[1])).mean())
    assert 0 < found.chances.dominates < 1
    assert found.at_equal_cost.note == "needs the first stage's own run (--first-stage)"


def test_the_first_stage_has_no_equal_cost(three) -> None:
    for contrast in compare(three, "RR").contrasts:
        assert contrast.at_equal_cost.value is None
        assert "pays for the first stage" in contrast.at_equal_cost.note
    with pytest.raises(UsageError, match="no run of first_stage"):
        compare(three[1:], "RR", first_stage=three[1])


def test_a_run_that_is_better_and_cheaper_is_the_better_buy(make_run) -> None:
    bad = make_run(rankings=BAD, calls=DEAR, judgments=GRADES)
    good = make_run(rankings=GOOD, calls=CHEAP, judgments=GRADES, hash8="beefbeef")
    same = make_run(rankings=GOOD, calls=CHEAP, judgments=GRADES, hash8="00000009")
    [found] = compare([bad.path, good.path], "RR").contrasts
    assert "it is the better buy: at least as good at no more cost with probability 1" in (
        found.verdict
    )
    [found] = compare([good.path, bad.path], "RR").contrasts
    assert "the baseline is the better buy" in found.verdict
    [found] = compare([good.path, same.path], "RR").contrasts
    assert found.verdict.endswith("both are equally good at equal cost")


def test_both_tests_are_scipys_and_corrected(three) -> None:
    found = compare(three[1:], "RR nDCG@10").contrasts
    rows = evaluate(three[1:], "RR").rows
    one, two = ([row.scores.values["RR"][qid] for qid in QUERIES] for row in rows)
    assert found[0].tests.p_t == pytest.approx(ttest_rel(one, two).pvalue)
    # Two contrasts: the lesser p counts twice, the greater at least as much.
    for p, raw in (
        ([c.p_t for c in found], [c.tests.p_t for c in found]),
        ([c.p for c in found], [c.tests.p_randomisation for c in found]),
    ):
        least = min(1.0, 2 * min(raw))
        assert sorted(p) == pytest.approx([least, max(least, max(raw))])


def test_the_same_numbers_in_each_form(three) -> None:
    report = compare(three, "RR")
    whole = report.to_json()
    lines = list(csv.DictReader(io.StringIO(report.to_csv())))
    frame = report.to_pandas()
    for place, contrast in enumerate(whole):
        for held in (lines[place], frame.iloc[place]):
            assert float(held["difference high"]) == contrast["difference"]["high"]
            assert float(held["p_randomisation_holm"]) == contrast["p_randomisation_holm"]
            chance = contrast["probability"]["as_good_at_no_more_cost"]
            assert float(held["probability as_good_at_no_more_cost"]) == chance
    [sheet] = report.sheets()
    text = report.to_latex().replace("\\textless{}", "<").replace("\\", "").replace("--", "–")
    for cell in sheet.lines[0]:
        assert cell in report.to_markdown()
        assert cell in text
