"""A CSV of calls in, the same rows with their FLOPs out."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from e2r.borders.figures import fault
from e2r.borders.reading import MIB, MissingFileError, content, shortened, told_of
from e2r.borders.writing import output
from e2r.errors import DataError, MissingError
from e2r.flops.architecture import Architecture
from e2r.flops.estimate import estimate
from e2r.flops.work import Usage

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_BYTES = 256 * MIB
REQUIRED = ("prompt_tokens", "generated_tokens")
OPTIONAL = ("decoder_prompt_tokens", "cached_tokens", "head_positions")


def price(architecture: Architecture, source: Path, out: Path, convention: str) -> tuple[int, int]:
    """Write `source`'s rows to `out` with a whole-number column `flops` added: (rows, their sum).

    Columns: prompt_tokens and generated_tokens, and optionally decoder_prompt_tokens,
    cached_tokens and head_positions; others are passed through. Raises MissingError for a missing
    file and DataError, naming the line, for a value that is no token count. Nothing is written
    unless every row can be priced.
    """
    try:
        header, rows = _read(source)
    except MissingFileError:
        raise MissingError(f"{source}: no such file; give a CSV of calls") from None
    for name in REQUIRED:
        if name not in header:
            raise DataError(
                f"{source}: column {name!r} is missing; it has {shortened(', '.join(header))}"
            )
    if not rows:
        raise DataError(f"{source}: holds no calls")
    for number, row in enumerate(rows, start=2):
        if len(row) != len(header):
            raise DataError(f"{source}:{number}: {len(row)} values for {len(header)} columns")
    columns = {
        name: _column(source, header.index(name), name, rows)
        for name in (*REQUIRED, *OPTIONAL)
        if name in header
    }
    try:
        usage = Usage(
            columns["prompt_tokens"],
            columns["generated_tokens"],
            decoder_prompt_tokens=columns.get("decoder_prompt_tokens"),
            cached_tokens=columns.get("cached_tokens", 0),
            head_positions=columns.get("head_positions"),
        )
        priced = estimate(architecture, usage, convention)
        flops: Any = priced.flops
    except DataError as error:
        raise DataError(f"{source}: {error}") from None
    with output(out) as raw:
        lines = io.TextIOWrapper(raw, encoding="utf-8", newline="")
        writer = csv.writer(lines, lineterminator="\n")
        writer.writerow([*header, "flops"])
        writer.writerows([*row, value] for row, value in zip(rows, flops.tolist(), strict=True))
        lines.flush()
        lines.detach()
    return len(rows), priced.total


def _read(source: Path) -> tuple[list[str], list[list[str]]]:
    """The header and the rows. Raises DataError for what is no CSV."""
    with told_of(source, "a CSV of calls"):
        text = content(source, MOST_BYTES).decode("utf-8-sig")
        try:
            reader = csv.reader(io.StringIO(text, newline=""))
            return next(reader, []), list(reader)
        except csv.Error as error:
            raise DataError(f"{source}: not a CSV of calls ({error})") from None
    raise AssertionError


def _column(source: Path, place: int, name: str, rows: list[list[str]]) -> NDArray[Any]:
    import numpy

    counts = []
    for number, row in enumerate(rows, start=2):
        text = row[place].strip()
        if not re.fullmatch(r"-?[0-9]{1,30}", text):
            raise DataError(
                f"{source}:{number}: {name} is {row[place][:40]!r}; give a whole number of tokens"
            )
        if (why := fault(name, int(text))) is not None:
            raise DataError(f"{source}:{number}: {name} {why}")
        counts.append(int(text))
    return numpy.array(counts, dtype=numpy.int64)
