"""The paper's rows on the board are the paper's."""

from __future__ import annotations

import csv
from fractions import Fraction
from pathlib import Path

import pytest

from e2r.errors import DataError
from e2r.site.published import published

NAMES = {"icr": "attention.icr", "tourrank": "tournament.tourrank"}


def test_every_row_of_the_papers_tables_is_there_as_printed(shared_data: Path) -> None:
    text = (shared_data / "paper" / "tables.csv").read_text(encoding="utf-8")
    lines = csv.DictReader(text.splitlines())
    printed = {
        (line["dataset"], line["model"], NAMES.get(line["method"], line["method"])): [
            float(line[name])
            for name in ("ndcg10", "calls", "input_tokens", "output_tokens", "petaflops")
        ]
        for line in lines
    }
    found = {
        (row.dataset, row.model, row.method): [
            row.quality,
            row.calls,
            row.prompt_tokens,
            row.generated_tokens,
            row.printed,
        ]
        for row in published().rows
    }
    assert len(found) == 106
    assert found == printed


def test_the_cost_of_every_row_is_the_printed_one_to_its_rounding() -> None:
    rows = published().rows
    assert len({row.id for row in rows}) == len(rows) == 106
    for row in rows:
        near = max(0.0011, 0.0002 * row.printed)
        assert row.petaflops == pytest.approx(row.printed, abs=near), row


def test_a_cost_by_hand() -> None:
    [row] = [
        row
        for row in published().rows
        if (row.dataset, row.label, row.method)
        == ("TREC DL 2019", "flan-t5-large", "pointwise.yes_no")
    ]
    # Eq. 12-15 for flan-t5-large: 24 + 24 layers, d = 1024, f = 2816, a = d.
    n = Fraction("161.12")
    encoder = 2 * (2 * 1024 * 24 * (2 * 1024 + 2816)) * n + 4 * 24 * n**2 * 1024
    crossed = 4 * 24 * n * 1024 * 1024
    assert row.petaflops == pytest.approx(float(100 * (encoder + crossed) / 10**15), rel=1e-12)


def test_facts_of_another_form_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "facts.toml"
    path.write_text('source = "x"\n[rows.a.b]\nc = [1]\n')
    with pytest.raises(DataError, match="not a table of published rows"):
        published(path)
