"""Figures that others published: the paper's tables and the profiled calls."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import pearsonr

from e2r.errors import DataError
from e2r.flops import agreement, measured, reproduce
from e2r.flops.architecture import Architecture
from e2r.flops.estimate import estimate
from e2r.flops.work import Usage

HEADER = "table,dataset,model,method,ndcg10,calls,input_tokens,output_tokens,petaflops,rpp,qpp\n"
ROW = "2,D,google/flan-t5-large,pointwise.yes_no,.654,100,161.12,0,{},{},{}\n"


def rows_of(tmp_path: Path, petaflops: str, rpp: str, qpp: str) -> list[reproduce.TableRow]:
    (tmp_path / "paper").mkdir()
    (tmp_path / "paper" / "tables.csv").write_text(HEADER + ROW.format(petaflops, rpp, qpp))
    return reproduce.paper(tmp_path)


def test_every_row_of_the_papers_tables(shared_data: Path) -> None:
    rows = reproduce.paper(shared_data)
    assert len(rows) == 106
    assert [row for row in rows if not row.reproduced] == []


def test_what_is_printed_follows_from_printed_figures(shared_data: Path) -> None:
    for row in reproduce.paper(shared_data):
        for quotient, cell in ((row.rpp, row.cells[1]), (row.qpp, row.cells[2])):
            unit = 0.1 ** len(cell.printed.partition(".")[2])
            assert -unit / 2 - 1e-9 <= quotient - float(cell.printed) < unit


def test_cells_are_told_apart_by_what_explains_them(shared_data: Path) -> None:
    rows = reproduce.paper(shared_data)
    found = Counter((cell.name, cell.verdict) for row in rows for cell in row.cells)
    assert found["PFLOPs", "differs"] == 4
    assert found["PFLOPs", "same"] + found["PFLOPs", "cut"] == 102
    for row in rows:
        for cell in row.cells:
            assert cell.verdict != "rounding" or cell.low <= cell.computed <= cell.high
    paper = next(row for row in rows if row.cells[1].printed == "72.67")
    assert paper.rpp == pytest.approx(0.654 / 0.009)
    assert paper.cells[1].computed == pytest.approx(68.26, abs=0.005)
    assert paper.cells[1].verdict == "rounding"


@pytest.mark.parametrize(
    ("printed", "verdicts"),
    [
        (("0.0096", "68.26", "104.4"), ("same", "same", "same")),
        (("0.009", "72.67", "111.1"), ("cut", "rounding", "rounding")),
        (("0.0106", "61.70", "94.34"), ("differs", "differs", "differs")),
    ],
)
def test_a_verdict_follows_the_printed_digits(tmp_path, printed, verdicts) -> None:
    [row] = rows_of(tmp_path, *printed)
    assert tuple(cell.verdict for cell in row.cells) == verdicts


def test_a_row_under_ideal_lies_between_its_whole_neighbours(tmp_path) -> None:
    [row] = rows_of(tmp_path, "0.009", "72.67", "111.1")
    arch = Architecture.load("google/flan-t5-large")
    low, high = (
        100 * estimate(arch, Usage(n, decoder_prompt_tokens=1)).total / 1e15 for n in (161, 162)
    )
    assert row.ideal == pytest.approx(low + 0.12 * (high - low), rel=1e-12)


@pytest.mark.parametrize("text", ["", HEADER, HEADER + ROW.format("x", "1", "1"), HEADER + "2\n"])
def test_a_table_that_is_none_is_refused(tmp_path, text) -> None:
    (tmp_path / "paper").mkdir()
    (tmp_path / "paper" / "tables.csv").write_text(text)
    with pytest.raises(DataError, match=r"tables\.csv"):
        reproduce.paper(tmp_path)


def test_every_profiled_call_to_the_integer(shared_data: Path) -> None:
    files = agreement.profile(measured.read_all(shared_data))
    assert sum(file.calls for file in files) == 292_788
    assert [file for file in files if file.exact != file.calls] == []


def test_the_calculator_lies_18_to_29_percent_below_its_own_profiler(shared_data: Path) -> None:
    files = measured.read_all(shared_data)
    *models, together = agreement.agreements(files)
    for entry in models:
        assert -0.29 < entry.errors["paper"].low <= entry.errors["paper"].high < -0.17
        assert entry.errors["deepspeed"] == agreement.Spread(0, 0, 0)
    assert together.calls == sum(entry.calls for entry in models) == 292_788
    flops = np.concatenate([file.flops for file in files])
    seconds = np.concatenate([file.seconds for file in files])
    assert together.seconds_r == pytest.approx(pearsonr(flops, seconds).statistic)
