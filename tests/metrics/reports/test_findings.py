"""docs/findings.md is what the command writes today, and its sentences follow from its figures."""

from __future__ import annotations

from pathlib import Path

import pytest

import e2r
from e2r.cli import main
from e2r.metrics.reports import findings

ROOT = Path(e2r.__file__).parent.parent


@pytest.fixture(scope="module")
def found(request: pytest.FixtureRequest) -> findings.Found:
    return findings.find(request.getfixturevalue("shared_data"), ROOT / "runs")


def test_the_committed_page_is_what_the_command_writes(found, tmp_path: Path) -> None:
    written = findings.write(found, tmp_path / "docs" / "findings.md")
    assert written[0].read_bytes() == (ROOT / "docs" / "findings.md").read_bytes()
    for path in written[1:]:
        assert (ROOT / "docs" / path.relative_to(tmp_path / "docs")).is_file()


def test_a_point_is_priced_only_where_the_gain_is_above_zero(found) -> None:
    steps = [step for field in found.fields for step in field.steps]
    assert {step.point.value is None for step in steps} == {True, False}
    for step in steps:
        gain, spent = step.contrast.difference, step.contrast.gain_per_petaflop
        if step.point.value is None:
            assert gain.low <= 0
        else:
            extra = step.dearer.petaflops.value - step.cheaper.petaflops.value
            assert step.point.value == pytest.approx(0.01 * extra / gain.value)
            assert step.point.low < step.point.value < step.point.high
            assert step.point.low == pytest.approx(0.01 / spent.high)


def test_rows_that_answered_nothing_are_told_and_left_out(found) -> None:
    idle = [row for field in found.fields for row in field.idle]
    assert idle
    report = " ".join(findings.report(found).split())
    assert f"{len(idle)} more rankings follow from the first stage's order alone" in report
    for field in found.fields:
        assert not set(field.idle) & set(field.frontier.rows)


def test_two_rows_by_means_have_a_ratio_of_costs_and_no_interval_of_it(found) -> None:
    by_means = [
        step
        for field in found.fields
        for step in field.steps
        if {row.priced and row.priced.known for row in (step.cheaper, step.dearer)} == {"means"}
    ]
    assert by_means
    for step in by_means:
        ratio = step.contrast.cost_ratio
        assert ratio.low == pytest.approx(ratio.value) == pytest.approx(ratio.high)


def test_no_field_without_rows(shared_data: Path, tmp_path: Path, capsys) -> None:
    with pytest.raises(SystemExit) as left:
        main(["reproduce", "findings", "--data", str(shared_data), "--runs", str(tmp_path)])
    assert left.value.code == 3
    assert str(tmp_path) in capsys.readouterr().err
