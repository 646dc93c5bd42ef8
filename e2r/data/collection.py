"""What a test collection is made of: queries, candidates in first-stage order, judgments."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Query:
    """An information need as its user typed it."""

    qid: str
    text: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """A document that the first stage found, with its score there; text is title + " " + text."""

    docid: str
    text: str
    score: float


@dataclass(frozen=True, slots=True)
class CandidateList:
    """A query and its candidates, best first."""

    query: Query
    candidates: tuple[Candidate, ...]


Judgments = Mapping[str, Mapping[str, int]]
"""Grades by query and document: judgments[qid][docid]."""


@dataclass(frozen=True)
class Collection:
    """Everything that a run needs to know of its data.

    `documents` is the size of the searched collection, where it is known: the first stage's price
    needs it. `first_stage` names who made the candidates; `revision` which version of a dataset was
    read, where files do not speak for themselves.
    """

    name: str
    topics: tuple[CandidateList, ...]
    judgments: Judgments | None
    documents: int | None = None
    first_stage: str = "unknown"
    revision: str | None = None

    @property
    def candidates_sha256(self) -> str:
        """Hash of queries, docids, texts and their order: all that reaches a ranking plan."""
        return content_sha256(
            [topic.query.qid, topic.query.text, [[c.docid, c.text] for c in topic.candidates]]
            for topic in self.topics
        )

    @property
    def judgments_sha256(self) -> str | None:
        """Hash of the judgments whatever their order or file format."""
        return None if self.judgments is None else judgments_sha256(self.judgments)


def judgments_sha256(judgments: Judgments) -> str:
    """Hash of judgments whatever their order or file format."""
    return content_sha256([qid, sorted(judgments[qid].items())] for qid in sorted(judgments))


def content_sha256(rows: Iterable[object]) -> str:
    """SHA-256 over the rows as compact JSON, one a line."""
    digest = hashlib.sha256()
    for row in rows:
        digest.update(json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode())
        digest.update(b"\n")
    return digest.hexdigest()
