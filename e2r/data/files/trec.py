"""TREC runs."""

from __future__ import annotations

import operator
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain, islice, pairwise
from math import isfinite
from pathlib import Path

import numpy as np

from e2r.data.files.lines import Block, are_plain, blocks, columns, integer, lines_of, real
from e2r.data.findings import Hear, Teller, refuse

Run = dict[str, list[tuple[str, float]]]
"""Scored documents by query, best first."""


@dataclass(frozen=True, slots=True)
class Group:
    """Consecutive run lines of one query, in the file's order.

    `offset` and `end` bound their bytes in the unpacked file; `numbers` are line numbers.
    """

    qid: str
    offset: int
    end: int
    numbers: Sequence[int]
    docids: Sequence[str]
    ranks: Sequence[int]
    scores: Sequence[float]

    @property
    def in_order(self) -> bool:
        """Whether scores strictly fall and ranks strictly rise, as in a well-made run."""
        scores, ranks = self.scores, self.ranks
        return all(map(operator.gt, scores, islice(scores, 1, None))) and all(
            map(operator.lt, ranks, islice(ranks, 1, None))
        )

    def best_first(self) -> list[tuple[str, float]]:
        """Documents with their scores, by score, ties by the rank given."""
        if self.in_order:
            return list(zip(self.docids, self.scores, strict=True))
        rows = sorted(zip((-score for score in self.scores), self.ranks, self.docids, strict=True))
        return [(docid, -key) for key, _, docid in rows]


def judged_order(rows: Sequence[tuple[str, float]]) -> list[str]:
    """Documents as trec_eval ranks them, whatever the order of the file.

    It reads scores as 32-bit floats and breaks ties by document id, descending (trec_eval 9.0.8,
    form_res_rels.c); bytes of UTF-8 compare as code points do.
    """
    with np.errstate(over="ignore"):
        scores = np.array([score for _, score in rows], dtype=np.float32).tolist()
    ranked = sorted(((score, docid) for (docid, _), score in zip(rows, scores, strict=True)))
    return [docid for _, docid in reversed(ranked)]


def merge(pieces: Sequence[Group]) -> Group:
    """All lines of some pieces of one query."""
    if len(pieces) == 1:
        return pieces[0]
    return Group(
        pieces[0].qid,
        pieces[0].offset,
        pieces[-1].end,
        [number for piece in pieces for number in piece.numbers],
        [docid for piece in pieces for docid in piece.docids],
        [rank for piece in pieces for rank in piece.ranks],
        [score for piece in pieces for score in piece.scores],
    )


@dataclass(frozen=True, slots=True)
class _Table:
    """The columns of a block's good lines; `ends` are the offsets behind them."""

    numbers: Sequence[int]
    starts: Sequence[int]
    ends: Sequence[int]
    qids: Sequence[str]
    docids: Sequence[str]
    ranks: Sequence[int]
    scores: Sequence[float]


def groups(path: Path, hear: Hear = refuse) -> Iterator[Group]:
    """Yield the queries of a run as they stand in the file, each line checked.

    A query whose lines are not together comes more than once. Lines that start with # are skipped.
    Tells, with the line, of a malformed line, a score that is not finite, a document twice in a
    group, no line at all; and, as warnings, of separators that change.
    """
    tell = Teller(path, hear)
    last: list[Group] = []
    separators = set[str]()
    for block in blocks(path, hear):
        _hear_separators(block, separators, tell)
        for group in _groups(_table(block, tell)):
            if last and last[0].qid != group.qid:
                yield _checked(last, tell)
                last = []
            last.append(group)
    if last:
        yield _checked(last, tell)
    else:
        tell.error("no run line in it")


def groups_of(raw: bytes, path: Path, hear: Hear = refuse) -> Iterator[Group]:
    """The groups in some whole lines of a run, which were checked before."""
    return _groups(_table(Block(1, 0, raw), Teller(path, hear)))


