"""Figures that others published: the paper's tables and the profiled calls."""

from __future__ import annotations

from pathlib import Path

from e2r.flops import reproduce


def test_every_row_of_the_papers_tables(shared_data: Path) -> None:
    rows = reproduce.paper(shared_data)
    assert len(rows) == 106
    assert [row for row in rows if not row.reproduced] == []


def test_every_profiled_call_to_the_integer(shared_data: Path) -> None:
    files = reproduce.profile(shared_data)
    assert sum(file.calls for file in files) == 292_788
    assert [file for file in files if file.exact != file.calls] == []
