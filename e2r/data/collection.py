"""What a test collection is made of: queries, candidates in first-stage order, judgments."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol

import orjson


@dataclass(frozen=True, slots=True)
class Query:
    """An information need as its user typed it."""

    qid: str
    text: str


class Candidate(NamedTuple):
    """A document that the first stage found, with its score there; text is title + " " + text.

    A tuple, as large collections make hundreds of millions of them, and a frozen dataclass takes
    longer to be made.
    """

    docid: str
    text: str
    score: float


@dataclass(frozen=True, slots=True)
class Searched:
    """What a search by BM25 took: its distinct `terms`, and the `postings` that these have.

    A posting is a document that holds a term: one summand of one score.
    """

    terms: int
    postings: int


@dataclass(frozen=True)
class Retrieval:
    """How e2r found the candidates: by what, with which parameters, in which index.

    `index` is the hash of an indexed corpus, a prebuilt index's name, or a folder's name and the
    hash of its commit.
    """

    system: str
    k1: float
    b: float
    analyzer: str
    index: str


@dataclass(frozen=True, slots=True)
class CandidateList:
    """A query and its candidates, best first; `searched` where e2r itself looked for them."""

    query: Query
    candidates: tuple[Candidate, ...]
    searched: Searched | None = None

    def cut(self, depth: int) -> CandidateList:
        """The best `depth` candidates."""
        if len(self.candidates) <= depth:
            return self
        return replace(self, candidates=self.candidates[:depth])

    def content(self) -> list[object]:
        """What identifies the list: ids and texts in order."""
        return [self.query.qid, self.query.text, [[c.docid, c.text] for c in self.candidates]]


Judgments = Mapping[str, Mapping[str, int]]
"""Grades by query and document: judgments[qid][docid]."""


class Topics(Protocol):
    """A collection's queries in order; a large one reads them anew at each iteration."""

    def __iter__(self) -> Iterator[CandidateList]: ...

    def __len__(self) -> int: ...


@dataclass(frozen=True)
class Collection:
    """Everything that a run needs to know of its data.

    `candidates_sha256` is the hash of queries, docids, texts and their order: all that reaches a
    ranking plan. `documents` is the size of the searched collection, where it is known: the first
    stage's price needs it. `first_stage` names who made the candidates; `revision` which version of
    a dataset was read, where files do not speak for themselves; `retrieval` how e2r found the
    candidates, where it did so itself. `notes` are sentences about what is
    odd in the data and can be run all the same.
    """

    name: str
    topics: Topics
    candidates_sha256: str
    judgments: Judgments | None
    documents: int | None = None
    first_stage: str = "unknown"
    revision: str | None = None
    retrieval: Retrieval | None = None
    notes: tuple[str, ...] = ()

    @property
    def judgments_sha256(self) -> str | None:
        """Hash of the judgments whatever their order or file format."""
        return None if self.judgments is None else judgments_sha256(self.judgments)


class ContentHash:
    """SHA-256 over rows as compact JSON, one a line."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()

    def add(self, row: object) -> None:
        """Take in one row."""
        self._digest.update(orjson.dumps(row))
        self._digest.update(b"\n")

    def hexdigest(self) -> str:
        """The hash of all rows so far."""
        return self._digest.hexdigest()


def judgments_sha256(judgments: Judgments) -> str:
    """Hash of judgments whatever their order or file format."""
    return content_sha256([qid, sorted(judgments[qid].items())] for qid in sorted(judgments))


def content_sha256(rows: Iterable[object]) -> str:
    """SHA-256 over the rows as compact JSON, one a line."""
    digest = ContentHash()
    for row in rows:
        digest.add(row)
    return digest.hexdigest()
