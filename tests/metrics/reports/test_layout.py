"""Sheets at any width: no number is cut, no line is too wide, what is left out is named."""

from __future__ import annotations

import pytest
from rich.cells import cell_len

from e2r.cli.layout import lay_out, shortened
from e2r.metrics.columns import SHEETS, sheet
from e2r.metrics.comparison import compare
from e2r.metrics.evaluation import evaluate
from e2r.metrics.frontiers import frontiers
from e2r.metrics.reports.tables import Sheet

LONG = "an-organisation-with-a-name/A-Model-With-A-Very-Long-Name-Instruct-v0.3.Q4_K_M"
WIDTHS = (60, 80, 120, 200)


@pytest.fixture
def folder(make_run, tmp_path):
    judged = {"judgments": {f"q{i}": {"a": 2} for i in range(6)}}
    made = {"rankings": {f"q{i}": ("b", "a") if i % 3 else ("a", "b") for i in range(6)}, **judged}
    calls = {f"q{i}": [(1234 + i, 1, 3)] * 7 for i in range(6)}
    for number, method in enumerate(["setwise.heapsort.reasoning", "listwise.generation"]):
        make_run(method=method, model=LONG, calls=calls, hash8=f"0000000{number}", **made)
    make_run(method="listwise.generation", model=LONG, calls=calls, hash8="00000007", **made)
    make_run(method="first_stage", model="no-model", calls={}, architecture=None, **made)
    return tmp_path / "runs"


@pytest.fixture
def sheets(folder) -> list[Sheet]:
    table = evaluate([folder], "nDCG@10 RR(rel=2)@10", note=[].append)
    found = [sheet(table.rows, table.measures, kind) for kind in SHEETS]
    return [*found, *frontiers(table).sheets(), *compare([folder], note=[].append).sheets()]


@pytest.mark.parametrize("width", WIDTHS)
def test_every_number_is_whole_or_its_column_is_named(sheets: list[Sheet], width: int) -> None:
    for each in sheets:
        laid = lay_out(each, width)
        assert all(cell_len(line) <= width for line in laid.lines)
        text = "\n".join(laid.lines)
        for name, *cells in list(zip(each.header, *each.lines, strict=True))[each.words :]:
            if name in laid.dropped:
                continue
            assert name in text
            for cell in cells:
                assert cell in text, f"{name} at {width}"
        # The rightmost of what is left is parsed back, line by line.
        kept = [place for place, name in enumerate(each.header) if name not in laid.dropped]
        ends = [line[kept[-1]] for line in each.lines]
        read = [line.split("  ")[-1].strip() for line in laid.lines]
        assert [cell for cell in read if cell in ends][-len(ends) :] == ends


def test_the_widest_terminal_shows_every_column(sheets: list[Sheet]) -> None:
    for each in sheets:
        assert not lay_out(each, 500).dropped
        assert len(lay_out(each, 500).lines) == 2 + len(each.lines)


def test_columns_go_in_the_sheets_order() -> None:
    wide = Sheet(["name", "a", "b", "c"], [["x", "1" * 9, "2" * 9, "3" * 9]], 1, drop=("b",))
    assert lay_out(wide, 24).dropped == ("b",)
    assert lay_out(wide, 12).dropped == ("b", "c")
    assert "1" * 9 in "".join(lay_out(wide, 4).lines)


def test_a_name_keeps_both_ends() -> None:
    assert shortened("Qwen2.5-Coder-0.5B-Instruct", 13) == "Qwen2.…struct"
    assert shortened("short", 5) == "short"
    assert cell_len(shortened("日本語の名前です", 8)) <= 8


def test_runs_that_look_alike_are_told_apart(folder) -> None:
    table = evaluate([folder], note=[].append)
    named = [line[2] for line in table.sheets()[0].lines]
    assert len(set(named)) == 4
    assert {name.partition(" ")[0] for name in named} == {row.manifest.method for row in table.rows}


def test_the_best_comes_first(make_run, tmp_path) -> None:
    judged = {"q": {"a": 1}}
    make_run(rankings={"q": ("b", "a")}, judgments=judged, hash8="00000001")
    make_run(rankings={"q": ("a", "b")}, judgments=judged, hash8="00000002")
    table = evaluate([tmp_path / "runs"], note=[].append)
    values = [line[5] for line in table.sheets()[0].lines]
    assert [value[:6] for value in values] == ["1.0000", "0.6309"]
