"""Judgments (qrels), TREC's and BEIR's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from pathlib import Path

from e2r.data.files.lines import Block, blocks, columns, integer, lines_of
from e2r.data.findings import Hear, Teller, refuse

HIGHEST_GRADE = 100_000
"""trec_eval counts through all grades to the highest: so many take a millisecond, 2^31 minutes."""
_WIDTHS = (3, 4)
"""Fields of a line: BEIR's (qid docid grade) and TREC's (qid 0 docid grade)."""


def is_judgment_line(text: str) -> bool:
    """Whether a line is one of judgments: three or four fields, the last a grade, or BEIR's header.

    One tab before several words is a query.
    """
    fields = judgment_fields(text)
    if fields[:2] == ["query-id", "corpus-id"]:
        return True
    if text.count("\t") == 1 or len(fields) not in (3, 4):
        return False
    return fields[-1].removeprefix("-").isdecimal()


def judgment_fields(text: str) -> list[str]:
    """The fields of a line of judgments: between tabs where it has several, else between spaces."""
    return [field.strip() for field in text.split("\t")] if text.count("\t") > 1 else text.split()


@dataclass(frozen=True, slots=True)
class _Group:
    """Consecutive lines of one query; `numbers` are line numbers."""

    qid: str
    numbers: Sequence[int]
    docids: Sequence[str]
    grades: Sequence[int]


def read_qrels(path: Path, hear: Hear = refuse) -> dict[str, dict[str, int]]:
    """Read judgments: TREC (`qid 0 docid grade`) or BEIR (`query-id corpus-id score` with header).

    Raises DataError with file and line for a malformed line, two grades for one document, no line.
    """
    tell = Teller(path, hear)
    judgments: dict[str, dict[str, int]] = {}
    for block in blocks(path, hear):
        for group in _groups(block, tell):
            known = judgments.setdefault(group.qid, {})
            new = dict(zip(group.docids, group.grades, strict=True))
            if len(new) == len(group.docids) and known.keys().isdisjoint(new):
                known.update(new)
            else:
                _add(known, group, tell)
    if not judgments:
        tell.error("no judgment in it")
    return judgments


def _add(known: dict[str, int], group: _Group, tell: Teller) -> None:
    """Add lines some of whose documents are judged already, each told of."""
    for number, docid, value in zip(group.numbers, group.docids, group.grades, strict=True):
        if docid in known and known[docid] == value:
            tell.warning(f"document {docid} is judged twice for query {group.qid}", number, "docid")
        elif known.setdefault(docid, value) != value:
            tell.error(
                f"document {docid} has two grades for query {group.qid}: {known[docid]} and "
                f"{value}",
                number,
                "grade",
            )


def _groups(block: Block, tell: Teller) -> Iterator[_Group]:
    """The block's judgments, the fast way; the slow one, line by line, where any is not plain."""
    columns = _columns(block.raw)
    if columns is None:
        yield from _slow_groups(block, tell)
        return
    qids, docids, grades = columns
    changes = (i for i, (one, other) in enumerate(pairwise(qids), start=1) if one != other)
    start = 0
    for stop in chain(changes, [len(qids)]):
        numbers = range(block.first + start, block.first + stop)
        yield _Group(qids[start], numbers, docids[start:stop], grades[start:stop])
        start = stop


def _columns(raw: bytes) -> tuple[Sequence[str], Sequence[str], Sequence[int]] | None:
    """Query, document and grade of lines that are all alike and well, or None."""
    try:
        text = raw.decode()
        if "#" in text or "query-id" in text:
            return None
        tab = "\t" if "\t" in text else None
        found = columns(text, tab)
        if found is None or len(found) not in _WIDTHS:
            return None
        written = dict.fromkeys(found[-1])
        values = {grade: integer(grade) for grade in written}
        qids, docids, grades = found[0], found[-2], [values[grade] for grade in found[-1]]
    except ValueError:
        return None
    # Between tabs, a field may be empty or hold white space.
    spaced = tab and any(" ".join(ids).split() != ids for ids in (qids, docids))
    if spaced or max(map(abs, grades)) > HIGHEST_GRADE:
        return None
    return qids, docids, grades


def _slow_groups(block: Block, tell: Teller) -> Iterator[_Group]:
    for line in lines_of(block, tell):
        fields = judgment_fields(line.text)
        if fields[0].startswith("#") or fields[:2] == ["query-id", "corpus-id"]:
            continue
        if len(fields) not in _WIDTHS:
            tell.error(
                "a judgment has 4 fields (qid 0 docid grade) or, in BEIR files, 3 (qid docid "
                f"grade); this line has {len(fields)}",
                line.number,
            )
            continue
        qid, docid, grade = fields[0], fields[-2], fields[-1]
        spaced = next((name for name in (qid, docid) if name.split() != [name]), None)
        if spaced is not None:
            tell.error(
                f"id {spaced!r} cannot stand in a TREC run: it is empty or has white space",
                line.number,
            )
            continue
        try:
            value = integer(grade)
        except ValueError:
            tell.error(f"grade {grade!r} is not an integer", line.number, "grade")
            continue
        if abs(value) > HIGHEST_GRADE:
            tell.error(f"grade {grade} is out of any scale", line.number, "grade")
            continue
        yield _Group(qid, (line.number,), (docid,), (value,))
