"""Standing: frontiers with bootstrap probabilities, and gains over the first stage."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from e2r.metrics import evaluate, placing
from e2r.metrics.placing import comparable
from e2r.metrics.statistics.frontier import members, probability
from e2r.records.manifest import Environment, WorkerRecord

QUERIES = [f"q{i}" for i in range(10)]
GRADES = {qid: {"a": 1} for qid in QUERIES}
GOOD = dict.fromkeys(QUERIES, ("a", "b"))
BAD = dict.fromkeys(QUERIES, ("b", "a"))


def calls(count: int) -> dict[str, list[tuple[int, int, int]]]:
    return {qid: [(50 + i, 1, 1)] * count for i, qid in enumerate(QUERIES)}


@pytest.fixture
def rows(make_run, tmp_path):
    shared = {"judgments": GRADES}
    make_run(
        rankings=BAD, calls={}, architecture=None, method="first_stage", model="no-model", **shared
    )
    make_run(rankings=GOOD, calls=calls(2), hash8="00000002", **shared)
    make_run(rankings=BAD, calls=calls(4), hash8="00000004", **shared)
    make_run(rankings=GOOD, calls={}, architecture=None, model="oracle", **shared)
    found = evaluate(tmp_path / "runs", "RR").rows
    return {row.path.parent.name + row.path.name[-1]: row for row in found}


def test_seconds_are_compared_on_machines_of_a_kind_and_crews_of_a_size(rows) -> None:
    """The driver of a cluster does not do the work; its own hardware says nothing."""
    row = rows["tiny-llama2"]
    driver = row.manifest.environment
    gpu = driver.model_copy(update={"device": "cuda (H100)"})

    def by(*machines: Environment) -> str:
        workers = [WorkerRecord(environment=m, queries=1, lost=False) for m in machines]
        manifest = row.manifest.model_copy(update={"workers": workers})
        [scale] = comparable([replace(row, manifest=manifest)], "seconds")
        return scale

    names = [by(), by(gpu), by(gpu, gpu), by(gpu, driver)]
    assert len(set(names)) == 4
    assert "H100" in names[1]
    assert driver.device not in names[1].split(", ")
    assert by(gpu, gpu) == names[2]


def test_certain_cases_have_probabilities_one_and_zero(rows) -> None:
    found = {name: row.standing.frontiers for name, row in rows.items()}
    assert found["no-modeld"]["petaflops"].to_json() == {"on": True, "probability": 1}
    assert found["tiny-llama2"]["petaflops"].to_json() == {"on": True, "probability": 1}
    assert found["tiny-llama4"]["petaflops"].to_json() == {"on": False, "probability": 0}
    assert found["tiny-llama2"]["rounds"].on
    assert found["tiny-llama2"]["seconds"].on
    assert "seconds" not in found["no-modeld"]
    assert found["oracled"] == {}


def test_gain_over_the_first_stage_by_hand(rows) -> None:
    row = rows["tiny-llama2"]
    gain = row.standing.gain_per_petaflop["RR"]
    assert gain.value == pytest.approx((1 - 0.5) / row.petaflops.value)
    assert gain.low < gain.value < gain.high
    assert rows["tiny-llama4"].standing.gain_per_petaflop["RR"].value == 0
    assert rows["oracled"].standing.gain_per_petaflop["RR"].value is None
    assert rows["no-modeld"].standing.gain_per_petaflop == {}
    assert row.to_json()["gain_per_petaflop"]["RR"]["value"] == gain.value


def test_an_incomplete_run_stands_nowhere(make_run) -> None:
    [row] = evaluate(make_run(failed=("q1",)).path).rows
    assert row.standing.frontiers == {}
    assert row.to_json()["frontier"] == {"petaflops": None, "seconds": None, "rounds": None}


def test_probability_is_the_share_of_resamples_counted_one_by_one() -> None:
    generator = np.random.default_rng(5)
    cost, quality = generator.random((300, 7)).round(1), generator.random((300, 7)).round(1)
    wanted = np.zeros(7)
    for one in range(300):
        for i in range(7):
            wanted[i] += not any(
                cost[one, j] <= cost[one, i]
                and quality[one, j] >= quality[one, i]
                and (cost[one, j], quality[one, j]) != (cost[one, i], quality[one, i])
                for j in range(7)
            )
    assert probability(cost, quality) == pytest.approx(wanted / 300)
    assert members(cost, quality).sum(axis=0) == pytest.approx(wanted)


def test_a_run_alone_stands_on_every_frontier_without_a_resample(
    make_run, tmp_path, monkeypatch
) -> None:
    make_run(rankings=BAD, calls=calls(2), judgments=GRADES)
    monkeypatch.setattr(placing, "resampled_means", None)
    [row] = evaluate(tmp_path / "runs", "RR").rows
    assert {"petaflops", "rounds"} <= row.standing.frontiers.keys()
    found = [standing.to_json() for standing in row.standing.frontiers.values()]
    assert found == [{"on": True, "probability": 1}] * len(found)
