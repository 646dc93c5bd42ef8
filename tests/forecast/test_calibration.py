"""A calibration predicts the passes it measured, and is read, refused and called stale."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from e2r.cli import main
from e2r.errors import DataError, UsageError
from e2r.flops.architecture import Architecture
from e2r.flops.estimate import estimate
from e2r.flops.work import Usage
from e2r.forecast.calibrating import calibrate
from e2r.forecast.calibration import Calibration, Point, read
from e2r.forecast.clock import Clock
from e2r.forecast.demand import demand, usages_of
from e2r.records.spec import ExecutionSpec, ModelSpec
from tests.tiny_models import save_llama

ARCH = Architecture.load("HuggingFaceTB/SmolLM2-135M-Instruct")


def measured(**changed: Any) -> Calibration:
    """A machine that does 100 GFLOP/s alone and 200 in company, and a step in 20 ms."""

    def prefill(calls: int, tokens: int, rate: float) -> Point:
        flops = calls * estimate(ARCH, Usage(tokens)).total
        return Point("prefill", calls, flops / rate, tokens)

    points = (
        prefill(1, 32, 1e11),
        prefill(1, 512, 1e11),
        prefill(16, 32, 2e11),
        Point("decode", 1, 0.02, 64, generated_tokens=9),
        Point("decode", 16, 0.04, 64, generated_tokens=9),
    )
    facts: dict[str, Any] = {
        "name": "here",
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "about": {
            "processor": "A processor",
            "device": "cpu",
            "threads": 2,
            "dtype": "float32",
            "packages": {"torch": "2.13.0", "numpy": "2"},
            "load": {"batch_size": 16, "batch_tokens": 1024, "load_average": [0, 0, 0]},
        },
        "model": "SmolLM2-135M",
        "architecture": ARCH,
        "points": points,
        "peak_flops": 3e11,
        "bandwidth": 2e10,
        "memory": 1.6e10,
        "cache": 3e7,
        "loading_seconds": 1.5,
    }
    return Calibration(**{**facts, **changed})


def clock(found: Calibration, **used: Any) -> Clock:
    return Clock(found.device, calibration=found, batch_tokens=1024, **used)


def test_what_was_measured_is_expected() -> None:
    found = measured()
    for calls, tokens in ((1, 32), (1, 512), (16, 32)):
        asked = demand(ARCH, usages_of(ARCH, [Usage(tokens)]), [float(calls)], 1)
        [seconds] = [
            p.seconds
            for p in found.points
            if (p.phase, p.calls, p.prompt_tokens) == ("prefill", calls, tokens)
        ]
        told = clock(found).time(asked)
        assert told.expected is not None
        assert told.expected.prefill == pytest.approx(seconds)
        assert told.floor.total < told.expected.total
        assert told.basis == "calibration here"
    steps = demand(ARCH, usages_of(ARCH, [Usage(60, 9)]), [1.0], 1)
    assert clock(found).time(steps).best.decode == pytest.approx(8 * 0.02, rel=0.01)


def test_between_the_points_lie_straight_lines_and_beyond_them_the_last_rate() -> None:
    found = measured()

    def rate(calls: float, tokens: int, rounds: float = 1) -> float:
        asked = demand(ARCH, usages_of(ARCH, [Usage(tokens)]), [calls], rounds)
        return asked.prefill_flops / clock(found).time(asked).best.prefill

    assert rate(1, 8) == rate(1, 900) == pytest.approx(1e11)
    assert rate(4, 32) == pytest.approx(np.sqrt(2) * 1e11)
    # Calls of one round share a pass; those of sixteen rounds do not.
    assert rate(16, 32) == pytest.approx(2 * rate(16, 32, rounds=16))
    # A batch of 1024 tokens holds two prompts of 512, and 16 in flight fill it as one query does.
    asked = demand(ARCH, usages_of(ARCH, [Usage(32)]), [1.0], 1)
    full = clock(found, concurrency=16).time(asked).best.prefill
    assert asked.prefill_flops / full == pytest.approx(2e11)


def test_another_model_reaches_the_same_rates() -> None:
    found = measured()
    small = Architecture.load("cross-encoder/ms-marco-MiniLM-L6-v2")
    asked = demand(small, usages_of(small, [Usage(32)]), [1.0], 1)
    assert clock(found).time(asked).best.total == pytest.approx(asked.prefill_flops / 1e11)
    bare = measured(points=found.points[:3])
    steps = demand(ARCH, usages_of(ARCH, [Usage(60, 9)]), [1.0], 1)
    with pytest.raises(DataError, match="no decoding step"):
        clock(bare).time(steps)


def test_a_file_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "here.json"
    path.write_text(json.dumps(measured().to_json()))
    again = read(path)
    assert again.to_json() == measured(made=again.made).to_json()
    assert again.overhead == pytest.approx(0, abs=1e-6)
    assert again.device.flops == 3e11


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"format": "another"}, "is no calibration"),
        ({"points": []}, "no measured prefill"),
        ({"peak_flops": -1}, "above 0"),
        ({"made": "yesterday"}, "not as e2r calibrate"),
        ({"about": {}}, "not as e2r calibrate"),
        ({"points": [{"phase": "sleep"}]}, "not as e2r calibrate"),
    ],
)
def test_a_file_that_is_none_is_refused(changed: dict[str, Any], said: str, tmp_path: Path) -> None:
    path = tmp_path / "here.json"
    path.write_text(json.dumps({**measured().to_json(), **changed}))
    with pytest.raises(DataError, match=said):
        read(path)


def test_it_says_when_it_is_stale_and_what_it_is_not_for() -> None:
    found = measured()
    assert found.stale("A processor", 2, {"torch": "2.13.0", "numpy": "3"}) == []
    old = (datetime.now(UTC) - timedelta(days=40)).isoformat()
    reasons = replace(found, made=old).stale("Another", 4, {"torch": "3"})
    assert len(reasons) == 4
    with pytest.raises(DataError, match="--dtype bfloat16"):
        found.refuse_dtype("bfloat16")
    with pytest.raises(UsageError, match="drop the utilization"):
        clock(found, utilization=0.4)
    with pytest.raises(UsageError, match="--weight-bits"):
        clock(found, weight_bits=8)


def test_a_small_model_is_measured_and_its_file_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = save_llama(tmp_path / "tiny")
    monkeypatch.setenv("E2R_CACHE", str(tmp_path / "cache"))
    with pytest.raises(SystemExit) as left:
        main(["calibrate", str(folder), "--seconds", "1", "--batch-size", "4"])
    assert left.value.code == 0
    out = capsys.readouterr().out
    assert "GFLOP/s" in out
    assert max(map(len, out.splitlines())) <= 80
    words = ["estimate", str(folder), "--method", "setwise.heapsort", "--depth", "5", "--json"]
    with pytest.raises(SystemExit) as left:
        main([*words, "--on", "here"])
    assert left.value.code == 0
    figures = json.loads(capsys.readouterr().out)
    assert 0 < figures["floor_seconds_per_query"] < figures["expected_seconds_per_query"]
    assert figures["expected_from"] == "calibration here"
    with pytest.raises(SystemExit) as left:
        main(["plan", "--dataset", "demo", "--model", str(folder), "--method", "pointwise.yes_no",
              "--dtype", "bfloat16", "--on", "here"])  # fmt: skip
    assert left.value.code == 3
    assert "measured in float32" in capsys.readouterr().err
    found = calibrate(ModelSpec(source=str(folder)), ExecutionSpec(batch_size=2), 0.5)
    assert {point.phase for point in found.points} >= {"prefill"}
    assert found.loading_seconds > 0
