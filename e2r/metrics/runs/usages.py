"""The calls of a run made elsewhere: a usage CSV, or the paper's authors' profiled calls."""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from e2r.borders.figures import fault
from e2r.borders.reading import LONGEST_NAME, shortened
from e2r.data.files.lines import numbered_lines
from e2r.errors import DataError
from e2r.flops import measured

NEEDED = ("qid", "prompt_tokens", "generated_tokens")
MODEL = "model"
COUNTS = (
    "prompt_tokens",
    "cached_tokens",
    "decoder_prompt_tokens",
    "generated_tokens",
    "head_positions",
)
COMPUTED = "computed_"
"""Before a count: what was computed for a call, padding included, where `e2r meter` saw it."""
SECONDS = "seconds"
CLOSED = "closed:"
"""Before the name of a model whose architecture is not public."""
UNNAMED = "unknown"
"""The model of calls whose file has no column for one."""


@dataclass(frozen=True)
class Usages:
    """Calls in the order of their file: the query and model of each, a list of counts a column.

    `seconds` is None where they were not measured. `dataset` and `method` are what the file says of
    itself, and None for a usage CSV, which says nothing. `computed` are the counts of what was
    computed rather than asked for, and None where nobody saw it. An empty qid is a call that
    `e2r meter` could give to no query; `missing` says what it saw computed and could not count.
    Calls of a file without a column of models are those of `closed:unknown`. Where nobody wrote
    down what came from a cache, `cached_told` is false and the counts are 0.
    """

    qids: list[str]
    models: list[str]
    counts: Mapping[str, list[int]]
    seconds: list[float] | None = None
    dataset: str | None = None
    method: str | None = None
    computed: Mapping[str, list[int]] | None = None
    missing: tuple[str, ...] = ()
    cached_told: bool = True


def read_usages(path: Path) -> Usages:
    """Read a usage CSV or a file of the authors' profiled calls; their headers tell them apart.

    Raises DataError with the line for anything but whole counts.
    """
    head = next(iter(numbered_lines(path)), (1, ""))[1]
    if tuple(head.strip().split(",")) == measured.COLUMNS:
        return _profiled(path)
    return _usage_csv(path)


def _profiled(path: Path) -> Usages:
    calls = measured.read(path)
    n = len(calls.queries)
    counts = {
        "prompt_tokens": calls.prompt.tolist(),
        "cached_tokens": [0] * n,
        "decoder_prompt_tokens": [calls.decoder_prompt] * n,
        "generated_tokens": calls.generated.tolist(),
        "head_positions": [1] * n,
    }
    return Usages(
        [str(query) for query in calls.queries.tolist()],
        [calls.model] * n,
        counts,
        calls.seconds.tolist(),
        calls.dataset,
        calls.method,
    )


def _usage_csv(path: Path) -> Usages:
    reader = _rows(path)
    names = next(reader, (1, []))[1]
    if len(set(names)) < len(names):
        raise DataError(f"{path}: a column is there twice: {shortened(', '.join(names))}")
    missing = [name for name in NEEDED if name not in names]
    if missing:
        optional = (MODEL, *(name for name in COUNTS if name not in NEEDED), SECONDS)
        raise DataError(
            f"{path}: no column {', '.join(missing)}; wanted {', '.join(NEEDED)} and, if need be, "
            f"{', '.join(optional)}"
        )
    metered = all(f"{COMPUTED}{name}" in names for name in COUNTS)
    qids: list[str] = []
    models: list[str] = []
    counts: dict[str, list[int]] = {name: [] for name in COUNTS}
    computed: dict[str, list[int]] = {name: [] for name in COUNTS}
    seconds: list[float] = []
    told = "cached_tokens" in names
    for number, values in reader:
        where = f"{path}:{number}"
        if len(values) != len(names):
            raise DataError(f"{where}: {len(values)} values for {len(names)} columns")
        row = dict(zip(names, values, strict=True))
        qids.append("" if metered and not row["qid"] else _word(row["qid"], "qid", where))
        models.append(_word(row[MODEL], MODEL, where) if MODEL in row else CLOSED + UNNAMED)
        for name in COUNTS:
            absent = "1" if name == "head_positions" else "0"
            counts[name].append(_count(row.get(name) or absent, name, name, where))
            if metered:
                column = f"{COMPUTED}{name}"
                computed[name].append(_count(row[column] or absent, name, column, where))
        if counts["cached_tokens"][-1] > counts["prompt_tokens"][-1]:
            raise DataError(
                f"{where}: cached_tokens is {counts['cached_tokens'][-1]}, more than the "
                f"{counts['prompt_tokens'][-1]} of prompt_tokens, of which they are a part"
            )
        told = told and bool(row.get("cached_tokens", "").strip())
        if SECONDS in names:
            seconds.append(_seconds(row[SECONDS], where))
    if not qids:
        raise DataError(f"{path}: no call in it")
    return Usages(
        qids,
        models,
        counts,
        seconds if SECONDS in names else None,
        computed=computed if metered else None,
        missing=_missing(path) if metered else (),
        cached_told=told,
    )


def _missing(path: Path) -> tuple[str, ...]:
    """What the notes beside a metered program's rows say is in none of them."""
    notes = path.with_name(f"{path.name.removesuffix('.csv')}.models") / "notes.jsonl"
    if not notes.is_file():
        return ()
    found: dict[str, None] = {}
    for number, line in numbered_lines(notes):
        try:
            note = json.loads(line)
        except ValueError:
            raise DataError(f"{notes}:{number}: is no line of JSON") from None
        if isinstance(note, dict) and note.get("kind") == "missing":
            found[shortened(str(note.get("text")))] = None
    return tuple(found)


def _rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Every line that is not blank, cut at its commas, with its number."""
    for number, line in numbered_lines(path):
        try:
            [values] = csv.reader([line], strict=True)
        except (csv.Error, ValueError) as error:
            raise DataError(f"{path}:{number}: no line of a CSV ({shortened(error)})") from None
        yield number, values


def _count(text: str, name: str, column: str, where: str) -> int:
    whole = re.fullmatch(r"\s*([0-9]{1,30})\s*", text)
    if whole is None:
        raise DataError(f"{where}: {column} is {text[:40]!r}; give a whole number")
    if (why := fault(name, int(whole[1]))) is not None:
        raise DataError(f"{where}: {column} {why}")
    return int(whole[1])


def _word(text: str | None, name: str, where: str) -> str:
    if not text or not text.strip():
        raise DataError(f"{where}: no {name}; each call has to name one")
    if len(text) > LONGEST_NAME:
        raise DataError(f"{where}: {len(text)} characters are no {name}")
    return text.strip()


def _seconds(text: str | None, where: str) -> float:
    try:
        value = float(text or "")
    except ValueError:
        value = math.nan
    if math.isnan(value) or fault(SECONDS, value) is not None:
        raise DataError(
            f"{where}: seconds is {str(text)[:40]!r}; give a number of seconds for every call"
        )
    return value
