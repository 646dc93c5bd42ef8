"""A CSV of calls in, the same rows with their FLOPs out."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING, Any

from e2r.errors import DataError, MissingError
from e2r.flops.architecture import Architecture
from e2r.flops.estimate import estimate
from e2r.flops.work import Usage

if TYPE_CHECKING:
    from numpy.typing import NDArray

REQUIRED = ("prompt_tokens", "generated_tokens")
OPTIONAL = ("decoder_prompt_tokens", "cached_tokens", "head_positions")


def price(architecture: Architecture, source: Path, out: Path, convention: str) -> int:
    """Write `source`'s rows to `out` with a whole-number column `flops` added; returns the rows.

    Columns: prompt_tokens and generated_tokens, and optionally decoder_prompt_tokens,
    cached_tokens and head_positions; others are passed through. Raises MissingError for a missing
    file and DataError, naming the line, for a value that is no token count. Nothing is written
    unless every row can be priced.
    """
    if not source.is_file():
        raise MissingError(f"{source}: no such file; give a CSV of calls")
    with source.open(encoding="utf-8", newline="") as lines:
        reader = csv.reader(lines)
        header = next(reader, [])
        rows = list(reader)
    for name in REQUIRED:
        if name not in header:
            raise DataError(f"{source}: column {name!r} is missing; it has {', '.join(header)}")
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
        flops: Any = estimate(architecture, usage, convention).flops
    except DataError as error:
        raise DataError(f"{source}: {error}") from None
    draft = out.with_name(f"{out.name}.part")
    with draft.open("w", encoding="utf-8", newline="") as lines:
        writer = csv.writer(lines, lineterminator="\n")
        writer.writerow([*header, "flops"])
        writer.writerows([*row, value] for row, value in zip(rows, flops.tolist(), strict=True))
    draft.replace(out)
    return len(rows)


def _column(source: Path, place: int, name: str, rows: list[list[str]]) -> NDArray[Any]:
    import numpy

    try:
        return numpy.array([int(row[place]) for row in rows], dtype=numpy.int64)
    except (ValueError, OverflowError):
        for number, row in enumerate(rows, start=2):
            if not row[place].strip().lstrip("-").isdigit():
                raise DataError(
                    f"{source}:{number}: {name} is {row[place]!r}; give a whole number of tokens"
                ) from None
        raise DataError(f"{source}: {name} holds a number too large for a token count") from None
