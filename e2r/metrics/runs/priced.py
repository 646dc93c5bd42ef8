"""A priced row read as a run: its calls spread out again, its quality as it was computed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from e2r.borders.reading import sha256_of
from e2r.data.collection import Judgments, judgments_sha256
from e2r.data.files.trec import judged_order, read_run
from e2r.errors import DataError
from e2r.metrics.effectiveness import Scores, parse_measures, score
from e2r.metrics.runs.recorded import COLUMNS, Recorded
from e2r.records.folder import RunFolder
from e2r.records.manifest import UNKNOWN, DatasetRecord, Environment, Manifest, ModelRecord
from e2r.records.priced import COUNTED, SAYS, Priced, read_calls
from e2r.records.query import QueryRecord

CLOSE = 1e-9
MOST_CALLS = 20_000_000
"""Calls of one row, spread out: more would fill the memory."""


def read_priced(folder: Path) -> Recorded:
    """A folder that `e2r price` wrote. Raises DataError where it is none or contradicts itself."""
    row = Priced.load(folder)
    table = read_calls(folder)
    several: NDArray[np.int64] = table["calls"].to_numpy()
    if several.sum() > MOST_CALLS:
        raise DataError(f"{folder}: holds {several.sum():,} calls; at most {MOST_CALLS:,}")
    places = {qid: place for place, qid in enumerate(row.qids)}
    names = table["qid"].to_pylist()
    if foreign := next((name for name in names if name not in places), None):
        raise DataError(f"{folder}: holds calls of query {foreign[:80]!r}, which the row has not")
    query_of_call = np.repeat(np.array([places[name] for name in names], dtype=np.intp), several)
    counts = {name: np.repeat(table[name].to_numpy(), several) for name in COUNTED}
    unknown = {"outcomes"} | ({"spread"} if row.known == "means" else set())
    return Recorded(
        folder=RunFolder(folder),
        manifest=_manifest(folder, row),
        records=tuple(_records(row, query_of_call, counts)),
        ledger=_ledger(row, query_of_call, counts),
        query_of_call=query_of_call,
        unknown=frozenset(unknown),
        priced=row,
    )


def scores_of(row: Priced, names: Mapping[str, object]) -> Scores:
    """The values of the named measures. Raises DataError for one that the row was not given."""
    for name in names:
        if name not in row.measures:
            raise DataError(
                f"{name} is not among the measures that this row was priced with "
                f"({', '.join(row.measures)}), and its ranking is not kept"
            )
    values = {name: row.measures[name] for name in names}
    return Scores(values, missing=tuple(row.missing), unjudged=())


def refuse_other_values(row: Priced, ranking: Path, judgments: Judgments) -> None:
    """Raise DataError where a row's values are not those that its ranking gives."""
    if sha256_of(ranking) != row.origin.sha256:
        raise DataError(f"{ranking}: is not the file that the row was priced from")
    if judgments_sha256(judgments) != row.dataset.judgments_sha256:
        raise DataError("was priced with other judgments than these; price it anew")
    scores = scores_of_ranking(ranking, row.qids, judgments, list(row.measures))
    for name, values in scores.values.items():
        for qid, value in values.items():
            own = row.measures[name].get(qid, -1.0)
            if abs(own - value) > CLOSE:
                raise DataError(
                    f"{name} of query {qid} is {own}, but its ranking gives {value:.6f}"
                )


def scores_of_ranking(
    ranking: Path, qids: Sequence[str], judgments: Judgments, measures: str | list[str]
) -> Scores:
    """The quality of a TREC run as trec_eval ranks it. Raises DataError with the file."""
    run = read_run(ranking)
    if missing := [qid for qid in qids if qid not in run]:
        raise DataError(f"{ranking}: has no query {missing[0]}; is it another collection's run?")
    ranked = {
        qid: [(docid, float(-place)) for place, docid in enumerate(judged_order(run[qid]), start=1)]
        for qid in qids
    }
    try:
        return score(parse_measures(measures), ranked, judgments, qids)
    except DataError as error:
        raise DataError(f"{ranking}: {error}") from None


def rankings_in(folders: Iterable[str | Path]) -> dict[str, Path]:
    """The files of folders, by their SHA-256: rankings that priced rows can be held against."""
    found: dict[str, Path] = {}
    for folder in map(Path, folders):
        if not folder.is_dir():
            raise DataError(f"{folder}: no such folder of rankings")
        for path in sorted(folder.rglob("*")):
            if path.is_file() and path.name.endswith((".run", ".run.gz", ".trec", ".txt")):
                found.setdefault(sha256_of(path), path)
    return found


def _records(
    row: Priced, query_of_call: NDArray[np.intp], counts: Mapping[str, NDArray[np.int64]]
) -> list[QueryRecord]:
    def summed(amounts: Any) -> list[int]:
        sums = np.bincount(query_of_call, amounts, minlength=len(row.qids))
        return [int(value) for value in sums]

    calls = summed(np.ones(len(query_of_call)))
    prompts, generated = summed(counts["prompt_tokens"]), summed(counts["generated_tokens"])
    return [
        QueryRecord(qid, "ok", calls[i], 0, prompts[i], generated[i], 0, 0, 0.0, 0, ())
        for i, qid in enumerate(row.qids)
    ]


def _ledger(
    row: Priced, query_of_call: NDArray[np.intp], counts: Mapping[str, NDArray[np.int64]]
) -> pa.Table:
    n = len(query_of_call)
    qids = pa.DictionaryArray.from_arrays(pa.array(query_of_call), pa.array(row.qids, pa.string()))
    nothing = pa.array(np.zeros(n, dtype=np.int64))
    columns: dict[str, Any] = {
        **{name: pa.array(values) for name, values in counts.items()},
        "qid": qids,
        "padded_tokens": nothing,
        "truncated": nothing,
        "parsed": pa.array(np.ones(n, dtype=bool)),
        "seconds": pa.array(np.zeros(n)),
        "batch_size": pa.array(np.ones(n, dtype=np.int64)),
    }
    return pa.table({name: columns[name] for name in COLUMNS})


def _manifest(folder: Path, row: Priced) -> Manifest:
    """What is known of the row in the words of runs made here."""
    dataset = row.dataset
    return Manifest(
        status="complete",
        run=folder.name,
        method=row.method,
        method_parameters=row.parameters,
        identity={},
        started=row.made,
        e2r=row.e2r,
        commit=None,
        dirty=None,
        command=[],
        model=ModelRecord(
            id=row.model,
            name=row.model.rpartition("/")[2],
            revision=None,
            dtype=UNKNOWN,
            architecture=row.architecture,
        ),
        dataset=DatasetRecord(
            id=dataset.id,
            candidates_sha256=dataset.candidates_sha256,
            judgments_sha256=dataset.judgments_sha256,
            queries=len(row.qids),
            depth=dataset.depth,
            first_stage=dataset.first_stage,
            documents=dataset.documents,
        ),
        prompts={} if row.template is None else {row.template: row.template_sha256 or UNKNOWN},
        environment=Environment(
            python=UNKNOWN, packages={}, processor=UNKNOWN, device=UNKNOWN, threads=0
        ),
        notes=[
            f"ranked elsewhere ({row.origin.source}); {SAYS[row.known]}",
            "its rounds, parse failures and seconds are not known",
        ],
    )
