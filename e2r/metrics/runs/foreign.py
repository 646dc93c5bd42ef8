"""Anyone's run: a TREC run, the tokens of its calls, or both, measured like a run of our own."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from e2r.borders.showing import shown
from e2r.data.collection import content_sha256
from e2r.data.files.trec import Run, judged_order, read_run
from e2r.errors import DataError, MissingError, UsageError
from e2r.flops.architecture import Architecture
from e2r.flops.catalogue import nearest
from e2r.metrics.runs.recorded import COLUMNS, Recorded, Share
from e2r.metrics.runs.usages import CLOSED, COUNTS, UNNAMED, Usages, read_usages
from e2r.records.folder import RunFolder
from e2r.records.manifest import UNKNOWN, DatasetRecord, Environment, Manifest, ModelRecord
from e2r.records.query import QueryRecord
from e2r.records.ranking import Ranked

METERED = re.compile(r".*\.models/(.+)-[0-9a-f]{8}\.json")
"""The facts that `e2r meter` lays beside its rows: the model's name is in the file's."""


@dataclass(frozen=True)
class Foreign:
    """A run made elsewhere: its ranking or the usage of its calls, at best both.

    `dataset` names its dataset; None leaves that to the files.
    """

    ranking: Path | None
    usage: Path | None
    dataset: str | None = None

    @property
    def path(self) -> Path:
        """The file that the run is known by: the ranking, else the usage."""
        path = self.ranking or self.usage
        if path is None:
            raise UsageError("a run made elsewhere needs a TREC run or a usage CSV")
        return path

    @classmethod
    def of(cls, path: Path, dataset: str | None = None) -> Foreign:
        """The run of one file: calls if it is a .csv or .csv.gz, else a TREC run."""
        if path.name.endswith((".csv", ".csv.gz")):
            return cls(None, path, dataset)
        return cls(path, None, dataset)


def read_foreign(foreign: Foreign, dataset: str = UNKNOWN) -> Recorded:
    """A TREC run, the calls that made it (see `read_usages`), or both, as a recorded run.

    The method is named after the ranking's file. What no file says is unknown, not 0: rounds, parse
    failures and truncation always, the cost without calls, the quality without a ranking. `dataset`
    is its dataset's name where nothing else says it. Documents rank as trec_eval ranks them, which
    for equal scores is not as the file does. Raises DataError with file and line.
    """
    ranking, path = foreign.ranking, foreign.path
    run = {} if ranking is None else read_run(ranking)
    calls = None if foreign.usage is None else read_usages(foreign.usage)
    if ranking is not None and calls is not None:
        for qid in calls.qids:
            if qid and qid not in run:
                raise DataError(
                    f"{foreign.usage}: query {qid} is not in {ranking}; are they of one run?"
                )
    named = dict.fromkeys(qid for qid in calls.qids if qid) if calls else {}
    qids = list(run) if ranking is not None else list(named)
    dealt = 0
    if calls is not None and foreign.usage is not None and "" in calls.qids:
        dealt = calls.qids.count("")
        calls = _dealt_out(calls, qids, foreign.usage)
    places = {qid: place for place, qid in enumerate(qids)}
    ranked, listed = Ranked(), {}
    for qid, rows in run.items():
        ranked.add(qid, judged := judged_order(rows))
        if judged != (own := [docid for docid, _ in rows]):
            listed[qid] = tuple(own)
    unknown = {"outcomes"}
    if ranking is None:
        unknown.add("ranking")
    if dealt:
        unknown.add("spread")
    if calls is None:
        unknown.add("calls")
        calls = Usages([], [], {name: [] for name in COUNTS})
    if not calls.cached_told:
        unknown.add("cached")
    shares = _shares(calls.models, None if foreign.usage is None else foreign.usage.parent)
    return Recorded(
        folder=RunFolder(path),
        manifest=_manifest(
            foreign, foreign.dataset or calls.dataset or dataset, run, calls, shares
        ),
        records=tuple(_records(qids, calls)),
        ranked=ranked,
        listed=listed,
        ledger=_ledger(calls, calls.counts),
        computed=None if calls.computed is None else _ledger(calls, calls.computed),
        dealt=dealt,
        missing=calls.missing,
        query_of_call=np.array([places[qid] for qid in calls.qids], dtype=np.intp),
        shares=shares,
        unknown=frozenset(unknown),
    )


def _dealt_out(calls: Usages, qids: Sequence[str], path: Path) -> Usages:
    """Calls that name no query dealt out among all, in order: means over queries stay exact."""
    if not qids:
        raise DataError(
            f"{path}: none of its calls names a query, so that nobody knows how many there were; "
            f"add their ranking by --foreign RANKING {path}, or meter them with --topics"
        )
    unnamed = [place for place, qid in enumerate(calls.qids) if not qid]
    named = list(calls.qids)
    for turn, place in enumerate(unnamed):
        named[place] = qids[turn * len(qids) // len(unnamed)]
    return replace(calls, qids=named)


def _shares(models: Sequence[str], home: Path | None) -> tuple[Share, ...]:
    """The calls of each model, in the order in which the models come up.

    `home` is the folder of their file, whose words lead to no file outside of it.
    """
    names = np.array(models)
    shares = []
    for name in dict.fromkeys(models):
        if home is not None and _leaves(name, home):
            raise DataError(
                f"{home}: the model {shown(name)} leads out of the folder of its calls; name "
                "it, or put its config.json there"
            )
        facts, why = _facts(name, home)
        label = METERED.sub(r"\1", name.removeprefix(CLOSED))
        shares.append(Share(label, facts, np.flatnonzero(names == name), why))
    return tuple(shares)


def _facts(name: str, home: Path | None) -> tuple[dict[str, Any] | None, str]:
    """A model's config, else None and why, the name left open in it.

    Raises MissingError for a name that is nearly that of a known model, or looks like a file's.
    """
    if name == CLOSED + UNNAMED:
        return None, "no call names its model (a column model would)"
    if name.startswith(CLOSED):
        return None, "the architecture of {} is not public"
    try:
        return dict(Architecture.load(_source(name, home)).config), ""
    except MissingError:
        if name.endswith(".json") or name.count("/") > 1 or nearest(name):
            raise
    return None, (
        "the architecture of {} is not known here (is it misspelt? a config.json beside the calls "
        "tells it; closed: before a name says that nobody can)"
    )


def _source(name: str, home: Path | None) -> str:
    """A model's word as it leads from here: a file beside its calls is meant first."""
    if home is not None and name.endswith(".json") and (home / name).is_file():
        return str(home / name)
    return name


