"""What a sheet's calls cost, model by model, read as a stream."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from e2r.errors import DataError
from e2r.flops.architecture import Architecture
from e2r.flops.conventions import convention as by_name
from e2r.flops.estimate import estimate
from e2r.flops.work import Usage
from e2r.meter.sheet import CLOSED, HEADER, Sheet

PETA = 10**15
AT_ONCE = 10_000
"""Rows held in memory."""
COUNTS = (
    "prompt_tokens",
    "cached_tokens",
    "decoder_prompt_tokens",
    "generated_tokens",
    "head_positions",
)


@dataclass(frozen=True)
class ModelTotal:
    """What one model did. `flops` is None where it has no price."""

    name: str
    calls: int
    prompt_tokens: int
    generated_tokens: int
    padded_tokens: int
    flops: int | None


@dataclass(frozen=True)
class Total:
    """What a program did, priced under one convention."""

    convention: str
    models: tuple[ModelTotal, ...]
    queries: int
    unattributed: int

    @property
    def calls(self) -> int:
        """Calls of all models."""
        return sum(model.calls for model in self.models)

    @property
    def flops(self) -> int | None:
        """FLOPs of all calls; None where one has no price."""
        known = [model.flops for model in self.models if model.flops is not None]
        return sum(known) if len(known) == len(self.models) else None

    @property
    def petaflops(self) -> float | None:
        """The same in PetaFLOPs."""
        return None if self.flops is None else self.flops / PETA


def total(sheet: Sheet, convention: str = "ideal") -> Total:
    """Sums over a sheet's rows. Raises UsageError for an unknown convention."""
    computed = not by_name(convention).asked_only
    sums: dict[str, dict[str, Any]] = {}
    queries: set[str] = set()
    unattributed = 0
    for chunk in _chunks(sheet.out):
        unattributed += sum(not row["qid"] for row in chunk)
        queries |= {row["qid"] for row in chunk if row["qid"]}
        for name, rows in _by_model(chunk).items():
            into = sums.setdefault(name, {"calls": 0, "flops": 0})
            into["calls"] += len(rows)
            for count in ("prompt_tokens", "generated_tokens", "padded_tokens"):
                into[count] = into.get(count, 0) + sum(int(row[count] or 0) for row in rows)
            if not name.startswith(CLOSED):
                into["flops"] += sum(
                    price(rows, _architecture(sheet.out, name), convention, computed)
                )
    models = [
        ModelTotal(
            _shown(name),
            into["calls"],
            into["prompt_tokens"],
            into["generated_tokens"],
            into["padded_tokens"],
            None if name.startswith(CLOSED) else into["flops"],
        )
        for name, into in sums.items()
    ]
    return Total(convention, tuple(models), len(queries), unattributed)


def price(
    rows: Sequence[Mapping[str, str]], architecture: Architecture, convention: str, computed: bool
) -> list[int]:
    """FLOPs of each row; `computed` takes what was computed instead of what was asked for."""
    import numpy

    prefix = "computed_" if computed else ""
    columns = {
        name: numpy.array([int(row[f"{prefix}{name}"] or 0) for row in rows], dtype=numpy.int64)
        for name in COUNTS
    }
    prices = [0] * len(rows)
    # A row of a batch of which nothing is real was only computed.
    (there,) = numpy.nonzero(columns["prompt_tokens"])
    if there.size:
        kept = {name: column[there] for name, column in columns.items()}
        usage = Usage(
            kept["prompt_tokens"],
            kept["generated_tokens"],
            decoder_prompt_tokens=kept["decoder_prompt_tokens"]
            if architecture.mode == "decoder"
            else None,
            cached_tokens=kept["cached_tokens"],
            head_positions=kept["head_positions"],
        )
        flops: Any = estimate(architecture, usage, convention).flops
        for place, value in zip(there.tolist(), flops.tolist(), strict=True):
            prices[place] = int(value)
    return prices


def frame(out: Path, convention: str) -> Any:
    """A sheet's rows as a DataFrame with the column `flops`, <NA> where there is no price."""
    import pandas

    computed = not by_name(convention).asked_only
    rows = [row for chunk in _chunks(out) for row in chunk]
    prices: list[Any] = [None] * len(rows)
    for name, places in _places(rows).items():
        if not name.startswith(CLOSED):
            own = [rows[place] for place in places]
            found = price(own, _architecture(out, name), convention, computed)
            for place, value in zip(places, found, strict=True):
                prices[place] = value
    table = pandas.DataFrame(rows, columns=list(HEADER))
    for name in HEADER:
        if name not in ("qid", "model"):
            table[name] = pandas.to_numeric(table[name]).astype("Int64")
    table["flops"] = pandas.Series(prices, dtype=object)
    return table


def _architecture(out: Path, column: str) -> Architecture:
    path = out.parent / column
    if column.endswith(".json") and path.is_file():
        return Architecture.load(json.loads(path.read_text(encoding="utf-8")))
    return Architecture.load(column)


def _shown(column: str) -> str:
    return Path(column).stem.rpartition("-")[0] if column.endswith(".json") else column


def _chunks(out: Path) -> Iterator[list[dict[str, str]]]:
    """Whole rows of a sheet; a last line that is being written or was cut is left out."""
    with out.open(encoding="utf-8", newline="") as stream:
        chunk: list[dict[str, str]] = []
        for number, values in enumerate(csv.reader(stream)):
            if number == 0:
                if tuple(values) != HEADER:
                    raise DataError(f"{out}: is no sheet of a meter")
                continue
            if len(values) == len(HEADER):
                chunk.append(dict(zip(HEADER, values, strict=True)))
            if len(chunk) == AT_ONCE:
                yield chunk
                chunk = []
        yield chunk


def _by_model(rows: Sequence[dict[str, str]]) -> dict[str, list[dict[str, str]]]:
    return {name: [rows[place] for place in places] for name, places in _places(rows).items()}


def _places(rows: Sequence[Mapping[str, str]]) -> dict[str, list[int]]:
    places: dict[str, list[int]] = {}
    for place, row in enumerate(rows):
        places.setdefault(row["model"], []).append(place)
    return places
