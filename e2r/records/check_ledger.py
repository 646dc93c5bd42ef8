"""The ledger of a run folder against its schema, its values, and per_query.jsonl."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from e2r.borders.reading import json_value, opened
from e2r.data.findings import Teller
from e2r.records.folder import RunFolder
from e2r.records.ledger import read_ledger
from e2r.records.query import QueryRecord

LONGEST = 300
"""Characters of a name: more is no name, and could be a passage."""
TOKENS = ("prompt_tokens", "generated_tokens")
METADATA = {b"e2r.schema", b"ARROW:schema"}


def check_ledger(folder: RunFolder, records: Sequence[QueryRecord], tell: Teller) -> None:
    """Tell of all that is wrong in the ledger. Raises DataError where it cannot be read."""
    ledger = read_ledger(folder.ledger_path)
    with opened(folder.ledger_path, follow=False) as stream:
        metadata = pq.read_metadata(stream).metadata or {}
    for name in sorted(metadata.keys() - METADATA):
        tell.error(f"carries foreign metadata {name[:LONGEST]!r}")
    rows = ledger.select(["qid", "round", "call", "docids", "answer", "parsed", *TOKENS])
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
            more = record.unanswered_rounds if name == "rounds" else 0
            if not value <= getattr(record, name) <= value + more:
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
        value = json_value(row["answer"])
    except ValueError:
        return f"{row['answer'][:40]!r} is no JSON"
    for item in value if isinstance(value, list) else [value]:
        if isinstance(item, list) and all(type(n) in (int, float) for n in item):
            continue
        if isinstance(item, list | dict):
            return f"{str(item)[:40]!r} is neither a document, nor a number, nor a list of numbers"
        if isinstance(item, str) and item not in asked:
            return f"{item[:40]!r} is not among the documents asked about"
    return None