def _leaves(name: str, home: Path) -> bool:
    path = Path(_source(name, home))
    try:
        return path.exists() and not path.resolve().is_relative_to(home.resolve())
    except (OSError, ValueError):
        return False


def _records(qids: Iterable[str], calls: Usages) -> Iterable[QueryRecord]:
    asked = Counter(calls.qids)
    prompts, generated = (_by_query(calls, name) for name in ("prompt_tokens", "generated_tokens"))
    seconds: dict[str, float] = {}
    for qid, took in zip(calls.qids, calls.seconds or (), strict=False):
        seconds[qid] = seconds.get(qid, 0.0) + took
    for qid in qids:
        yield QueryRecord(
            qid=qid,
            status="ok",
            calls=asked[qid],
            rounds=0,
            prompt_tokens=prompts[qid],
            generated_tokens=generated[qid],
            parse_failures=0,
            truncated=0,
            seconds=seconds.get(qid, 0.0),
            query_terms=0,
            ranking=(),
        )


def _by_query(calls: Usages, name: str) -> Counter[str]:
    sums: Counter[str] = Counter()
    for qid, count in zip(calls.qids, calls.counts[name], strict=True):
        sums[qid] += count
    return sums


def _ledger(calls: Usages, counts: Mapping[str, list[int]]) -> pa.Table:
    n = len(calls.qids)
    columns: dict[str, Any] = {
        **{name: pa.array(amounts, pa.int64()) for name, amounts in counts.items()},
        "qid": pa.array(calls.qids, pa.string()),
        "padded_tokens": pa.array([0] * n, pa.int64()),
        "truncated": pa.array([0] * n, pa.int64()),
        "parsed": pa.array([True] * n, pa.bool_()),
        "seconds": pa.array(calls.seconds or [0.0] * n, pa.float64()),
        "batch_size": pa.array([1] * n, pa.int64()),
    }
    return pa.table({name: columns[name] for name in COLUMNS})


def _manifest(
    foreign: Foreign, dataset: str, run: Run, calls: Usages, shares: Sequence[Share]
) -> Manifest:
    """What is known of a foreign run in the words of ours."""
    model = " + ".join(share.name for share in shares) or UNKNOWN
    facts = next((share.architecture for share in shares), None)
    # Runs that rank the same documents of the same queries stand against each other.
    candidates: list[Any] = [[qid, sorted(docid for docid, _ in run[qid])] for qid in sorted(run)]
    return Manifest(
        status="complete",
        run=foreign.path.name,
        method=calls.method or Path(foreign.path.name.removesuffix(".gz")).stem,
        method_parameters={},
        identity={},
        started=UNKNOWN,
        e2r=metadata.version("e2r"),
        commit=None,
        dirty=None,
        command=[],
        model=ModelRecord(
            id=model,
            name=model,
            revision=None,
            dtype=UNKNOWN,
            architecture=None if facts is None else dict(facts),
        ),
        dataset=DatasetRecord(
            id=dataset,
            candidates_sha256=content_sha256(candidates or [str(foreign.path)]),
            judgments_sha256=None,
            queries=len(run or set(calls.qids)),
            depth=max((len(row) for row in run.values()), default=0),
            first_stage=UNKNOWN,
            documents=None,
        ),
        prompts={},
        environment=Environment(
            python=UNKNOWN, packages={}, processor=UNKNOWN, device=UNKNOWN, threads=0
        ),
        notes=["made elsewhere: rounds, parse failures and truncation are not known"],
    )
