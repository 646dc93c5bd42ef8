"""The published figures, computed again: the paper's tables and the authors' profiled calls."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

from e2r.errors import DataError, MissingError
from e2r.flops.architecture import Architecture
from e2r.flops.conventions import CONVENTIONS
from e2r.flops.estimate import estimate, priced
from e2r.flops.work import Usage

PETA = 10**15
ROUNDING = 0.0011
"""PetaFLOPs: half a unit of the last printed digit, and the same again for rounded inputs."""
RELATIVE = 0.0002
DECODER_PROMPT = 3
"""Flan-T5 calls were started from `<pad> Passage`, which are three tokens."""


@dataclass(frozen=True)
class TableRow:
    """One row of Tables 2 and 3: what is printed, and what the equations give.

    `petaflops` follow from the row's printed token counts; `rpp` and `qpp` from the printed
    (rounded) PetaFLOPs as the paper's do, `rpp_unrounded` from ours. Units: PetaFLOPs per query.
    """

    table: str
    dataset: str
    model: str
    method: str
    printed_petaflops: float
    petaflops: float
    printed_rpp: str
    rpp: float
    rpp_unrounded: float
    printed_qpp: str
    qpp: float
    qpp_unrounded: float

    @property
    def difference(self) -> float:
        """PetaFLOPs between ours and the printed figure."""
        return abs(self.petaflops - self.printed_petaflops)

    @property
    def reproduced(self) -> bool:
        """Whether PetaFLOPs, RPP and QPP all agree within the printed rounding."""
        near = self.difference <= max(ROUNDING, RELATIVE * self.printed_petaflops)
        rpp = _agrees(self.rpp, self.printed_rpp)
        return near and rpp and _agrees(self.qpp, self.printed_qpp)


def paper(data: Path) -> list[TableRow]:
    """Every row of `paper/tables.csv` under `data`, from its printed In, Out and #LLM."""
    return [_table_row(row) for row in _rows(data / "paper" / "tables.csv")]


@dataclass(frozen=True)
class ProfiledFile:
    """One file of profiled calls: how many, and how many agree to the integer."""

    name: str
    model: str
    calls: int
    exact: int
    worst: int


def profile(data: Path) -> list[ProfiledFile]:
    """Every `paper/measured/*.csv.gz` under `data`, priced under the deepspeed convention."""
    folder = data / "paper" / "measured"
    paths = sorted(folder.glob("*.csv.gz"))
    if not paths:
        raise MissingError(f"{folder}: no *.csv.gz of profiled calls; give their folder by --data")
    return [_profiled(path) for path in paths]


def _table_row(row: dict[str, str]) -> TableRow:
    tokens = {
        "prompt_tokens": Fraction(row["input_tokens"]),
        "generated_tokens": Fraction(row["output_tokens"]),
    }
    operations = priced(_load(row["model"]), CONVENTIONS["paper"])
    call: Any = sum(op.coefficient * op.unit.evaluate(tokens) for op in operations)
    petaflops = float(call * Fraction(row["calls"]) / PETA)
    metric, printed = float(row["ndcg10"]), float(row["petaflops"])
    return TableRow(
        table=row["table"],
        dataset=row["dataset"],
        model=row["model"],
        method=row["method"],
        printed_petaflops=printed,
        petaflops=petaflops,
        printed_rpp=row["rpp"],
        rpp=metric / printed,
        rpp_unrounded=metric / petaflops,
        printed_qpp=row["qpp"],
        qpp=1 / printed,
        qpp_unrounded=1 / petaflops,
    )


def _profiled(path: Path) -> ProfiledFile:
    import numpy

    model = path.name.removesuffix(".csv.gz").rsplit(".", 2)[0]
    arch = _load(model)
    calls = list(_rows(path))
    try:
        prompt, output, flops = (
            numpy.array([int(call[name]) for call in calls], dtype=numpy.int64)
            for name in ("input_tokens", "output_tokens", "flops")
        )
    except (KeyError, ValueError) as error:
        raise DataError(f"{path}: needs whole input_tokens, output_tokens and flops") from error
    if arch.mode == "decoder":
        usage = Usage(prompt, output - DECODER_PROMPT, decoder_prompt_tokens=DECODER_PROMPT)
    else:
        usage = Usage(prompt, output)
    difference = numpy.abs(estimate(arch, usage, "deepspeed").flops - flops)
    return ProfiledFile(
        path.name, arch.name, len(calls), int((difference == 0).sum()), int(difference.max())
    )


@cache
def _load(name: str) -> Architecture:
    return Architecture.load(name)


def _rows(path: Path) -> Iterator[dict[str, str]]:
    if not path.is_file():
        raise MissingError(f"{path}: no such file; give the folder of the paper's data by --data")
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8", newline="") as lines:
        yield from csv.DictReader(lines)


def _agrees(ours: float, printed: str) -> bool:
    # Some rows are cut and others rounded, so the last printed digit may be off by one.
    unit = 0.1 ** len(printed.partition(".")[2])
    return abs(ours - float(printed)) <= unit
