"""Queries with their candidates and texts, read anew each time and one query at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

from e2r.data.collection import Candidate, CandidateList, Query, Searched
from e2r.data.dataset import Queries, Texts
from e2r.data.files.rank_llm import read_requests
from e2r.data.files.trec import Run
from e2r.data.findings import Hear, refuse
from e2r.errors import DataError

Stamp = tuple[Path, int, int]


class Source(Protocol):
    """Candidate lists in a fixed order."""

    def topics(
        self, depth: int, limit: int | None = None, hear: Hear = refuse
    ) -> Iterator[CandidateList]:
        """The first `limit` queries, `depth` candidates each.

        The first time through, all of the source is checked, whatever the limit. Raises DataError.
        """

    def __contains__(self, qid: object) -> bool:
        """Whether the source holds the query; to be asked once all of it has been checked."""

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that are read each time."""


class Requests:
    """A rank_llm request file, which brings its own texts."""

    def __init__(self, path: Path) -> None:
        self.files: tuple[Path, ...] = (path,)
        self._known: set[str] | None = None

    def topics(
        self, depth: int, limit: int | None = None, hear: Hear = refuse
    ) -> Iterator[CandidateList]:
        known = set[str]()
        for topic in read_requests(self.files[0], hear):
            known.add(topic.query.qid)
            if limit is None or len(known) <= limit:
                yield topic.cut(depth)
            elif self._known is not None:
                return
        self._known = known

    def __contains__(self, qid: object) -> bool:
        return qid in (self._known or ())


class Rankings(Protocol):
    """Scored documents by query, from a file or from memory."""

    @property
    def label(self) -> str:
        """What messages call it."""

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that are read each time."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[str]: ...

    def __contains__(self, qid: object) -> bool: ...

    def rankings(self) -> AbstractContextManager[Callable[[str], list[tuple[str, float]]]]:
        """Opened for reading: a function from a query to its documents, best first."""


class Held:
    """A run in memory."""

    files: tuple[Path, ...] = ()

    def __init__(self, label: str, run: Run) -> None:
        self.label, self._run = label, run

    def __len__(self) -> int:
        return len(self._run)

    def __iter__(self) -> Iterator[str]:
        return iter(self._run)

    def __contains__(self, qid: object) -> bool:
        return qid in self._run

    def rankings(self) -> AbstractContextManager[Callable[[str], list[tuple[str, float]]]]:
        """A function from a query to its documents, best first."""
        return nullcontext(self._run.__getitem__)


class Joined:
    """Rankings whose texts are fetched from elsewhere, in the order of the queries.

    `searched` says what finding the candidates took.
    """

    def __init__(
        self,
        run: Rankings,
        queries: Queries,
        texts: Texts,
        searched: Mapping[str, Searched] = MappingProxyType({}),
    ) -> None:
        """Raises DataError where run and queries do not fit."""
        self._run, self._queries, self._texts = run, queries, texts
        self._searched = searched
        self.files = run.files
        matched = sum(qid in run for qid in queries.texts)
        if not matched:
            raise DataError(f"{run.label}: no query of {queries.label} has candidates in it")
        if matched < len(run):
            foreign = next(qid for qid in run if qid not in queries.texts)
            raise DataError(f"{run.label}: query {foreign} is not in {queries.label}")

    def topics(
        self, depth: int, limit: int | None = None, hear: Hear = refuse
    ) -> Iterator[CandidateList]:
        mine = (item for item in self._queries.texts.items() if item[0] in self._run)
        with self._run.rankings() as ranking_of:
            for qid, text in islice(mine, limit):
                ranking = ranking_of(qid)[:depth]
                candidates = tuple(self._candidates(qid, ranking))
                yield CandidateList(Query(qid, text), candidates, self._searched.get(qid))

    def __contains__(self, qid: object) -> bool:
        return qid in self._run

    def _candidates(self, qid: str, ranking: list[tuple[str, float]]) -> Iterator[Candidate]:
        texts = self._texts.of([docid for docid, _ in ranking])
        for (docid, score), text in zip(ranking, texts, strict=True):
            if text is None:
                raise DataError(
                    f"{self._run.label}: document {docid} of query {qid} is not in "
                    f"{self._texts.label}"
                )
            yield Candidate(docid, text, score)


@dataclass(frozen=True)
class Cut:
    """The first `count` queries of a checked source, `depth` candidates each; read at each use."""

    source: Source
    depth: int
    count: int
    _stamps: tuple[Stamp, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_stamps", tuple(map(_stamp, self.source.files)))

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[CandidateList]:
        """Raises DataError where a file is no longer the one that was checked."""
        for stamp in self._stamps:
            if _stamp(stamp[0]) != stamp:
                raise DataError(f"{stamp[0]}: changed since it was checked; begin again")
        return self.source.topics(self.depth, self.count)


def _stamp(path: Path) -> Stamp:
    status = path.stat()
    return path, status.st_size, status.st_mtime_ns
