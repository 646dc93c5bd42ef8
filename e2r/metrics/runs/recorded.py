"""A finished run folder, read once and checked against itself."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from e2r.borders.figures import Asked, impossible
from e2r.errors import DataError
from e2r.forecast.lengths import thinks
from e2r.metrics.runs.declared import Declared, declared
from e2r.records.folder import RunFolder
from e2r.records.ledger import read_ledger
from e2r.records.manifest import UNCOUNTED, Manifest
from e2r.records.priced import PRICED, Priced
from e2r.records.query import QueryRecord
from e2r.records.ranking import PER_QUERY, Ranked, check_ranking

DEEPEST = 5
"""How many levels below a named folder run folders are looked for; e2r run leaves them at three."""
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


CHECKED = ["passages"]
"""What is read beside them, to see whether the calls can be what they say."""


@dataclass(frozen=True)
class Place:
    """A run folder, and whether the user named it or it was found inside another folder."""

    path: Path
    named: bool


@dataclass(frozen=True, eq=False)
class Share:
    """The calls that one of several models answered, as rows of the ledger.

    `architecture` is None for a model whose architecture is not public or not known here, and
    `unpriced` says which.
    """

    name: str
    architecture: Mapping[str, Any] | None
    rows: NDArray[np.intp]
    unpriced: str = ""


@dataclass(frozen=True, eq=False)
class Recorded:
    """What a run left on disk; `ledger` has the columns COLUMNS, one row a call.

    `ranked` holds the rankings, and `records` all but them.
    `query_of_call` holds, for each row of the ledger, the place of its query in `records`. Runs
    made elsewhere name the models of their calls in `shares`, and in `unknown` what nobody wrote
    down: "ranking", "calls", "cached" (tokens from a cache), or "outcomes" (rounds, parse failures,
    truncation, padding). `listed`
    is the file's own order of the queries whose equal scores trec_eval orders otherwise. `priced`
    is set for a published ranking that was priced; only means of its calls are known where
    `unknown` holds "spread". `computed` is the ledger of what was computed rather than asked for,
    padding included, where `e2r meter` saw it; `dealt` of the calls named no query and were dealt
    out among all. `missing` says what was computed and is in no row.
    `passages` are how many documents each call asks about, where that was recorded.
    """

    folder: RunFolder
    manifest: Manifest
    records: tuple[QueryRecord, ...]
    ledger: pa.Table
    query_of_call: NDArray[np.intp]
    ranked: Ranked = field(default_factory=Ranked)
    shares: tuple[Share, ...] = ()
    unknown: frozenset[str] = frozenset()
    listed: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    priced: Priced | None = None
    computed: pa.Table | None = None
    dealt: int = 0
    missing: tuple[str, ...] = ()
    passages: NDArray[np.int64] | None = None

    @cached_property
    def caching(self) -> Literal["own", "shared", "unknown"]:
        """Whose computing the cached tokens were: the run's own, anyone's at the server, unknown.

        Only the first makes the price a property of the run alone.
        """
        cached = self.ledger["cached_tokens"]
        if cached.null_count:
            return "unknown"
        server = self.manifest.model.server
        if server is None or server.cache == "isolated":
            return "own"
        return "shared" if pc.any(pc.greater(cached, 0)).as_py() else "unknown"

    @cached_property
    def declared(self) -> Declared:
        """The architecture that the run is priced by."""
        return declared(self.manifest.model)

    @cached_property
    def ranking(self) -> Mapping[str, list[tuple[str, float]]]:
        """The reranked documents by query, best first, with scores that fall to 1."""
        return _Scored(self.ranked)

    def with_absent(self, qids: Iterable[str]) -> Recorded:
        """The run with records, of status absent, for those of the queries that it has none of."""
        known = {record.qid for record in self.records}
        absent = [
            QueryRecord(qid, "absent", 0, 0, 0, 0, 0, 0, 0.0, 0, ())
            for qid in qids
            if qid not in known
        ]
        return replace(self, records=(*self.records, *absent)) if absent else self

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
        records, ranked = _read(folder)
        ledger = read_ledger(folder.ledger_path, [*COLUMNS, *CHECKED])
        _refuse_impossible(folder, manifest, ledger)
        passages = ledger["passages"].to_numpy().astype(np.int64)
        ledger = ledger.select(COLUMNS)
        query_of_call = _assign(folder, records, ledger)
        check_ranking(folder.run_path, ranked)
        return cls(folder, manifest, records, ledger, query_of_call, ranked, passages=passages)


def find_runs(places: Iterable[str | Path]) -> list[Place]:
    """The run folders among `places` and inside them, each once, nested ones sorted by path.

    A folder is looked through DEEPEST levels down; another program's manifest.json makes no run.
    Raises DataError for a place that neither is a run folder nor holds one.
    """
    found: dict[Path, Place] = {}
    for place in map(Path, places):
        if (place / "manifest.json").is_file() or (place / PRICED).is_file():
            inside = [Place(place, named=True)]
        else:
            inside = [Place(path, named=False) for path in sorted(_nested(place))]
        if not inside:
            held = f"holds no run folder within {DEEPEST} levels"
            what = held if place.is_dir() else "no such folder"
            raise DataError(
                f"{place}: {what}; a run folder has a manifest.json, as e2r run leaves it"
            )
        for item in inside:
            found.setdefault(item.path.resolve(), item)
    return list(found.values())


def _nested(place: Path, levels: int = DEEPEST) -> Iterator[Path]:
    """Run folders inside a folder; hidden folders and links are not entered."""
    try:
        entries = list(os.scandir(place))
    except OSError:
        return
    names = {entry.name for entry in entries}
    is_run = "manifest.json" in names and ("spec.toml" in names or "--" in place.name)
    if is_run or PRICED in names:
        yield place
    elif levels:
        for entry in entries:
            if not entry.name.startswith(".") and entry.is_dir(follow_symlinks=False):
                yield from _nested(place / entry.name, levels - 1)


class _Scored(Mapping[str, list[tuple[str, float]]]):
    """Rankings with scores, made one at a time: those of all queries take more than the run."""

    def __init__(self, ranked: Ranked) -> None:
        self._ranked = ranked

    def __getitem__(self, qid: str) -> list[tuple[str, float]]:
        docids = self._ranked[qid]
        return list(zip(docids, map(float, range(len(docids), 0, -1)), strict=True))

    def __contains__(self, qid: object) -> bool:
        return qid in self._ranked

    def __iter__(self) -> Iterator[str]:
        return iter(self._ranked)

    def __len__(self) -> int:
        return len(self._ranked)


def _read(folder: RunFolder) -> tuple[tuple[QueryRecord, ...], Ranked]:
    """The queries without their rankings, and the rankings."""
    ranked = Ranked()
    records = []
    for record in folder.records():
        ranked.add(record.qid, record.ranking)
        records.append(replace(record, ranking=()))
    return tuple(records), ranked


def _assign(
    folder: RunFolder, records: Sequence[QueryRecord], ledger: pa.Table
) -> NDArray[np.intp]:
    """The place of each call's query, checked against the numbers of calls on record."""
    places = {record.qid: place for place, record in enumerate(records)}
    if len(places) != len(records):
        twice = next(qid for qid, n in Counter(r.qid for r in records).items() if n > 1)
        raise DataError(f"{folder.per_query_path}: query {twice} is there twice")
    encoded = ledger["qid"].combine_chunks().dictionary_encode()
    names = encoded.dictionary.to_pylist()
    foreign = [name for name in names if name not in places]
    if foreign:
        raise DataError(f"{folder.ledger_path}: query {foreign[0]} is not in {PER_QUERY}")
    found: NDArray[np.intp] = np.array([places[name] for name in names], dtype=np.intp)[
        encoded.indices.to_numpy()
    ]
    counted = np.bincount(found, minlength=len(records))
    for record, calls in zip(records, counted.tolist(), strict=True):
        if calls != record.calls:
            raise DataError(
                f"{folder.ledger_path}: holds {calls} calls of query {record.qid}, but "
                f"{PER_QUERY} speaks of {record.calls}; the run must be made again"
            )
    return found


