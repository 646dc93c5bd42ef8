"""The ledger of a run folder against its schema, its values, and per_query.jsonl."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from e2r.data.findings import Teller
from e2r.records.folder import QueryRecord, RunFolder
from e2r.records.ledger import SCHEMA, read_ledger

LONGEST = 300
"""Characters of a name, and of a failed query's error: more is no name, and could be a passage."""
COUNTS = (
    "prompt_tokens",
    "cached_tokens",
    "decoder_prompt_tokens",
    "generated_tokens",
    "head_positions",
    "padded_tokens",
    "truncated",
)
METADATA = {b"e2r.schema", b"ARROW:schema"}


def check_ledger(folder: RunFolder, records: Sequence[QueryRecord], tell: Teller) -> None:
    """Tell of all that is wrong in the ledger. Raises DataError where it cannot be read."""
    ledger = read_ledger(folder.ledger_path)
    for field in SCHEMA:
        found = ledger.schema.field(field.name).type
        if found != field.type:
            tell.error(f"is of type {found}; {field.type} is wanted", None, field.name)
            return
    metadata = pq.read_metadata(folder.ledger_path).metadata or {}
    for name in sorted(metadata.keys() - METADATA):
        tell.error(f"carries foreign metadata {name[:LONGEST]!r}")
    for name in ledger.column_names:
        if ledger[name].null_count and name != "cached_tokens":
            tell.error("has empty places", None, name)
            return
    for name in COUNTS:
        if ledger.num_rows and (pc.min(ledger[name]).as_py() or 0) < 0:
            tell.error("is negative somewhere", None, name)
    if (
        ledger.num_rows
        and pc.any(pc.greater(ledger["cached_tokens"], ledger["prompt_tokens"])).as_py()
    ):
        tell.error("exceeds prompt_tokens somewhere", None, "cached_tokens")
    seconds = ledger["seconds"].to_numpy()
    if not ((seconds >= 0) & (seconds < math.inf)).all():
        tell.error("is negative or not finite somewhere", None, "seconds")
    rows = ledger.select(["qid", "round", "call", "docids", "answer", "parsed", *COUNTS[:4]])
    _check_calls(rows, records, tell)


def _check_calls(rows: pa.Table, records: Sequence[QueryRecord], tell: Teller) -> None:
    """Each query's calls, in order, add up to its line in per_query.jsonl."""
    by_qid = {record.qid: record for record in records}
    ranked = {record.qid: set(record.ranking) for record in records}
    sums: dict[str, list[int]] = {}
    for batch in rows.to_batches(max_chunksize=2**14):
        for row in batch.to_pylist():
            record = by_qid.get(row["qid"])
            if record is None:
                tell.error(f"query {row['qid'][:LONGEST]} is not in per_query.jsonl", None, "qid")
                continue
            added = sums.setdefault(record.qid, [0, 0, 0, 0, 0])
            if row["call"] != added[0]:
                tell.error(
                    f"query {record.qid}: call {row['call']} comes where {added[0]} is due",
                    None,
                    "call",
                )
            if message := _answer_fault(row, ranked[record.qid]):
                tell.error(f"query {record.qid}, call {row['call']}: {message}", None, "answer")
            for place, value in enumerate(
                (1, row["prompt_tokens"], row["generated_tokens"], not row["parsed"])
            ):
                added[place] += value
            added[4] = max(added[4], row["round"] + 1)
    for record in records:
        found = sums.get(record.qid, [0, 0, 0, 0, 0])
        names = ("calls", "prompt_tokens", "generated_tokens", "parse_failures", "rounds")
        for name, value in zip(names, found, strict=True):
            if getattr(record, name) != value:
                tell.error(
                    f"query {record.qid}: the calls give {value}, per_query.jsonl says "
                    f"{getattr(record, name)}",
                    None,
                    name,
                )


def _answer_fault(row: Mapping[str, Any], ranked: set[str]) -> str | None:
    """Why an answer is none: it is JSON of numbers and ids, and ids are among those asked about."""
    asked = set(row["docids"])
    if ranked and not asked <= ranked:
        return f"asks about {sorted(asked - ranked)[0][:LONGEST]!r}, which is not ranked"
    try:
        value = json.loads(row["answer"])
    except ValueError:
        return f"{row['answer'][:40]!r} is no JSON"
    for item in _leaves(value):
        if isinstance(item, str) and item not in asked:
            return f"{item[:40]!r} is not among the documents asked about"
    return None


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, list):
        for item in value:
            yield from _leaves(item)
    elif isinstance(value, dict):
        yield str(value)
    else:
        yield value
