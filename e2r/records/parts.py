"""The parts of a growing ledger, one a query: written, checked, moved aside, merged."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Protocol

import pyarrow as pa
import pyarrow.compute as pc

from e2r.borders.writing import flush_folder, make_folder, move, remove_folder_if_empty, remove_own
from e2r.data.progress import Working, unheard
from e2r.errors import DataError
from e2r.records.ledger import Call, read_ledger, write_part, write_tables

PART = re.compile(r"[0-9a-f]{16}\.parquet")
"""Names of parts; a query id may hold any character, and so its hash names its part."""
ASIDE = re.compile(r"[0-9a-f]{16}\.unreadable")
"""Names of parts that could not be read; they stay until the run is complete."""
NOTHING = re.compile(r"(?!)")


class Counted(Protocol):
    """What a query's line says of its calls."""

    @property
    def qid(self) -> str: ...
    @property
    def calls(self) -> int: ...
    @property
    def prompt_tokens(self) -> int: ...
    @property
    def generated_tokens(self) -> int: ...


class LostError(DataError):
    """Calls of queries that finished are no longer on disk; `queries` says whose, and why."""

    def __init__(self, queries: dict[str, str]) -> None:
        super().__init__(f"{len(queries)} queries have lost their calls")
        self.queries = queries


class Parts:
    """The parts below a run folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def of(self, qid: str) -> Path:
        """Where a query's calls lie."""
        return self.path / f"{hashlib.sha256(qid.encode()).hexdigest()[:16]}.parquet"

    def write(self, several: Mapping[str, Sequence[Call]]) -> None:
        """Put queries' calls on disk, each query's at once."""
        for qid, calls in several.items():
            write_part(self.of(qid), calls)
        if several:
            flush_folder(self.path)

    def read(self, record: Counted) -> pa.Table:
        """A query's calls. Raises DataError where they are not those that its line counts."""
        part = self.of(record.qid)
        table = read_ledger(part)
        sums = [pc.sum(table[name]).as_py() or 0 for name in ("prompt_tokens", "generated_tokens")]
        if (
            table.num_rows != record.calls
            or sums != [record.prompt_tokens, record.generated_tokens]
            or pc.unique(table["qid"]).to_pylist() != [record.qid]
        ):
            raise DataError(f"{part}: holds other calls than those of query {record.qid}")
        return table

    def fault(self, record: Counted) -> str | None:
        """Why a query's calls are not there, or None where they are."""
        if not record.calls:
            return None
        try:
            self.read(record)
        except DataError as error:
            return f"the calls of query {record.qid} are not there whole ({_line(error)})"
        return None

    def begin(self, root: Path, kept: Iterable[str], faulty: Iterable[str]) -> None:
        """Make the folder, move the parts of `faulty` queries aside, remove all but `kept` ones."""
        make_folder(self.path, root)
        for qid in faulty:
            self.set_aside(qid)
        remove_own(self.path, PART, frozenset(self.of(qid).name for qid in kept))

    def set_aside(self, qid: str) -> None:
        """Rename a query's part, if it is there, so that its calls are asked again."""
        part = self.of(qid)
        move(part, part.with_suffix(".unreadable").name)

    def merge(self, records: Iterable[Counted], ledger: Path) -> None:
        """Write the calls of all queries, in the order given, to one ledger.

        Raises LostError where some are not there; `ledger` is then as it was, and what could not
        be read is moved aside.
        """
        write_tables(ledger, self._tables(records))

    def _tables(self, records: Iterable[Counted]) -> Iterator[pa.Table]:
        lost: dict[str, str] = {}
        for record in records:
            try:
                if record.calls:
                    yield self.read(record)
            except DataError as error:
                lost[record.qid] = _line(error)
                self.set_aside(record.qid)
        if lost:
            raise LostError(lost)

    def remove(self, tell: Working = unheard) -> None:
        """Remove the parts and what was moved aside, once the ledger holds every call."""
        remove_own(self.path, PART, tell=partial(tell, "removing the parts"))
        remove_own(self.path, ASIDE)
        remove_folder_if_empty(self.path)


def _line(error: DataError) -> str:
    """A library's words on one line."""
    return " ".join(str(error).split())
