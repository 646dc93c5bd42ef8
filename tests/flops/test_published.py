"""Figures that others published: the paper's tables, profiled calls, counted parameters."""

from __future__ import annotations

from pathlib import Path

import pytest

from e2r.flops import reproduce
from e2r.flops.architecture import Architecture


def test_every_row_of_the_papers_tables(shared_data: Path) -> None:
    rows = reproduce.paper(shared_data)
    assert len(rows) == 106
    assert [row for row in rows if not row.reproduced] == []


def test_every_profiled_call_to_the_integer(shared_data: Path) -> None:
    files = reproduce.profile(shared_data)
    assert sum(file.calls for file in files) == 292_788
    assert [file for file in files if file.exact != file.calls] == []


@pytest.mark.parametrize(
    ("name", "published"),
    [
        ("google/flan-t5-large", 783_150_080),
        ("google/flan-t5-xl", 2_849_757_184),
        ("Qwen/Qwen2.5-7B-Instruct", 7_615_616_512),
        ("meta-llama/Llama-3.1-8B-Instruct", 8_030_261_248),
    ],
)
def test_parameters_of_the_published_checkpoints(name: str, published: int) -> None:
    assert Architecture.load(name).parameters.total == published
