"""Cost against depth and passage length: forecast lines on which recorded runs come to lie."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import e2r
from e2r.cli import main
from e2r.errors import UsageError
from e2r.flops.architecture import Architecture
from e2r.metrics import evaluate
from e2r.metrics.reports.pictures import Curve, write_pictures, write_sweeps
from e2r.metrics.reports.pictures.sweep import recorded_curves

RUNS = Path(e2r.__file__).parent.parent / "runs"
MODEL = "Qwen/Qwen2.5-0.5B-Instruct"


def words(path: Path) -> set[str]:
    return set(re.findall(r"<!-- (.*?) -->", path.read_text()))


def test_recorded_runs_lie_on_their_forecast_lines() -> None:
    folder = RUNS / "trec-dl-2019" / "SmolLM2-135M-Instruct.Q4_1"
    rows = evaluate(folder, note=[].append).rows
    [curves] = recorded_curves(rows).values()
    assert {curve.method for curve in curves} == {
        "pointwise.qlm",
        "pointwise.yes_no",
        "setwise.heapsort",
    }
    for curve in curves:
        forecast = curve.cost(curve.depth, curve.lengths.passage, "ideal")
        assert forecast == pytest.approx(curve.petaflops, rel=0.05), curve.method


def test_runs_that_cannot_be_forecast_have_no_line(make_run, tmp_path: Path) -> None:
    make_run(method="first_stage", model="no-model", architecture=None, calls={})
    make_run(method="pointwise.qlm+setwise.heapsort")
    table = evaluate(tmp_path / "runs")
    assert recorded_curves(table.rows) == {}
    written = write_pictures(table, tmp_path / "out")
    assert not any("cost-depth" in path.name for path in written)


def test_more_candidates_and_longer_passages_cost_more() -> None:
    curve = Curve(Architecture.load(MODEL), "setwise.heapsort")
    assert curve.cost(20, 75, "ideal") < curve.cost(50, 75, "ideal")
    assert curve.cost(20, 75, "ideal") < curve.cost(20, 76, "ideal") < curve.cost(20, 76, "torch")


def test_on_the_command_line_chosen_methods_become_two_pictures(tmp_path: Path) -> None:
    methods = "pointwise.yes_no,pointwise.qlm"
    command = f"estimate {MODEL} --method {methods} --depth 30 --passage-tokens 60"
    for folder in ("one", "two"):
        with pytest.raises(SystemExit) as left:
            main([*command.split(), "--pictures", str(tmp_path / folder)])
        assert left.value.code == 0
    one, two = (
        {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()}
        for name in ("one", "two")
    )
    assert one == two
    assert set(one) == {
        f"cost-{what}.{form}" for what in ("depth", "passage") for form in ("svg", "png")
    }
    depth, passage = (words(tmp_path / "one" / f"cost-{what}.svg") for what in ("depth", "passage"))
    assert depth >= {*methods.split(","), "candidates a query; 60 tokens a passage (log scale)"}
    assert passage >= {*methods.split(","), "tokens a passage; 30 candidates a query (log scale)"}
    assert "PetaFLOPs per query, convention ideal (log scale)" in depth & passage


def test_what_cannot_be_drawn_is_refused(tmp_path: Path, capsys) -> None:
    with pytest.raises(UsageError, match="unknown method"):
        write_sweeps([Curve(Architecture.load(MODEL), "setwise.heapsrt")], "ideal", tmp_path)
    with pytest.raises(SystemExit) as left:
        main(["estimate", MODEL, "--pictures", str(tmp_path)])
    assert left.value.code == 2
    assert "--pictures needs --method" in capsys.readouterr().err
