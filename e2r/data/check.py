"""What is odd about a collection that can still be run: told before any model is loaded."""

from __future__ import annotations

from collections.abc import Iterator, Set

from e2r.data.collection import Collection, Judgments
from e2r.errors import DataError


def warnings(collection: Collection) -> Iterator[str]:
    """Yield one sentence for each oddity."""
    judgments = collection.judgments
    if judgments is None:
        yield "no judgments: the run can be made, but not evaluated until --qrels names some"
        return
    queries = {topic.query.qid for topic in collection.topics}
    unjudged = sorted(queries - judgments.keys())
    if unjudged:
        yield f"{len(unjudged)} queries have no judgments and do not count: {_some(unjudged)}"
    judged = sum(
        candidate.docid in judgments.get(topic.query.qid, {})
        for topic in collection.topics
        for candidate in topic.candidates
    )
    total = sum(len(topic.candidates) for topic in collection.topics)
    if judged < total:
        yield f"{total - judged} of {total} candidates have no judgment and count as grade 0"


def refuse_foreign_judgments(queries: Set[str], judgments: Judgments, where: str) -> None:
    """Raise DataError where judgments name queries that the collection does not have."""
    foreign = sorted(judgments.keys() - queries)
    if foreign:
        raise DataError(
            f"{where}: judgments for {len(foreign)} queries that are not in the collection: "
            f"{_some(foreign)}; are these the judgments of another collection?"
        )


def _some(names: list[str], most: int = 5) -> str:
    return ", ".join(names[:most]) + (" …" if len(names) > most else "")
