"""A finished run folder, read once and checked against itself."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from e2r.data.trec import Run
from e2r.errors import DataError
from e2r.records.folder import QueryRecord, RunFolder
from e2r.records.ledger import read_ledger
from e2r.records.manifest import Manifest

COLUMNS = [
    "qid",
    "prompt_tokens",
    "cached_tokens",
    "decoder_prompt_tokens",
    "generated_tokens",
    "head_positions",
    "padded_tokens",
    "truncated",
    "parsed",
    "seconds",
    "batch_size",
]


@dataclass(frozen=True)
class Place:
    """A run folder, and whether the user named it or it was found inside another folder."""

    path: Path
    named: bool


@dataclass(frozen=True, eq=False)
class Recorded:
    """What a run left on disk; `ledger` has the columns COLUMNS, one row a call."""

    folder: RunFolder
    manifest: Manifest
    records: tuple[QueryRecord, ...]
    ledger: pa.Table
    ranking: Run

    @classmethod
    def load(cls, path: Path) -> Recorded:
        """Read a run folder.

        Raises DataError where it is none, is unfinished, was changed, or contradicts itself.
        """
        folder = RunFolder(path)
        manifest = folder.manifest()
        if manifest.status == "started":
            raise DataError(f"{path}: this run has not finished; go on with it by --resume")
        folder.verify_files()
        records = tuple(folder.per_query())
        ledger = read_ledger(folder.ledger_path, COLUMNS)
        _check_calls(folder, records, ledger)
        ranked = {record.qid: record.ranking for record in records if record.ranking}
        ranking = folder.ranking() if ranked else {}
        if {qid: tuple(docid for docid, _ in row) for qid, row in ranking.items()} != ranked:
            raise DataError(
                f"{folder.run_path}: ranks other documents than {folder.per_query_path.name}; "
                "the run must be made again"
            )
        return cls(folder, manifest, records, ledger, ranking)


def find_runs(places: Iterable[str | Path]) -> list[Place]:
    """The run folders among `places` and inside them, each once, nested ones sorted by path.

    Raises DataError for a place that neither is a run folder nor holds one.
    """
    found: dict[Path, Place] = {}
    for place in map(Path, places):
        if (place / "manifest.json").is_file():
            inside = [Place(place, named=True)]
        else:
            inside = [Place(path, named=False) for path in sorted(_nested(place))]
        if not inside:
            what = "holds no run folder" if place.is_dir() else "no such folder"
            raise DataError(
                f"{place}: {what}; a run folder has a manifest.json, as e2r run leaves it"
            )
        for item in inside:
            found.setdefault(item.path.resolve(), item)
    return list(found.values())


def _nested(place: Path) -> Iterator[Path]:
    for folder, inner, files in os.walk(place):
        if "manifest.json" in files:
            inner.clear()
            yield Path(folder)


def _check_calls(folder: RunFolder, records: Iterable[QueryRecord], ledger: pa.Table) -> None:
    calls = Counter(ledger["qid"].to_pylist())
    told: dict[str, int] = {}
    for record in records:
        if record.qid in told:
            raise DataError(f"{folder.per_query_path}: query {record.qid} is there twice")
        told[record.qid] = record.calls
    for qid in sorted(calls.keys() | told.keys()):
        if calls[qid] != told.get(qid, 0):
            raise DataError(
                f"{folder.ledger_path}: holds {calls[qid]} calls of query {qid}, but "
                f"{folder.per_query_path.name} speaks of {told.get(qid, 0)}; the run must be "
                "made again"
            )
