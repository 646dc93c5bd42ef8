"""Where each query's lines lie in a TREC run, so that any query is read without the others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import IO

from e2r.data.files.lines import unpacked
from e2r.data.files.offsets import Offsets
from e2r.data.files.trec import Group, groups, groups_of, merge
from e2r.data.findings import Hear, Teller, deaf, refuse
from e2r.data.progress import Working, counted, unheard
from e2r.errors import DataError

MOST_PIECES = 8_000_000
"""Groups of lines that are indexed: queries, and parts of those whose lines are not together."""


class RunIndex:
    """The queries of a run and the places of their lines, found in one pass that checks them.

    Memory grows with the queries (20 bytes each), not with the lines. Raises DataError, or tells
    `hear`, of what `groups` tells and of a run so scattered that it cannot be indexed; tells as
    warnings of ties, of ranks that contradict scores, and of queries whose lines are apart.
    """

    def __init__(self, path: Path, hear: Hear = refuse, tell: Working = unheard) -> None:
        self.path = path
        self.lines = 0
        self._tell = Teller(path, hear)
        self._offsets = Offsets()
        ties, contradictions = _Few("have tied scores"), _Few("have ranks that contradict scores")
        found = counted(groups(path, hear), f"queries read of {path.name}", tell)
        for pieces, group in enumerate(found, start=1):
            self.lines += len(group.docids)
            if not group.in_order:
                _judge_order(group, ties, contradictions)
            if pieces > MOST_PIECES:
                self._tell.error(
                    "the lines of its queries are not together, in too many pieces to keep; sort "
                    f"the file by query: sort -s -k1,1 {path}",
                    group.numbers[0],
                )
                break
            self._offsets.add(group.qid, group.offset, group.end - group.offset)
        self._offsets.seal()
        ties.tell(self._tell, "the order is that of their ranks")
        contradictions.tell(self._tell, "the order is that of the scores")
        self._check_scattered()

    @property
    def label(self) -> str:
        return str(self.path)

    @property
    def files(self) -> tuple[Path, ...]:
        return (self.path,)

    def __len__(self) -> int:
        return self._offsets.distinct()

    def __contains__(self, qid: object) -> bool:
        return isinstance(qid, str) and bool(self._offsets.of([qid])[0])

    def __iter__(self) -> Iterator[str]:
        """The queries, by reading the file again; one may come twice if its lines are apart."""
        return (group.qid for group in groups(self.path, deaf))

    @contextmanager
    def rankings(self, hear: Hear = refuse) -> Iterator[Callable[[str], list[tuple[str, float]]]]:
        """Open the file; gives a function from a query to its scored documents, best first."""
        with unpacked(self.path) as stream:
            yield lambda qid: self._read(stream, qid, hear)

    def _read(self, stream: IO[bytes], qid: str, hear: Hear) -> list[tuple[str, float]]:
        found: list[Group] = []
        for start, length in self._offsets.of([qid])[0]:
            stream.seek(start)
            read = groups_of(stream.read(length), self.path, hear)
            found += [group for group in read if group.qid == qid]
        if not found:
            raise DataError(f"{self.path}: changed while it was read")
        return merge(found).best_first()

    def _check_scattered(self) -> None:
        """A document twice in one query is seen by `groups` only where its lines are together."""
        repeated = self._offsets.repeated()
        if not repeated:
            return
        self._tell.warning(
            f"the lines of {len(repeated)} queries are not together; a file sorted by query is "
            f"read faster (sort -s -k1,1 {self.path})"
        )
        checked = set[str]()
        with self.rankings(deaf) as ranking_of:
            for group in groups(self.path, deaf):
                if hash(group.qid) not in repeated or group.qid in checked:
                    continue
                checked.add(group.qid)
                counts = Counter(docid for docid, _ in ranking_of(group.qid))
                for docid in (docid for docid, count in counts.items() if count > 1):
                    self._tell.error(f"document {docid} is twice in query {group.qid}")


class _Few:
    """Counts queries of a kind and remembers the first."""

    def __init__(self, what: str) -> None:
        self.what = what
        self.count = 0
        self.first: Group | None = None

    def add(self, group: Group) -> None:
        self.count += 1
        self.first = self.first or group

    def tell(self, tell: Teller, so: str) -> None:
        if self.first is not None:
            tell.warning(
                f"{self.count} queries {self.what} (query {self.first.qid}); {so}",
                self.first.numbers[0],
                "score",
            )


def _judge_order(group: Group, ties: _Few, contradictions: _Few) -> None:
    if len(set(group.scores)) < len(group.scores):
        ties.add(group)
    by_score = sorted(zip((-score for score in group.scores), group.ranks, strict=True))
    ranks = [rank for _, rank in by_score]
    if any(above >= below for above, below in pairwise(ranks)):
        contradictions.add(group)