def asked_of(manifest: Manifest) -> Asked:
    """What a run's calls may be, by its model and its methods."""
    model, facts = manifest.model, manifest.model.architecture or {}
    context = facts.get("max_position_embeddings") or facts.get("n_positions")
    limit = manifest.identity.get("answer_tokens")
    uncounted = model.server is None or model.server.counted_by == UNCOUNTED
    return Asked(
        free=model.architecture is None and uncounted,
        reuse=manifest.identity.get("reuse") is True,
        thinks=model.thinking == "on" or any(map(thinks, manifest.method.split("+"))),
        answer_tokens=limit if type(limit) is int else None,
        # A server may hold the same weights with positions for longer prompts.
        context=context if type(context) is int and model.server is None else None,
    )


def _refuse_impossible(folder: RunFolder, manifest: Manifest, ledger: pa.Table) -> None:
    """Raise DataError, with the row, for calls that cannot have been made."""
    names = ("passages", "prompt_tokens", "cached_tokens", "generated_tokens", "batch_size")
    calls = {name: ledger[name].to_numpy() for name in names}
    for column, why, places in impossible(calls, asked_of(manifest)):
        if places.any():
            row = int(np.flatnonzero(places)[0])
            raise DataError(
                f"{folder.ledger_path}: {column} {why}, {int(places.sum())} times; the first is "
                f"call {row} of the file, {calls[column][row]} of {calls['passages'][row]} passages"
            )
