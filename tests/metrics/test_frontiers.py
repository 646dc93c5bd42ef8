"""frontiers: hypervolume and cost to reach, resampled one by one; the same numbers in each form."""

from __future__ import annotations

import csv
import io
import json
from itertools import pairwise

import numpy as np
import pytest

from e2r.cli import main
from e2r.errors import UsageError
from e2r.metrics import evaluate
from e2r.metrics.frontiers import frontiers
from e2r.metrics.reports.tables import fixed, ranged
from e2r.metrics.statistics.intervals import RESAMPLES, SEED

QUERIES = [f"q{i}" for i in range(12)]
GRADES = {qid: {"a": 1} for qid in QUERIES}
PLACES = {1: ("a", "b", "c"), 2: ("b", "a", "c"), 3: ("b", "c", "a")}


def ranks(*places: int) -> dict[str, tuple[str, ...]]:
    """The relevant document's rank, query by query, over and over."""
    return {qid: PLACES[places[i % len(places)]] for i, qid in enumerate(QUERIES)}


def calls(count: int) -> dict[str, list[tuple[int, int, int]]]:
    return {qid: [(50 + 7 * i, 1, 1)] * count for i, qid in enumerate(QUERIES)}


@pytest.fixture
def table(make_run, tmp_path):
    shared = {"judgments": GRADES}
    none = {"calls": {}, "architecture": None}
    make_run(rankings=ranks(2, 3), method="first_stage", model="no-model", **none, **shared)
    make_run(rankings=ranks(1, 2, 1), calls=calls(1), hash8="00000001", **shared)
    make_run(rankings=ranks(1, 1, 1, 2), calls=calls(3), hash8="00000003", **shared)
    make_run(rankings=ranks(2), calls=calls(4), hash8="00000004", **shared)
    make_run(rankings=ranks(1), model="oracle", **none, **shared)
    return evaluate(tmp_path / "runs", "RR")


def competing(table) -> list:
    return [row for row in table.rows if row.manifest.model.name != "oracle"]


def resampled(table, values) -> list[tuple[np.ndarray, np.ndarray]]:
    """Mean costs and qualities of each resample of the queries, drawn one by one."""
    rows = competing(table)
    cost = np.array([[values(row, qid) for qid in sorted(QUERIES)] for row in rows], dtype=float)
    quality = np.array([[row.scores.values["RR"][qid] for qid in sorted(QUERIES)] for row in rows])
    drawn = np.random.default_rng(SEED).integers(0, 12, (RESAMPLES, 12))
    return [(cost[:, one].mean(axis=1), quality[:, one].mean(axis=1)) for one in drawn]


def area(cost, quality, dearest) -> float:
    """The dominated area, added up strip by strip between neighbouring costs."""
    ends = sorted({*np.minimum(cost, dearest), dearest})
    return sum(
        (right - left) * max(quality[cost <= left], default=0.0) for left, right in pairwise(ends)
    )


def test_hypervolume_and_cost_to_reach_resample_by_resample(table) -> None:
    found = {frontier.cost_kind: frontier for frontier in frontiers(table, [0.9]).found}
    frontier = found["petaflops"]
    samples = resampled(table, lambda row, qid: row.cost.per_query[qid] / 1e15)
    areas = [area(cost, quality, frontier.dearest) for cost, quality in samples]
    low, high = np.quantile(areas, [0.025, 0.975])
    assert (frontier.hypervolume.low, frontier.hypervolume.high) == pytest.approx(
        (low, high), rel=1e-9, abs=0
    )
    spent = [min(cost[quality >= 0.9 * quality.max()]) for cost, quality in samples]
    [reach] = frontier.reaches
    low, high = np.quantile(spent, [0.025, 0.975])
    assert (reach.cost.low, reach.cost.high) == pytest.approx((low, high), rel=1e-9, abs=0)
    best = max(row.measures["RR"].value for row in frontier.rows)
    assert reach.level == pytest.approx(0.9 * best)
    chosen = frontier.rows[reach.run]
    assert chosen.path.name.endswith("00000001")
    assert reach.cost.value == chosen.petaflops.value
    cheapest = [
        cost[competing(table).index(chosen)] == least
        for (cost, _), least in zip(samples, spent, strict=True)
    ]
    assert reach.probability == pytest.approx(np.mean(cheapest), abs=1e-9)


def test_runs_are_the_evaluations_with_the_same_standing(table) -> None:
    for frontier in frontiers(table).found:
        costs = [cost.value for cost in frontier.cost]
        assert costs == sorted(costs)
        assert frontier.dearest == pytest.approx(max(costs))
        for row, membership in zip(frontier.rows, frontier.memberships, strict=True):
            assert membership == row.standing.frontiers[frontier.cost_kind]
            assert row.manifest.model.name != "oracle"
    kinds = [frontier.cost_kind for frontier in frontiers(table).found]
    assert kinds == ["petaflops", "seconds", "rounds"]
    assert [len(frontier.rows) for frontier in frontiers(table).found] == [4, 3, 4]


def test_the_same_numbers_in_each_form(table) -> None:
    report = frontiers(table)
    whole = json.loads(json.dumps(report.to_json(), allow_nan=False))
    lines = list(csv.DictReader(io.StringIO(report.to_csv())))
    runs = [(frontier, run) for frontier in whole for run in frontier["runs"]]
    frame = report.to_pandas()
    assert len(lines) == len(runs) == len(frame) == 11
    for (frontier, run), line, (_, series) in zip(runs, lines, frame.iterrows(), strict=True):
        for held in (line, series):
            assert float(held["RR"]) == run["quality"]["value"]
            assert float(held["cost per query low"]) == run["cost"]["low"]
            assert float(held["hypervolume high"]) == frontier["hypervolume"]["high"]
            assert float(held["reference cost"]) == frontier["reference_point"]["cost"]
            reach = frontier["cost_to_reach"][1]
            assert float(held["cost to reach 0.95"]) == reach["value"]
            assert float(held["cost to reach 0.95 probability"]) == reach["probability"]
            assert str(held["on"]) == str(run["on"])
    first, second = report.sheets()
    for text in (report.to_markdown(), report.to_latex().replace("\\", "")):
        for cell in [*first.lines[0], *second.lines[0]]:
            assert cell in text
    frontier = report.found[0]
    assert first.lines[0][4:7] == [
        fixed(frontier.quality[0]),
        f"{100 * whole[0]['runs'][0]['share_of_best']:.1f} %",
        ranged(frontier.cost[0]),
    ]


def test_a_share_must_be_one_and_somebody_must_compete(table, make_run) -> None:
    for share in (0.0, 1.5, float("nan")):
        with pytest.raises(UsageError, match="no share"):
            frontiers(table, [share])
    alone = make_run(failed=("q1",), dataset="other")
    with pytest.raises(UsageError, match="nothing competes"):
        frontiers(evaluate(alone.path))


def test_from_the_command_line(table, tmp_path, capsys) -> None:
    def call(*words: str) -> str:
        with pytest.raises(SystemExit) as left:
            main(["frontier", str(tmp_path / "runs"), "--measures", "RR", *words])
        assert left.value.code == 0
        return capsys.readouterr().out

    [first, *_] = json.loads(call("--json", "--share", "0.5"))
    assert [reach["share"] for reach in first["cost_to_reach"]] == [0.5]
    assert first["reference_point"]["quality"] == 0
    out = call()
    assert "hypervolume" in out
    assert "cost to reach" in out
