"""Work: counts of a run by hand, their rates with scipy's intervals, the same in every output."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import bootstrap

from e2r.errors import UsageError
from e2r.metrics import evaluate
from e2r.metrics.columns import SHEETS, kinds_of
from e2r.metrics.cost import price
from e2r.metrics.reports.tables import UNDEFINED, fixed, percent, ranged, short
from e2r.metrics.runs.recorded import Recorded
from e2r.metrics.statistics.intervals import RESAMPLES, SEED
from e2r.metrics.work import latency

# The default run of recorded_runs: per query calls, prompt tokens, and padding of a quarter each.
CALLS = np.array([2, 1, 3, 1])
PROMPT = np.array([220, 90, 460, 64])
PADDED = np.array([25 + 30, 22, 50 + 52 + 12, 16])


def test_counts_and_rates_by_hand(make_run) -> None:
    folder = make_run()
    work = evaluate(folder.path).rows[0].work
    flops = sum(price(Recorded.load(folder.path)).per_query.values())
    wanted = {
        "calls_per_query": 7 / 4,
        "rounds_per_query": 7 / 4,
        "prompt_tokens_per_query": PROMPT.mean(),
        "cached_tokens_per_query": 0,
        "generated_tokens_per_query": 9 / 4,
        # The first call of a query parses and is whole, every later one is not.
        "parse_failure_rate": 3 / 7,
        "truncation_rate": 3 / 7,
        "padding": PADDED.sum() / (PROMPT + PADDED).sum(),
        "seconds_per_query": 7 * 0.5 / 4,
        "achieved_flops_per_second": flops / (7 * 0.5),
    }
    assert {name: found.value for name, found in work.figures.items()} == pytest.approx(wanted)
    assert (work.calls, work.parse_failures, work.truncated) == (7, 3, 3)


def test_intervals_of_rates_are_scipys(make_run) -> None:
    generator = np.random.default_rng(3)
    calls = {f"q{i}": [(int(generator.integers(40, 90)), 1, 1)] * (1 + i % 5) for i in range(30)}
    rankings = dict.fromkeys(calls, ("a", "b"))
    judgments = {qid: {"a": 1} for qid in calls}
    run = make_run(calls=calls, rankings=rankings, judgments=judgments)
    found = evaluate(run.path).rows[0].work.figures
    asked = np.array([len(calls[qid]) for qid in calls])
    prompt = np.array([sum(prompt for prompt, _, _ in calls[qid]) for qid in calls])
    padded = np.array([sum(prompt // 4 for prompt, _, _ in calls[qid]) for qid in calls])
    for name, above, below in (
        ("parse_failure_rate", asked - 1, asked),
        ("padding", padded, prompt + padded),
        ("prompt_tokens_per_query", prompt, np.ones(30)),
    ):
        wanted = bootstrap(
            (above, below),
            lambda x, y, axis: x.mean(axis=axis) / y.mean(axis=axis),
            paired=True,
            vectorized=True,
            n_resamples=RESAMPLES,
            method="BCa",
            rng=np.random.default_rng(SEED),
        ).confidence_interval
        assert (found[name].low, found[name].high) == pytest.approx(tuple(wanted), rel=1e-6)


def test_what_nobody_did_or_timed_has_no_rate(make_run) -> None:
    asked = {"method": "first_stage", "architecture": None, "calls": {}}
    row = evaluate(make_run(**asked).path).rows[0]
    for name in ("parse_failure_rate", "truncation_rate", "padding", "seconds_per_query"):
        assert row.work.figures[name].value is None
    assert row.work.figures["calls_per_query"].value == 0
    assert row.to_json()["achieved_flops_per_second"] is None
    assert row.to_json()["latency_mode"] is None


def test_percentiles_are_of_queries_that_ran_alone(make_run) -> None:
    row = evaluate(make_run().path).rows[0]
    assert row.to_json()["latency_seconds"] == {"p50": None, "p95": None}
    seconds = sorted(record.seconds for record in row.records)
    found = latency(row.records, "one_query_at_a_time")
    assert seconds[0] <= found["p50"] <= found["p95"] <= seconds[-1]
    assert found["p50"] == pytest.approx(np.median(seconds))
    broken = [replace(row.records[0], status="failed")]
    assert latency(broken, "one_query_at_a_time") == {"p50": None, "p95": None}


def test_the_same_numbers_in_every_output(make_run, tmp_path) -> None:
    make_run(method="first_stage", model="no-model", architecture=None, calls={})
    make_run()
    table = evaluate(tmp_path / "runs", "nDCG@10 RR")
    whole = json.loads(json.dumps(table.to_json(), allow_nan=False))
    lines = list(csv.DictReader(io.StringIO(table.to_csv())))
    frame = table.to_pandas()

    def agree(place: int, name: str, value: float | None) -> None:
        for held in (lines[place][name], frame[name][place]):
            if value is None:
                assert held == "" or held is None or np.isnan(held)
            else:
                assert float(held) == value

    for place, run in enumerate(whole):
        for measure in table.measures:
            for part in ("low", "high"):
                agree(place, f"{measure} {part}", run["measures"][measure][part])
                gain = run["gain_per_petaflop"].get(measure, {"low": None, "high": None})
                agree(place, f"gain/PFLOP {measure} {part}", gain[part])
            agree(place, f"RPP {measure} mean of ratios", run["rpp"][measure]["mean_of_ratios"])
        for name, figure in run["work"].items():
            assert run[name] == figure["value"]
            agree(place, name, figure["value"])
            agree(place, f"{name} high", figure["high"])
        agree(place, "PFLOPs/query", run["petaflops_per_query"])
        agree(place, "QPP low", run["qpp"]["low"])
    assert table.to_markdown("all") == "\n".join(
        table.to_markdown(kind) for kind in kinds_of(table.rows)
    )
    assert set(SHEETS) - set(kinds_of(table.rows)) == {"money"}, "no price list was given"


@pytest.mark.parametrize("kind", SHEETS)
def test_sheets_hold_the_figures_in_text_and_in_tex(make_run, kind) -> None:
    make_run(method="first_stage", model="no-model", architecture=None, calls={})
    table = evaluate(make_run().path.parents[2])
    row = next(row for row in table.rows if row.manifest.method != "first_stage")
    work, rpp = row.work.figures, row.rpp["nDCG@10"]
    wanted = {
        "headline": [fixed(row.measures["nDCG@10"]), short(rpp.ratio.value), short(row.qpp.value)],
        "efficiency": [
            ranged(rpp.ratio),
            ranged(rpp.mean_of_ratios),
            ranged(row.standing.gain_per_petaflop["nDCG@10"]),
        ],
        "work": [
            percent(work["parse_failure_rate"]),
            percent(work["padding"]),
            ranged(work["achieved_flops_per_second"]),
            "batched",
        ],
        "time": [short(row.work.seconds_per_query), "batched"],
        "money": [f"{row.measures['nDCG@10'].value:.4f}", UNDEFINED],
        "frontier": ["yes", f"{row.standing.frontiers['rounds'].probability:.3f}"],
    }[kind]
    [sheet] = table.sheets(kind)
    line = sheet.lines[table.rows.index(row)]
    assert set(wanted) <= set(line)
    for cell in line:
        assert cell in table.to_markdown(kind)
        assert cell in table.to_latex(kind).replace("\\", "").replace("--", "–")


def test_an_unknown_sheet_is_refused(make_run) -> None:
    with pytest.raises(UsageError, match="did you mean frontier"):
        evaluate(make_run().path).to_markdown("fronteir")
