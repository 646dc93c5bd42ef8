"""Rank_llm request files: one JSON object a line, a query with its candidates and their texts."""

from __future__ import annotations

import math
from pathlib import Path

from e2r.data.collection import Candidate, CandidateList, Query
from e2r.data.lines import id_field, json_lines, text_field
from e2r.errors import DataError


def read_requests(path: Path) -> tuple[CandidateList, ...]:
    """Read {"query": {qid, text}, "candidates": [{docid, score, doc}]} lines.

    Candidates are ordered by score; equal ones stay as they came. A doc's text is its title and its
    first of contents, text, passage, body, segment. Raises DataError with file, line and field for
    what is missing, empty, malformed or there twice.
    """
    topics: dict[str, CandidateList] = {}
    for number, row in json_lines(path):
        where = f"{path}:{number}"
        query = row.get("query")
        if not isinstance(query, dict):
            raise DataError(f"{where}: field 'query' must be an object with qid and text")
        qid = id_field(query, "qid", f"{where}: query")
        if qid in topics:
            raise DataError(f"{where}: query {qid} is there twice")
        text = text_field(query, "text", f"{where}: query {qid}")
        if not text.strip():
            raise DataError(f"{where}: query {qid} has no text")
        rows = row.get("candidates")
        if not isinstance(rows, list) or not rows:
            raise DataError(f"{where}: query {qid} has no candidates")
        candidates = tuple(
            _candidate(item, f"{where}: query {qid}, candidate {place}")
            for place, item in enumerate(rows, start=1)
        )
        seen: set[str] = set()
        for candidate in candidates:
            if candidate.docid in seen:
                raise DataError(f"{where}: document {candidate.docid} is twice in query {qid}")
            seen.add(candidate.docid)
        best_first = sorted(candidates, key=lambda candidate: -candidate.score)
        topics[qid] = CandidateList(Query(qid, text), tuple(best_first))
    if not topics:
        raise DataError(f"{path}: no request in it")
    return tuple(topics.values())


def _candidate(item: object, where: str) -> Candidate:
    if not isinstance(item, dict):
        raise DataError(f"{where}: must be an object with docid, score and doc")
    docid = id_field(item, "docid", where)
    score = item.get("score")
    value = math.nan
    if isinstance(score, int | float) and not isinstance(score, bool) and abs(score) < 1e300:
        value = float(score)
    if math.isnan(value):
        raise DataError(f"{where}: field 'score' of document {docid} must be a finite number")
    doc = item.get("doc")
    if not isinstance(doc, dict):
        raise DataError(f"{where}: field 'doc' of document {docid} must be an object")
    body = next(
        (
            doc[name]
            for name in ("contents", "text", "passage", "body", "segment")
            if isinstance(doc.get(name), str) and doc[name].strip()
        ),
        None,
    )
    if body is None:
        raise DataError(f"{where}: document {docid} has no text")
    title = doc.get("title")
    text = f"{title} {body}" if isinstance(title, str) and title.strip() else body
    return Candidate(docid, text, value)
