"""TREC runs and judgments (qrels)."""

from __future__ import annotations

import math
from pathlib import Path

from e2r.data.lines import numbered_lines
from e2r.errors import DataError

Run = dict[str, list[tuple[str, float]]]
"""Scored documents by query, best first."""


def read_run(path: Path) -> Run:
    """Read `qid Q0 docid rank score tag` lines; order is by score, ties by the rank given.

    Lines that start with # (ir_metadata headers) are skipped. Raises DataError with file and line
    for a malformed line, a score that is not finite, a document twice for one query, no line.
    """
    rows: dict[str, list[tuple[float, int, str]]] = {}
    seen: set[tuple[str, str]] = set()
    for number, line in numbered_lines(path):
        if line.startswith("#"):
            continue
        fields = line.split()
        if len(fields) != 6:
            raise DataError(
                f"{path}:{number}: a run line has 6 fields (qid Q0 docid rank score tag), "
                f"this one has {len(fields)}"
            )
        qid, _, docid, rank, score, _ = fields
        try:
            value, place = float(score), int(rank)
        except ValueError:
            raise DataError(
                f"{path}:{number}: rank {rank!r} and score {score!r} must be numbers"
            ) from None
        if not math.isfinite(value):
            raise DataError(f"{path}:{number}: score {score!r} is not finite")
        if (qid, docid) in seen:
            raise DataError(f"{path}:{number}: document {docid} is twice in query {qid}")
        seen.add((qid, docid))
        rows.setdefault(qid, []).append((-value, place, docid))
    if not rows:
        raise DataError(f"{path}: no run line in it")
    return {qid: [(docid, -key) for key, _, docid in sorted(row)] for qid, row in rows.items()}


def read_qrels(path: Path) -> dict[str, dict[str, int]]:
    """Read judgments: TREC (`qid 0 docid grade`) or BEIR (`query-id corpus-id score` with header).

    Raises DataError with file and line for a malformed line, two grades for one document, no line.
    """
    judgments: dict[str, dict[str, int]] = {}
    for number, line in numbered_lines(path):
        fields = line.split()
        if line.startswith("#") or fields[:2] == ["query-id", "corpus-id"]:
            continue
        if len(fields) == 4:
            qid, _, docid, grade = fields
        elif len(fields) == 3:
            qid, docid, grade = fields
        else:
            raise DataError(
                f"{path}:{number}: a judgment has 4 fields (qid 0 docid grade) or, in BEIR "
                f"files, 3 (qid docid grade); this line has {len(fields)}"
            )
        try:
            value = int(grade)
        except ValueError:
            raise DataError(f"{path}:{number}: grade {grade!r} is not an integer") from None
        known = judgments.setdefault(qid, {})
        if known.setdefault(docid, value) != value:
            raise DataError(
                f"{path}:{number}: document {docid} has two grades for query {qid}: "
                f"{known[docid]} and {value}"
            )
    if not judgments:
        raise DataError(f"{path}: no judgment in it")
    return judgments
