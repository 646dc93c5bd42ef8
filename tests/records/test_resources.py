"""What a run used is measured, energy only where a counter tells it, and the sidecar says it."""

from __future__ import annotations

import sys
from enum import Enum
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from e2r.errors import MissingError
from e2r.records.ir_metadata import sidecar
from e2r.records.manifest import Manifest
from e2r.records.resources import Meter


def tracker(joules: str) -> Any:
    """A stand-in for tirex-tracker on a machine whose counters tell this."""
    names = (
        "VERSION_MEASURE",
        "OS_NAME",
        "CPU_USED_PROCESS_PERCENT",
        "RAM_USED_PROCESS_KB",
        "GPU_MODEL_NAME",
        "CPU_ENERGY_SYSTEM_JOULES",
        "GPU_ENERGY_SYSTEM_JOULES",
        "RAM_ENERGY_SYSTEM_JOULES",
    )
    values = {
        "VERSION_MEASURE": b"0.2.24",
        "OS_NAME": b"Debian",
        "CPU_USED_PROCESS_PERCENT": b'{"max": 2, "min": 1, "avg": 1.5}',
        "GPU_ENERGY_SYSTEM_JOULES": joules.encode(),
        "CPU_ENERGY_SYSTEM_JOULES": b"null",
    }
    measures = Enum("Measure", list(names))  # type: ignore[misc]
    results = {measures[name]: SimpleNamespace(value=value) for name, value in values.items()}
    handle = SimpleNamespace(stop=lambda: results)
    return SimpleNamespace(Measure=measures, start_tracking=lambda measures: handle)


def test_time_and_memory_are_always_there_and_energy_only_when_asked() -> None:
    meter = Meter(energy=False)
    assert sum(range(10**6)) > 0
    used = meter.stop(4)
    assert used.wall_seconds > 0
    assert used.user_seconds + used.system_seconds >= 0
    assert used.peak_memory > 10**6
    assert used.joules is used.joules_per_query is used.tracker is None


@pytest.mark.parametrize(("told", "joules"), [("84", 84.0), ("null", None), ("0", None)])
def test_joules_are_the_counters_or_nothing(
    told: str, joules: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tirex_tracker", tracker(told))
    used = Meter(energy=True).stop(4)
    assert used.gpu_joules == used.joules == joules
    assert used.joules_per_query == (None if joules is None else 21.0)
    assert used.tracker == "tirex-tracker 0.2.24"
    assert used.cpu_percent == 1.5


def test_energy_without_its_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tirex_tracker", None)
    with pytest.raises(MissingError, match=r"e2r\[energy\]"):
        Meter(energy=True)


def test_the_sidecar_holds_what_was_used() -> None:
    committed = Path(__file__).parents[2] / "runs"
    own = next(path for path in sorted(committed.rglob("manifest.json")))
    manifest = Manifest.load(own)
    plain = yaml.safe_load(sidecar(manifest))
    assert plain["schema version"] == "0.2"
    assert "resources" not in plain
    used = Meter(energy=False).stop(1).model_copy(update={"gpu_joules": 5.0, "tracker": "tirex"})
    facts = yaml.safe_load(sidecar(manifest.model_copy(update={"resources": used})))
    assert facts["resources"]["gpu"] == {"energy used system": "5 J"}
    assert facts["resources"]["cpu"]["energy used system"] == "null J"
    assert facts["resources"]["runtime"]["wallclock"].endswith(" ms")
    assert facts["platform"]["hardware"]["cpu"]["number of cores"] >= 1
