"""run.trec.gz: a query's lines, and whether the file ranks what per_query.jsonl says."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

from e2r.borders.reading import text_stream, told_of
from e2r.errors import DataError

PER_QUERY = "per_query.jsonl"
LONGEST_LINE = 2000
"""Bytes of a run line: two ids, three numbers and a tag."""


class Ranked(Mapping[str, Sequence[str]]):
    """Documents by query, best first, in a tenth of the room that lists of them take."""

    def __init__(self) -> None:
        # Ids hold no white space.
        self._joined: dict[str, str] = {}

    def add(self, qid: str, docids: Sequence[str]) -> None:
        """Take in a query; one without documents has no ranking."""
        if docids:
            self._joined[qid] = " ".join(docids)

    def __getitem__(self, qid: str) -> list[str]:
        return self._joined[qid].split(" ")

    def __contains__(self, qid: object) -> bool:
        return qid in self._joined

    def __iter__(self) -> Iterator[str]:
        return iter(self._joined)

    def __len__(self) -> int:
        return len(self._joined)


def run_lines(qid: str, docids: Sequence[str], tag: str) -> bytes:
    """TREC run lines whose scores fall strictly, from the list's length down to 1."""
    begin, endings = f"{qid} Q0 ", _endings(len(docids), tag)
    lines = [f"{begin}{docid}{end}" for docid, end in zip(docids, endings, strict=True)]
    return "".join(lines).encode()


@lru_cache(maxsize=64)
def _endings(count: int, tag: str) -> tuple[str, ...]:
    """What follows the document in each line of a list of so many: all such lists share it."""
    return tuple(f" {rank} {count - rank + 1} {tag}\n" for rank in range(1, count + 1))


def check_ranking(path: Path, ranked: Ranked) -> None:
    """Refuse a run file that does not rank exactly what per_query.jsonl says, in that order.

    Raises DataError.
    """
    with told_of(path, "a gzipped TREC run"):
        with text_stream(path, follow=False) as stream:
            fields = stream.peek()[:LONGEST_LINE].partition(b"\n")[0].decode().split()
            as_written = len(fields) == 6 and _holds(stream, ranked, fields[-1])
        if not as_written:
            with text_stream(path, follow=False) as stream:
                _check_lines(path, stream, ranked)


def _holds(stream: BinaryIO, ranked: Ranked, tag: str) -> bool:
    """Whether a file is, byte for byte, what `run_lines` makes."""
    for qid, docids in ranked.items():
        lines = run_lines(qid, docids, tag)
        if stream.read(len(lines)) != lines:
            return False
    return not stream.read(1)


def _check_lines(path: Path, stream: BinaryIO, ranked: Ranked) -> None:
    wrong = DataError(f"{path}: ranks otherwise than {PER_QUERY}; the run must be made again")
    for qid, docids in ranked.items():
        before = math.inf
        for docid in docids:
            fields = stream.readline(LONGEST_LINE).decode().split()
            if len(fields) != 6 or (fields[0], fields[2]) != (qid, docid):
                raise wrong
            score = float(fields[4])
            if not math.isfinite(score):
                raise DataError(f"{path}: a score is not finite; the run must be made again")
            if score >= before:
                raise wrong
            before = score
    if stream.read(1):
        raise wrong
