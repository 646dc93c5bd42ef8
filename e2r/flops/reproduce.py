"""The paper's Tables 2 and 3, computed again cell by cell, with what rounding explains."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from math import ceil, floor
from pathlib import Path
from typing import Any, Literal, TypeAlias

from e2r.errors import DataError, MissingError
from e2r.flops.architecture import Architecture
from e2r.flops.conventions import CONVENTIONS
from e2r.flops.estimate import estimate, priced
from e2r.flops.measured import DECODER_PROMPT
from e2r.flops.work import Usage

PETA = 10**15
ROUNDING = 0.0011
"""PetaFLOPs: half a unit of the last printed digit, and the same again for rounded inputs."""
RELATIVE = 0.0002

Verdict: TypeAlias = Literal["same", "cut", "rounding", "differs"]
VERDICTS: dict[Verdict, str] = {
    "same": "our figure rounds to what is printed",
    "cut": "ours with its last digits cut off instead of rounded is what is printed",
    "rounding": "differs from ours by no more than the rounding of the printed inputs allows",
    "differs": "differs by more than that",
}


@dataclass(frozen=True)
class Cell:
    """A printed figure and ours, which no rounding went into.

    `low` and `high` bound what ours could be, given that the printed inputs are rounded; for RPP
    and QPP these are the printed NDCG and PetaFLOPs, which may be rounded or cut.
    """

    name: str
    printed: str
    computed: float
    low: float
    high: float
    verdict: Verdict

    @property
    def change(self) -> float:
        """Ours over the printed figure, minus 1."""
        return self.computed / float(self.printed) - 1


@dataclass(frozen=True)
class TableRow:
    """One row of Tables 2 and 3: cells for PetaFLOPs per query, RPP and QPP.

    `rpp` and `qpp` follow from the printed (rounded) PetaFLOPs as the paper's do. `ideal` is the
    row's PetaFLOPs under the convention ideal.
    """

    table: str
    dataset: str
    model: str
    method: str
    ndcg: float
    cells: tuple[Cell, Cell, Cell]
    rpp: float
    qpp: float
    ideal: float

    @property
    def petaflops(self) -> float:
        """Ours, from the row's printed token counts by Eq. 9-15."""
        return self.cells[0].computed

    @property
    def printed_petaflops(self) -> float:
        """What the table prints."""
        return float(self.cells[0].printed)

    @property
    def difference(self) -> float:
        """PetaFLOPs between ours and the printed figure."""
        return abs(self.petaflops - self.printed_petaflops)

    @property
    def reproduced(self) -> bool:
        """Whether PetaFLOPs, RPP and QPP all agree within the printed rounding."""
        near = self.difference <= max(ROUNDING, RELATIVE * self.printed_petaflops)
        _, rpp, qpp = self.cells
        return near and _agrees(self.rpp, rpp.printed) and _agrees(self.qpp, qpp.printed)


def paper(data: Path) -> list[TableRow]:
    """Every row of `paper/tables.csv` under `data`, from its printed In, Out and #LLM.

    Raises MissingError without that file and DataError, naming the row, where it is not one.
    """
    path = data / "paper" / "tables.csv"
    rows = []
    for number, row in enumerate(_rows(path), start=2):
        try:
            rows.append(_table_row(row))
        except (KeyError, TypeError, ValueError, ZeroDivisionError) as error:
            raise DataError(f"{path}:{number}: not a row of the paper's tables ({error})") from None
    if not rows:
        raise DataError(f"{path}: no row in it")
    return rows


def _table_row(row: dict[str, str]) -> TableRow:
    printed, metric = row["petaflops"], row["ndcg10"]
    low, petaflops, high = (_petaflops(row, side) for side in (-1, 0, 1))
    unit = _unit(printed)
    least, most = Fraction(printed) - unit / 2, Fraction(printed) + unit
    half = _unit(metric) / 2
    rpp, qpp = Fraction(metric) / petaflops, 1 / petaflops
    return TableRow(
        table=row["table"],
        dataset=row["dataset"],
        model=row["model"],
        method=row["method"],
        ndcg=float(metric),
        cells=(
            _cell("PFLOPs", printed, petaflops, low, high),
            _divided("RPP", row["rpp"], rpp, Fraction(metric), half, (least, most)),
            _divided("QPP", row["qpp"], qpp, Fraction(1), Fraction(0), (least, most)),
        ),
        rpp=float(Fraction(metric) / Fraction(printed)),
        qpp=float(1 / Fraction(printed)),
        ideal=_ideal(row),
    )


