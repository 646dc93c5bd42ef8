"""FLOPs of a run, query by query and operation by operation, from its ledger alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from e2r.errors import DataError
from e2r.flops.architecture import Architecture
from e2r.flops.conventions import convention as by_name
from e2r.flops.estimate import estimate
from e2r.flops.first_stage import bm25, bm25_matched
from e2r.flops.work import Usage
from e2r.metrics.runs.recorded import Recorded, Share
from e2r.records.query import QueryRecord

PETA = 10**15
CALLS_AT_ONCE = 2**16
"""Calls whose figures of every operation are held at a time."""


@dataclass(frozen=True)
class OperationCost:
    """FLOPs that one kind of operation took over a whole run, exact."""

    part: str
    name: str
    flops: int


@dataclass(frozen=True)
class Cost:
    """What a run's queries took, in FLOPs, exact.

    `per_query` prices the reranker's calls, or the first stage where that is the run itself; it is
    None where that cannot be priced. `first_stage` prices the first stage of any run by Eq. 17, or
    is None. `note` says what is missing. `operations` sum to the calls' FLOPs of all queries.
    """

    per_query: Mapping[str, int] | None
    first_stage: Mapping[str, int] | None
    operations: tuple[OperationCost, ...] = ()
    not_counted: tuple[str, ...] = ()
    note: str | None = None

    def __repr__(self) -> str:
        known = "unknown" if self.per_query is None else f"FLOPs of {len(self.per_query)} queries"
        return f"<Cost: {known}>"


def price(run: Recorded, convention: str = "ideal") -> Cost:
    """Price a run under a convention.

    A model-free answerer costs nothing. Raises UsageError for an unknown convention and DataError
    where the convention does not describe the model.
    """
    first_stage = _first_stage(run)
    queries = [record.qid for record in run.records]
    if "calls" in run.unknown:
        return Cost(None, first_stage, note="its calls are not known, so that it has no price")
    closed = [share for share in run.shares if share.architecture is None]
    if closed:
        return Cost(None, first_stage, note=_no_price(run, closed))
    if run.manifest.method == "first_stage":
        note = None
        if first_stage is None:
            note = "the collection's size is not recorded, so that BM25 has no price (--documents)"
        return Cost(first_stage, first_stage, note=note)
    facts = run.declared.facts
    if facts is None and run.manifest.model.server is not None:
        note = (
            f"the architecture of {run.manifest.model.name} is not known, so that PFLOPs, RPP and "
            "QPP are unknown; name it by --architecture when you run it"
        )
        return Cost(None, first_stage, note=note)
    if facts is None:
        note = f"{run.manifest.model.name} computes nothing: RPP and QPP are undefined"
        return Cost(dict.fromkeys(queries, 0), first_stage, note=note)
    # A call without tokens is an earlier answer given again (see --reuse): nothing was computed.
    computed = np.flatnonzero(run.ledger["prompt_tokens"].to_numpy())
    if computed.size == 0 and any(record.status == "failed" for record in run.records):
        note = "no call is recorded of queries that failed: PFLOPs, RPP and QPP are unknown"
        return Cost(None, first_stage, note=note)
    if computed.size == 0:
        note = "no call was made: RPP and QPP are undefined"
        return Cost(dict.fromkeys(queries, 0), first_stage, note=note)
    everything = Share(run.manifest.model.name, facts, computed)
    sums = [0] * len(queries)
    totals: dict[tuple[str, str], int] = {}
    not_counted: dict[str, None] = {}
    for share in run.shares or (everything,):
        calls, rows = _asked(run, share, convention)
        if rows.size == 0:
            continue
        try:
            priced = estimate(
                Architecture.load(share.architecture or {}), usage_of(calls), convention
            )
        except DataError as error:
            raise DataError(f"{run.folder.path}: cannot be priced: {error}") from None
        for places, piece in priced.pieces(CALLS_AT_ONCE):
            own = run.query_of_call[rows[places]]
            part = sum_by(own, _array(piece.flops, len(own)), len(queries))
            sums = [before + more for before, more in zip(sums, part, strict=True)]
            for op in piece.operations:
                amount = _total(_array(op.flops, len(own)))
                totals[op.part, op.name] = totals.get((op.part, op.name), 0) + amount
        not_counted |= dict.fromkeys(priced.not_counted)
    return Cost(
        dict(zip(queries, sums, strict=True)),
        first_stage,
        tuple(OperationCost(*key, total) for key, total in totals.items() if total),
        tuple(not_counted),
    )


def _asked(run: Recorded, share: Share, convention: str) -> tuple[pa.Table, NDArray[np.intp]]:
    """A share's calls as a convention counts them, and their places in the ledger.

    Where it is known what was computed, a convention that counts what a reference runs counts that;
    a row of a batch that nobody asked anything of is then counted, and else left out.
    """
    asked = run.computed is None or by_name(convention).asked_only
    ledger: pa.Table = run.ledger if asked else run.computed
    there = ledger["prompt_tokens"].to_numpy()[share.rows] > 0
    rows = share.rows[there]
    return (ledger if len(rows) == ledger.num_rows else ledger.take(rows)), rows


def _no_price(run: Recorded, closed: Sequence[Share]) -> str:
    calls = sum(len(share.rows) for share in closed)
    reasons: dict[str, list[str]] = {}
    for share in closed:
        reasons.setdefault(share.unpriced, []).append(share.name)
    said = " and ".join(why.format(", ".join(names)) for why, names in reasons.items())
    return (
        f"{said}, so that {calls} of {run.ledger.num_rows} calls have no price in FLOPs and "
        "PFLOPs, RPP and QPP are unknown"
    )


def matched(records: Sequence[QueryRecord]) -> dict[str, int] | None:
    """FLOPs of BM25's summands by query, from the postings that e2r's own search recorded.

    None where a query's postings are not known: Eq. 17 bounds the price of any first stage.
    """
    found = {row.qid: bm25_matched(row.postings) for row in records if row.postings is not None}
    return found if len(found) == len(records) else None


def usage_of(ledger: pa.Table) -> Usage:
    """The calls of a ledger as the estimator takes them, one array entry a call."""

    def column(name: str) -> NDArray[np.int64]:
        # What a server did not report counts as computed: the price is then an upper bound.
        values: NDArray[np.int64] = ledger[name].fill_null(0).to_numpy()
        return values

    decoder_prompt = column("decoder_prompt_tokens")
    return Usage(
        prompt_tokens=column("prompt_tokens"),
        cached_tokens=column("cached_tokens"),
        decoder_prompt_tokens=decoder_prompt if decoder_prompt.any() else None,
        generated_tokens=column("generated_tokens"),
        head_positions=column("head_positions"),
    )


def sum_by(places: NDArray[np.intp], amounts: NDArray[Any], count: int) -> list[int]:
    """Exact sums of whole numbers by place 0 … count − 1, as Python ints, whatever their size."""
    if amounts.dtype == object:
        sums = [0] * count
        for place, amount in zip(places.tolist(), amounts.tolist(), strict=True):
            sums[place] += amount
        return sums
    # Halves of 32 bits leave room for 2**31 summands each.
    high, low = np.zeros(count, np.int64), np.zeros(count, np.int64)
    np.add.at(high, places, amounts >> 32)
    np.add.at(low, places, amounts & 0xFFFFFFFF)
    return [(above << 32) + below for above, below in zip(high.tolist(), low.tolist(), strict=True)]


def _total(amounts: NDArray[Any]) -> int:
    return sum_by(np.zeros(len(amounts), np.intp), amounts, 1)[0]


def _array(amounts: Any, calls: int) -> NDArray[Any]:
    """One entry a call, also where the amount is the same for all calls."""
    return np.broadcast_to(np.asarray(amounts, dtype=getattr(amounts, "dtype", object)), (calls,))


def _first_stage(run: Recorded) -> Mapping[str, int] | None:
    documents = run.manifest.dataset.documents
    if documents is None:
        return None
    return {
        record.qid: bm25(
            query_terms=record.query_terms
            if record.searched_terms is None
            else record.searched_terms,
            documents=documents,
        )
        for record in run.records
    }
