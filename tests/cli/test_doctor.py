"""`e2r doctor` says what works here, and what to do about what does not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from e2r import doctor
from e2r.cli import cli
from e2r.doctor import EXTRAS, Check


@pytest.fixture(autouse=True)
def no_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("e2r.hub.answers", lambda: False)


def test_every_part_is_looked_at(tmp_path: Path) -> None:
    done = CliRunner().invoke(cli, ["doctor", "--json", "--runs", str(tmp_path / "new" / "runs")])
    assert done.exit_code == 0
    checks = {check["name"]: check for check in json.loads(done.output)}
    assert {f"e2r[{name}]" for name in EXTRAS} <= set(checks)
    assert checks["e2r[run]"]["works"]
    assert "GFLOP/s" in checks["processor"]["found"]
    assert checks["hub"]["remedy"]
    assert checks["disk"]["found"].endswith(str(tmp_path))
    shown = CliRunner().invoke(cli, ["doctor"]).output
    assert all(name in shown for name in checks)


def test_what_is_missing_is_named_with_its_remedy(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(EXTRAS, "ray", ("several machines", ("no_such_module",)))  # type: ignore[arg-type]
    monkeypatch.setattr(doctor, "SPARE", 10**30)
    found = {check.name: check for check in doctor.examine(tmp_path)}
    assert found["e2r[ray]"] == Check(
        "e2r[ray]",
        False,
        "several machines: no_such_module not installed",
        "pip install 'e2r[ray]'",
    )
    assert not found["disk"].works
