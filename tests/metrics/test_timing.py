"""What a clock predicts of a run stands beside what was measured, or says why it does not."""

from __future__ import annotations

import json

import pytest

from e2r.flops.hardware import accelerator
from e2r.forecast.clock import Clock
from e2r.metrics import evaluate
from tests.forecast.test_calibration import measured


def test_floor_and_expected_stand_beside_the_measured_seconds(make_run) -> None:
    table = evaluate(make_run().path, clock=Clock(accelerator("H100"), utilization=0.5))
    [row] = table.rows
    assert row.timed is not None
    assert row.timed.expected is not None
    figures = json.loads(json.dumps(row.to_json()))
    floor, expected = (figures[f"{word}_seconds_per_query"] for word in ("floor", "expected"))
    assert 0 < floor == pytest.approx(expected / 2)
    assert figures["seconds_per_query"] > floor
    [sheet] = table.sheets("time")
    shown = dict(zip(sheet.header, sheet.lines[0], strict=True))
    assert shown["timed"] == "batched"
    assert shown["off by"].endswith("%")
    [bare] = evaluate(make_run().path).rows
    assert bare.timed is None
    assert "floor_seconds_per_query" not in bare.to_json()


def test_a_calibration_of_another_machine_predicts_nothing_and_says_so(make_run) -> None:
    found = measured()
    clock = Clock(found.device, calibration=found)
    [row] = evaluate(make_run().path, clock=clock).rows
    assert row.timed is None
    assert any("other hardware" in note for note in row.notes)