def _cell(name: str, printed: str, ours: Fraction, low: Fraction, high: Fraction) -> Cell:
    verdict = _plain(printed, ours)
    if verdict == "differs":
        unit, value = _unit(printed), Fraction(printed)
        if value - unit / 2 <= high and low <= value + unit:
            verdict = "rounding"
    return Cell(name, printed, float(ours), float(low), float(high), verdict)


def _divided(
    name: str,
    printed: str,
    ours: Fraction,
    above: Fraction,
    half: Fraction,
    below: tuple[Fraction, Fraction],
) -> Cell:
    """A quotient of printed figures: `above` ± `half` over PetaFLOPs between `below`."""
    least, most = below
    low, high = (above - half) / most, (above + half) / least
    verdict = _plain(printed, ours)
    if verdict == "differs" and low <= ours <= high:
        verdict = "rounding"
    return Cell(name, printed, float(ours), float(low), float(high), verdict)


def _plain(printed: str, ours: Fraction) -> Verdict:
    unit, off = _unit(printed), ours - Fraction(printed)
    if abs(off) <= unit / 2:
        return "same"
    return "cut" if 0 <= off < unit else "differs"


def _petaflops(row: dict[str, str], side: int) -> Fraction:
    """Eq. 9-15 at the printed inputs, or with each at the lower or upper end of its rounding."""

    def given(name: str) -> Fraction:
        return _end(row[name], side)

    tokens = {
        "prompt_tokens": given("input_tokens"),
        "generated_tokens": given("output_tokens"),
    }
    operations = priced(_load(row["model"]), CONVENTIONS["paper"])
    call: Any = sum(op.coefficient * op.unit.evaluate(tokens) for op in operations)
    return Fraction(call * given("calls") / PETA)


def _ideal(row: dict[str, str]) -> float:
    """PetaFLOPs of the row's calls under the convention ideal.

    In and Out are means; a call of a fractional length costs what lies between its neighbours. Out
    of a Flan-T5 is taken to hold the tokens that its answers start from, three of five; Out 10 is a
    comparison in both orders, thus two calls of half the tokens; Out 0 reads one score.
    """
    arch = _load(row["model"])
    prompt, output = Fraction(row["input_tokens"]), Fraction(row["output_tokens"])
    calls, start = Fraction(row["calls"]), None
    if arch.mode == "decoder":
        if row["method"] in ("pairwise.heapsort", "pairwise.bubblesort"):
            calls, prompt, output = 2 * calls, prompt / 2, output / 2
        start = DECODER_PROMPT if output == DECODER_PROMPT + 2 else 1
        output = max(output - start, Fraction(0))
    head: Any = "none" if row["method"] == "icr" else None

    def cost(prompt: int, output: int) -> int:
        usage = Usage(prompt, output, decoder_prompt_tokens=start, head=head)
        return estimate(arch, usage, "ideal").total

    def across(prompt: int) -> Fraction:
        return _between(output, lambda whole: Fraction(cost(prompt, whole)))

    return float(_between(prompt, across) * calls / PETA)


def _between(place: Fraction, value: Any) -> Fraction:
    low, high = floor(place), ceil(place)
    below: Fraction = value(low)
    return below if low == high else below + (place - low) * (value(high) - below)


def _end(text: str, side: int) -> Fraction:
    """A printed figure, or an end of what it may stand for; whole numbers are taken as exact."""
    exact = "." not in text or not text.partition(".")[2].strip("0")
    return Fraction(text) + (0 if exact else side * _unit(text) / 2)


def _unit(text: str) -> Fraction:
    """One in the last printed place."""
    return Fraction(1, 10 ** len(text.partition(".")[2]))


@cache
def _load(name: str) -> Architecture:
    return Architecture.load(name)


def _rows(path: Path) -> Iterator[dict[str, str]]:
    if not path.is_file():
        raise MissingError(f"{path}: no such file; give the folder of the paper's data by --data")
    try:
        with path.open(encoding="utf-8", newline="") as lines:
            yield from csv.DictReader(lines)
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: not a readable CSV file ({error}); fetch it again") from None


def _agrees(ours: float, printed: str) -> bool:
    # Some rows are cut and others rounded, so the last printed digit may be off by one.
    return abs(ours - float(printed)) <= float(_unit(printed))