def read_run(path: Path, hear: Hear = refuse) -> Run:
    """Read `qid Q0 docid rank score tag` lines; order is by score, ties by the rank given.

    Lines that start with # (ir_metadata headers) are skipped. Raises DataError with file and line
    for a malformed line, a score that is not finite, a document twice for one query, no line.
    """
    tell = Teller(path, hear)
    found: dict[str, list[Group]] = {}
    for group in groups(path, hear):
        found.setdefault(group.qid, []).append(group)
    for pieces in found.values():
        if len(pieces) > 1:
            _checked(pieces, tell)
    return {qid: merge(pieces).best_first() for qid, pieces in found.items()}


def _table(block: Block, tell: Teller) -> _Table:
    """The block's lines as columns, the fast way; the slow one where any line is not plain."""
    raws = block.raw.split(b"\n")
    if not raws[-1]:
        raws.pop()
    try:
        text = block.raw.decode()
        found = None if "#" in text else columns(text)
        if found is None or len(found) != 6:
            return _slow_table(block, tell)
        qids, _, docids, ranks, scores, _ = found
        if not (are_plain(scores) and are_plain(ranks)):
            return _slow_table(block, tell)
        values = list(map(float, scores))
        places = list(map(int, ranks))
    except ValueError:
        return _slow_table(block, tell)
    if not all(map(isfinite, values)):
        return _slow_table(block, tell)
    lengths = map(len, raws)
    ends = [end + n for n, end in enumerate(accumulate(lengths, initial=block.offset))]
    return _Table(
        range(block.first, block.first + len(raws)),
        ends[:-1], ends[1:], qids, docids, places, values,
    )  # fmt: skip


def _slow_table(block: Block, tell: Teller) -> _Table:
    rows = []
    for line in lines_of(block, tell):
        if line.text.startswith("#"):
            continue
        fields = line.text.split()
        if len(fields) != 6:
            tell.error(
                f"a run line has 6 fields (qid Q0 docid rank score tag), this one has "
                f"{len(fields)}",
                line.number,
            )
            continue
        qid, _, docid, rank, score, _ = fields
        try:
            value, place = real(score), integer(rank)
        except ValueError:
            tell.error(
                f"rank {rank!r} and score {score!r} must be numbers",
                line.number,
                "score" if rank.isdecimal() else "rank",
            )
            continue
        if not isfinite(value):
            tell.error(f"score {score!r} is not finite", line.number, "score")
            continue
        end = line.offset + line.length + 1
        rows.append((line.number, line.offset, end, qid, docid, place, value))
    columns = list(zip(*rows, strict=True)) if rows else [()] * 7
    return _Table(*columns)


def _groups(table: _Table) -> Iterator[Group]:
    qids = table.qids
    changes = (i for i, (one, other) in enumerate(pairwise(qids), start=1) if one != other)
    start = 0
    for stop in chain(changes, [len(qids)] if qids else []):
        yield Group(
            qids[start],
            table.starts[start],
            table.ends[stop - 1],
            table.numbers[start:stop],
            table.docids[start:stop],
            table.ranks[start:stop],
            table.scores[start:stop],
        )
        start = stop


def _checked(pieces: Sequence[Group], tell: Teller) -> Group:
    """The pieces as one group, its documents each once or told of."""
    group = merge(pieces)
    if len(set(group.docids)) < len(group.docids):
        seen = set[str]()
        for number, docid in zip(group.numbers, group.docids, strict=True):
            if docid in seen:
                tell.error(f"document {docid} is twice in query {group.qid}", number, "docid")
            seen.add(docid)
    return group


def _hear_separators(block: Block, separators: set[str], tell: Teller) -> None:
    if len(separators) == 2:
        return
    for name, character in (("tabs", b"\t"), ("spaces", b" ")):
        if character in block.raw:
            separators.add(name)
    if len(separators) == 2:
        tell.warning("both tabs and spaces separate fields", block.first)


def is_run_line(text: str) -> bool:
    """Whether a line is one of a run: six fields, the fourth a rank, the fifth a score."""
    fields = text.split()
    if len(fields) != 6:
        return False
    try:
        return isfinite(real(fields[4])) and integer(fields[3]) is not None
    except ValueError:
        return False
