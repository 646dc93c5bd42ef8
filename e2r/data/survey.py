"""What a collection is, seen in one pass: its hash, its oddities, and what it lets a run reach."""

from __future__ import annotations

import math
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field

from e2r.data.collection import CandidateList, ContentHash, Judgments
from e2r.data.findings import some
from e2r.errors import DataError

CUTOFF = 10
LONG = 1_000_000
"""Characters of a document that is worth a word: no prompt holds them."""


@dataclass(frozen=True)
class Survey:
    """What one pass over a collection's queries found; `notes` are sentences for the user."""

    candidates_sha256: str
    queries: int
    notes: tuple[str, ...]


@dataclass(eq=False)
class Ceiling:
    """What a perfect reranker would reach on these candidates, by the judgments.

    nDCG@10 as trec_eval computes it (gain: the grade, where above 0; discount: log2 of rank + 1),
    recall of the documents judged above 0; both are means over the judged queries.
    """

    queries: int = 0
    ndcg: float = 0.0
    recall: float = 0.0
    relevant: int = 0
    absent: int = 0

    def add(self, candidates: Iterable[str], grades: Mapping[str, int]) -> None:
        """Count one judged query."""
        here = [grade for docid in candidates if (grade := grades.get(docid, 0)) > 0]
        all_of_them = [grade for grade in grades.values() if grade > 0]
        self.queries += 1
        if all_of_them:
            self.ndcg += _gain(here) / _gain(all_of_them)
            self.recall += len(here) / len(all_of_them)
        self.relevant += len(all_of_them)
        self.absent += len(all_of_them) - len(here)

    def sentence(self) -> str | None:
        """What is out of reach, with figures, or None where nothing is."""
        if not self.absent:
            return None
        return (
            f"{self.absent} of {self.relevant} documents judged relevant are not among the "
            f"candidates: a perfect reranker reaches nDCG@{CUTOFF} {self.ndcg / self.queries:.4f} "
            f"and recall {self.recall / self.queries:.4f}"
        )


@dataclass(eq=False)
class _Seen:
    """Counts over the candidates of all queries."""

    candidates: int = 0
    judged: int = 0
    unjudged: list[str] = field(default_factory=list)
    unjudged_queries: int = 0
    long: list[str] = field(default_factory=list)


def survey(topics: Iterable[CandidateList], judgments: Judgments | None) -> Survey:
    """Go through all queries once."""
    digest, seen, ceiling = ContentHash(), _Seen(), Ceiling()
    queries = 0
    for topic in topics:
        queries += 1
        digest.add(topic.content())
        if judgments is not None:
            _judge(topic, judgments, seen, ceiling)
        seen.long += [
            c.docid for c in topic.candidates if len(c.text) > LONG and len(seen.long) < 6
        ]
    return Survey(digest.hexdigest(), queries, tuple(_notes(judgments, seen, ceiling)))


def _judge(topic: CandidateList, judgments: Judgments, seen: _Seen, ceiling: Ceiling) -> None:
    grades = judgments.get(topic.query.qid)
    seen.candidates += len(topic.candidates)
    if grades is None:
        seen.unjudged_queries += 1
        if len(seen.unjudged) < 6:
            seen.unjudged.append(topic.query.qid)
        return
    docids = [candidate.docid for candidate in topic.candidates]
    seen.judged += sum(docid in grades for docid in docids)
    ceiling.add(docids, grades)


def _notes(judgments: Judgments | None, seen: _Seen, ceiling: Ceiling) -> Iterable[str]:
    if seen.long:
        yield (
            f"documents of more than {LONG:,} characters: {some(seen.long)}; only the first "
            "passage_tokens of each are read"
        )
    if judgments is None:
        yield "no judgments: the run can be made, but not evaluated until --qrels names some"
        return
    if seen.unjudged_queries:
        yield (
            f"{seen.unjudged_queries} queries have no judgments and do not count: "
            f"{some(seen.unjudged)}"
        )
    if seen.judged < seen.candidates:
        yield (
            f"{seen.candidates - seen.judged} of {seen.candidates} candidates have no judgment and "
            "count as grade 0"
        )
    if (sentence := ceiling.sentence()) is not None:
        yield sentence


def queries_without_candidates(
    queries: Container[str], judgments: Judgments, where: str
) -> list[str]:
    """A sentence on the judged queries that have no candidates, if there are any.

    Raises DataError where that is all of them: the judgments are another collection's.
    """
    absent = sorted(qid for qid in judgments if qid not in queries)
    if judgments and len(absent) == len(judgments):
        raise DataError(
            f"{where}: none of its {len(absent)} queries is in the collection ({some(absent)}); "
            "are these the judgments of another collection?"
        )
    if not absent:
        return []
    return [f"{len(absent)} judged queries have no candidates and score 0: {some(absent)}"]


def _gain(grades: Iterable[int]) -> float:
    best = sorted(grades, reverse=True)[:CUTOFF]
    return sum(grade / math.log2(rank + 1) for rank, grade in enumerate(best, start=1))
