"""What can be downloaded says what evaluate says, and is safe to open."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from e2r.metrics import evaluate
from tests.site.reading import build


def test_downloads_say_what_evaluate_says(runs, tmp_path) -> None:
    build(runs, tmp_path / "out", paper=False)
    board = json.loads((tmp_path / "out" / "board.json").read_text())
    rows = {Path(row["run"]): row for row in evaluate(runs).to_json()}
    listed = [run for group in board["groups"] for run in group["runs"]] + board["incomplete"]
    assert len(listed) == len(rows) == 6
    for run in listed:
        wanted = rows[runs / run["run"]]
        for part, value in wanted["rpp"]["nDCG@10"].items():
            close = None if value is None else pytest.approx(value, rel=1e-5)
            assert run["rpp"]["nDCG@10"][part] == close
        assert run["calls_per_query"] == wanted["calls_per_query"]
    lines = list(csv.DictReader(io.StringIO((tmp_path / "out" / "board.csv").read_text())))
    assert [line["run"] for line in lines] == [run["run"] for run in listed]


def test_every_convention_is_in_both_downloads(runs, tmp_path) -> None:
    build(runs, tmp_path / "out", paper=False)
    board = json.loads((tmp_path / "out" / "board.json").read_text())
    lines = csv.DictReader(io.StringIO((tmp_path / "out" / "board.csv").read_text()))
    by_run = {line["run"]: line for line in lines}
    torch = {
        str(row.path.relative_to(runs)): row for row in evaluate(runs, convention="torch").rows
    }
    for run in (run for group in board["groups"] for run in group["runs"]):
        wanted = torch[run["run"]].petaflops.value
        cost = run["conventions"]["torch"]["petaflops_per_query"]["value"]
        assert cost == pytest.approx(wanted, rel=1e-5)
        assert float(by_run[run["run"]]["PFLOPs/query torch"]) == cost


def test_published_rows_are_marked_in_both_downloads(runs, tmp_path) -> None:
    build(runs, tmp_path / "out")
    board = json.loads((tmp_path / "out" / "board.json").read_text())
    rows = [row for group in board["published"] for row in group["rows"]]
    lines = list(csv.DictReader(io.StringIO((tmp_path / "out" / "board.csv").read_text())))
    assert len(rows) == sum(line["source"] == "published" for line in lines) == 106
    assert all(line["run"] == "" for line in lines if line["source"] == "published")
    assert {group["convention"] for group in board["published"]} == {"paper"}


def test_no_cell_of_the_csv_is_a_formula(make_run, tmp_path) -> None:
    make_run(dataset="=1+1")
    build(tmp_path / "runs", tmp_path / "out")
    text = (tmp_path / "out" / "board.csv").read_text()
    assert "'=1+1" in text
