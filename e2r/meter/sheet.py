"""What a meter leaves on disk: whole rows of a usage CSV, models' facts beside it, and notes."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any

from e2r.borders.writing import (
    append,
    make_folder,
    remove_file,
    remove_folder_if_empty,
    write,
)
from e2r.errors import UsageError

CLOSED = "closed:"
"""Before the name of a model that has no price; `e2r evaluate` reads it so."""
PROCESS, MISSING, UNSURE, UNSEEN = "process", "missing", "unsure", "unseen"
"""Kinds of notes: a process that was watched; what was computed and is in no row; what makes a
price unsure; a library that computes where no meter can look."""


@dataclass(frozen=True)
class Row:
    """One call: what was asked of a model, and behind `computed_` what it was made to compute.

    Both are counts as `Usage` takes them. They differ by padding, by rows of a batch that had ended
    while others went on, and by positions of the head that padding takes up. `padded_tokens` is the
    difference in token positions. `qid` is empty where nobody said which query a call is for.
    """

    qid: str
    model: str
    prompt_tokens: int
    cached_tokens: int
    decoder_prompt_tokens: int
    generated_tokens: int
    head_positions: int
    padded_tokens: int
    batch_size: int
    computed_prompt_tokens: int
    computed_cached_tokens: int
    computed_decoder_prompt_tokens: int
    computed_generated_tokens: int
    computed_head_positions: int


HEADER = tuple(field.name for field in fields(Row))


class Sheet:
    """The files of one meter; several processes may write into them at once.

    Rows are appended in one write each time, under a lock, so that no row is ever cut by another;
    what is written is on disk when the program dies.
    """

    def __init__(self, out: Path) -> None:
        self.out = out
        self.folder = beside(out)
        self._known: set[str] = set()

    @classmethod
    def begin(cls, out: Path) -> Sheet:
        """Make the files. Raises UsageError where one is there, for nothing is written over, and
        where none can be."""
        if not out.name or out.name.endswith(".gz"):
            raise UsageError(f"--out {str(out)!r}: is no name of a plain CSV, as in calls.csv")
        for path in (out, beside(out)):
            if path.exists() or path.is_symlink():
                raise UsageError(f"{path}: is there already; name another file by --out")
        if not out.parent.is_dir():
            raise UsageError(f"{out}: there is no folder {out.parent}; make it first")
        try:
            make_folder(beside(out), out.parent)
            write(out, (",".join(HEADER) + "\n").encode(), durable=False)
        except OSError as error:
            raise UsageError(f"{out}: cannot be written ({error.strerror})") from None
        return cls(out)

    def remove(self) -> None:
        """Take the files away again, where no program came to run."""
        remove_file(self.out, self.out.parent)
        remove_folder_if_empty(self.folder)

    def write(self, rows: Iterable[Row]) -> None:
        """Append rows, all in one piece."""
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(astuple(row) for row in rows)
        append(self.out, text.getvalue().encode(), durable=False)

    def model(self, name: str, facts: Mapping[str, Any]) -> str:
        """Lay a model's facts beside the rows; returns what the column `model` says of it."""
        content = json.dumps(facts, indent=1, sort_keys=True, ensure_ascii=False).encode()
        digest = hashlib.sha256(content).hexdigest()[:8]
        path = self.folder / f"{slug(name)}-{digest}.json"
        if path.name not in self._known and not path.exists():
            write(path, content, self.folder, durable=False)
        self._known.add(path.name)
        return f"{self.folder.name}/{path.name}"

    def note(self, kind: str, text: str, count: int = 1) -> None:
        """Write down what the rows do not say, by its kind, and how often it was so."""
        line = json.dumps({"pid": os.getpid(), "kind": kind, "text": text, "count": count})
        append(self.folder / "notes.jsonl", line.encode() + b"\n", durable=False)

    def notes(self) -> Iterator[tuple[str, str, int]]:
        """Each note as (kind, text, count); a line that a dying process cut short is left out."""
        try:
            lines = (self.folder / "notes.jsonl").read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return
        for line in lines:
            try:
                note = json.loads(line)
            except ValueError:
                continue
            yield note["kind"], note["text"], note["count"]


def beside(out: Path) -> Path:
    """The folder next to a CSV that holds its models' facts and its notes."""
    return out.with_name(f"{out.name.removesuffix('.csv')}.models")


def slug(name: str) -> str:
    """A model's name as a file may be called: the last two parts of a path, nothing strange."""
    parts = [part for part in re.split(r"[/\\]+", name) if part not in ("", ".", "..")]
    return re.sub(r"[^A-Za-z0-9._-]+", "-", "--".join(parts[-2:]))[:80].strip(".-") or "model"
