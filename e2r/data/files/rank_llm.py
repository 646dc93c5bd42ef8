"""Rank_llm request files: one JSON object a line, a query with its candidates and their texts."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from math import isfinite
from operator import ge
from pathlib import Path
from typing import Any

from e2r.data.collection import Candidate, CandidateList, Query
from e2r.data.files.lines import json_rows, valid_id, valid_text
from e2r.data.findings import Hear, Teller, refuse

ABSURD = 1e300
BODIES = ("contents", "text", "passage", "body", "segment")


def read_requests(path: Path, hear: Hear = refuse) -> Iterator[CandidateList]:
    """Yield {"query": {qid, text}, "candidates": [{docid, score, doc}]} lines, one at a time.

    Candidates are ordered by score; equal ones stay as they came. A doc's text is its title and its
    first of contents, text, passage, body, segment. Tells, with file, line and field, of what is
    missing, empty, malformed or there twice.
    """
    tell = Teller(path, hear)
    seen = set[str]()
    ties, first_tie, rows = 0, None, 0
    for line, row in json_rows(path, hear):
        rows += 1
        topic = _topic(row, line.number, tell)
        if topic is None:
            continue
        qid = topic.query.qid
        if qid in seen:
            tell.error(f"query {qid} is there twice", line.number, "query.qid")
            continue
        seen.add(qid)
        scores = [candidate.score for candidate in topic.candidates]
        if len(set(scores)) < len(scores):
            ties, first_tie = ties + 1, first_tie or (qid, line.number)
        yield topic
    if first_tie is not None:
        tell.warning(
            f"{ties} queries have tied scores (query {first_tie[0]}); the order is the file's",
            first_tie[1],
            "candidates.score",
        )
    if not rows:
        tell.error("no request in it")


def _topic(row: dict[str, Any], number: int, tell: Teller) -> CandidateList | None:
    query = row.get("query")
    if not isinstance(query, dict):
        tell.error("field 'query' must be an object with qid and text", number, "query")
        return None
    try:
        qid = valid_id(query, "qid")
    except ValueError as error:
        tell.error(f"query: {error}", number, "query.qid")
        return None
    try:
        text = valid_text(query, "text")
        if not text.strip():
            raise ValueError("has no text")
    except ValueError as error:
        between = " " if str(error) == "has no text" else ": "
        tell.error(f"query {qid}{between}{error}", number, "query.text")
        return None
    rows = row.get("candidates")
    if not isinstance(rows, list) or not rows:
        tell.error(f"query {qid} has no candidates", number, "candidates")
        return None
    candidates = _plain(rows)
    if candidates is None:
        candidates = []
        for place, item in enumerate(rows, start=1):
            try:
                candidates.append(_candidate(item))
            except ValueError as error:
                tell.error(
                    f"query {qid}, candidate {place}: {error}", number, f"candidates[{place - 1}]"
                )
    if len({candidate.docid for candidate in candidates}) < len(candidates):
        seen = set[str]()
        for candidate in candidates:
            if candidate.docid in seen:
                tell.error(
                    f"document {candidate.docid} is twice in query {qid}",
                    number,
                    "candidates.docid",
                )
            seen.add(candidate.docid)
    scores = [candidate.score for candidate in candidates]
    if not all(map(ge, scores, islice(scores, 1, None))):
        candidates.sort(key=lambda candidate: -candidate.score)
    return CandidateList(Query(qid, text), tuple(candidates))


def _plain(rows: list[Any]) -> list[Candidate] | None:
    """What `_candidate` makes of all of them, column by column; None where any is not plain."""
    try:
        docids = [row["docid"] for row in rows]
        scores = [row["score"] for row in rows]
        texts = [text for row in rows if (text := _text(row["doc"])) is not None]
        # Ids with white space, or none, would come apart otherwise than they were joined.
        joined = " ".join(docids)
        plain = joined.split() == docids and "#" not in joined and len(texts) == len(rows)
        plain = plain and set(map(type, scores)) == {float} and all(map(isfinite, scores))
        if not plain or min(scores) <= -ABSURD or max(scores) >= ABSURD:
            return None
    except (KeyError, TypeError, AttributeError):
        return None
    return list(map(Candidate, docids, texts, scores))


def _candidate(item: Any) -> Candidate:
    """Raises ValueError for what is missing, malformed or empty."""
    if not isinstance(item, dict):
        raise ValueError("must be an object with docid, score and doc")
    docid = valid_id(item, "docid")
    score = item.get("score")
    if type(score) is int and abs(score) < ABSURD:
        score = float(score)
    if type(score) is not float or not -ABSURD < score < ABSURD:
        raise ValueError(f"field 'score' of document {docid} must be a finite number")
    doc = item.get("doc")
    if not isinstance(doc, dict):
        raise ValueError(f"field 'doc' of document {docid} must be an object")
    text = _text(doc)
    if text is None:
        raise ValueError(f"document {docid} has no text")
    return Candidate(docid, text, score)


def _text(doc: dict[str, Any]) -> str | None:
    """The title and the first body that is not blank; None where there is none."""
    for name in BODIES:
        text = doc.get(name)
        if isinstance(text, str) and text and not text.isspace():
            break
    else:
        return None
    title = doc.get("title")
    if title and isinstance(title, str) and not title.isspace():
        return f"{title} {text}"
    return text
