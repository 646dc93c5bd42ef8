"""A priced row read as a run: its calls spread out again, its quality as it was computed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from e2r.errors import DataError
from e2r.metrics.effectiveness import Scores
from e2r.metrics.runs.recorded import COLUMNS, Recorded
from e2r.records.folder import QueryRecord, RunFolder
from e2r.records.manifest import UNKNOWN, DatasetRecord, Environment, Manifest, ModelRecord
from e2r.records.priced import COUNTED, SAYS, Priced, read_calls

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
