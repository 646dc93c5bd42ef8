"""Which queries go to which worker next, and what becomes of those of a lost one."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable

from e2r.data.collection import CandidateList

STRIKES = 3
"""Workers that may be lost with a query before it is given up."""


class Schedule:
    """Hands out `count` topics in chunks of at most `most`, and knows which are under way.

    Chunks shrink towards the end, so that all workers end at about the same time. A query that
    was under way when its worker was lost is sent again, from then on alone.
    """

    def __init__(self, topics: Iterable[CandidateList], count: int, most: int) -> None:
        self._topics = iter(topics)
        self._left = count
        self._most = most
        self._under_way: dict[int, dict[str, CandidateList]] = {}
        self._again: deque[CandidateList] = deque()
        self._strikes: Counter[str] = Counter()

    @property
    def done(self) -> bool:
        """Whether every query has come to its end."""
        return not (self._left or self._again or any(self._under_way.values()))

    def chunk(self, worker: int, workers: int) -> list[CandidateList]:
        """What an idle worker is to do next, one of so many; empty where nothing waits.

        Raises RuntimeError where its last chunk has come to an end and a query of it has not.
        """
        if forgotten := self._under_way.get(worker):
            raise RuntimeError(f"worker {worker} ended its chunk without {', '.join(forgotten)}")
        if self._again:
            chosen = [self._again.popleft()]
        else:
            size = min(self._left, self._most, max(1, self._left // (2 * workers)))
            chosen = [next(self._topics) for _ in range(size)]
            self._left -= size
        self._under_way[worker] = {topic.query.qid: topic for topic in chosen}
        return chosen

    def finish(self, worker: int, qid: str) -> bool:
        """Whether this is a query's end; False where it comes from a worker that was given up."""
        return self._under_way.get(worker, {}).pop(qid, None) is not None

    def lose(self, worker: int) -> tuple[list[CandidateList], list[CandidateList]]:
        """The queries that a lost worker leaves: those to be sent again, those to be given up."""
        left = list(self._under_way.pop(worker, {}).values())
        self._strikes.update(topic.query.qid for topic in left)
        again = [topic for topic in left if self._strikes[topic.query.qid] < STRIKES]
        given_up = [topic for topic in left if self._strikes[topic.query.qid] >= STRIKES]
        self._again.extend(again)
        return again, given_up
