"""The calls of a run made elsewhere: a usage CSV, or the paper's authors' profiled calls."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from e2r.data.files.lines import numbered_lines
from e2r.errors import DataError
from e2r.flops import measured
from e2r.flops.work import ABSURD

NEEDED = ("qid", "prompt_tokens", "generated_tokens", "model")
COUNTS = (
    "prompt_tokens",
    "cached_tokens",
    "decoder_prompt_tokens",
    "generated_tokens",
    "head_positions",
)
SECONDS = "seconds"
CLOSED = "closed:"
"""Before the name of a model whose architecture is not public."""


@dataclass(frozen=True)
class Usages:
    """Calls in the order of their file: the query and model of each, a list of counts a column.

    `seconds` is None where they were not measured. `dataset` and `method` are what the file says of
    itself, and None for a usage CSV, which says nothing.
    """

    qids: list[str]
    models: list[str]
    counts: Mapping[str, list[int]]
    seconds: list[float] | None = None
    dataset: str | None = None
    method: str | None = None


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
    lines = list(numbered_lines(path))
    reader = csv.DictReader(io.StringIO("\n".join(line for _, line in lines)))
    names = reader.fieldnames or []
    missing = [name for name in NEEDED if name not in names]
    if missing:
        optional = (*(name for name in COUNTS if name not in NEEDED), SECONDS)
        raise DataError(
            f"{path}: no column {', '.join(missing)}; wanted {', '.join(NEEDED)} and, if need be, "
            f"{', '.join(optional)}"
        )
    qids: list[str] = []
    models: list[str] = []
    counts: dict[str, list[int]] = {name: [] for name in COUNTS}
    seconds: list[float] = []
    for row in reader:
        where = f"{path}:{lines[reader.line_num - 1][0]}"
        qids.append(_word(row["qid"], "qid", where))
        models.append(_word(row["model"], "model", where))
        for name in COUNTS:
            text = row.get(name) or ("1" if name == "head_positions" else "0")
            if not text.strip().isdecimal() or int(text) > ABSURD:
                raise DataError(f"{where}: {name} is {text!r}; give a whole number up to {ABSURD}")
            counts[name].append(int(text))
        if SECONDS in names:
            seconds.append(_seconds(row[SECONDS], where))
    if not qids:
        raise DataError(f"{path}: no call in it")
    return Usages(qids, models, counts, seconds if SECONDS in names else None)


def _word(text: str | None, name: str, where: str) -> str:
    if not text or not text.strip():
        raise DataError(f"{where}: no {name}; each call has to name one")
    return text.strip()


def _seconds(text: str | None, where: str) -> float:
    try:
        value = float(text or "")
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise DataError(f"{where}: seconds is {text!r}; give a number of seconds for every call")
    return value
