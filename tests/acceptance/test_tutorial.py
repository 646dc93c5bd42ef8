"""The tutorial's cells run as they stand, one after another, and show what they promise."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import pytest

NOTEBOOK = Path(__file__).parents[2] / "docs" / "tutorial.ipynb"


def cells() -> list[str]:
    found = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in found if cell["cell_type"] == "code"]


def shown(source: str, names: dict[str, Any]) -> Any:
    """What a notebook shows of a cell: the value of its last expression."""
    tree = ast.parse(source)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "cell", "exec"), names)
    return (
        None if last is None else eval(compile(ast.Expression(last.value), "cell", "eval"), names)
    )


def test_it_has_ten_cells_without_outputs() -> None:
    assert len(cells()) == 10
    assert '"output_type"' not in NOTEBOOK.read_text(encoding="utf-8")


@pytest.mark.slow
def test_every_cell_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    values = [shown(source, names) for source in cells()]
    estimate, forecast, planned = values[2:5]
    assert estimate.flops > 10**12
    assert forecast.calls > 20
    assert planned.calls == 4
    table, comparison, frontier, page = values[6:10]
    assert len(table.rows) == 3
    for report in (table, comparison, frontier):
        assert "<table>" in report._repr_html_()
        assert len(repr(report)) < 400
    assert page.is_file()
    quality = {row.manifest.method: row.measures["nDCG@3"].value for row in table.rows}
    assert quality["pointwise.qlm"] > quality["first_stage"], "a real model, on a toy question"
