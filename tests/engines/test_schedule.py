"""Whatever becomes of workers, each query ends once; chunks are bounded, topics drawn lazily."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from e2r.data.collection import CandidateList, Query
from e2r.engines.schedule import STRIKES, Schedule


def topics(count: int, drawn: list[str] | None = None) -> Iterator[CandidateList]:
    for number in range(count):
        if drawn is not None:
            drawn.append(f"q{number}")
        yield CandidateList(Query(f"q{number}", "words"), ())


@given(
    count=st.integers(0, 40),
    most=st.integers(1, 8),
    workers=st.integers(1, 5),
    moves=st.lists(st.tuples(st.integers(0, 4), st.sampled_from(["work", "end", "lose"]))),
)
def test_every_query_ends_once_whoever_is_lost(
    count: int, most: int, workers: int, moves: list[tuple[int, str]]
) -> None:
    """Workers finish and are lost in any order; then those that are left do the rest."""
    drawn: list[str] = []
    schedule = Schedule(topics(count, drawn), count, most)
    numbers = list(range(workers))
    chunks: dict[int, list[str]] = {number: [] for number in numbers}
    ends: Counter[str] = Counter()
    losses: Counter[str] = Counter()
    given_up: list[str] = []

    def work(place: int) -> None:
        if not chunks[numbers[place]]:
            chunk = schedule.chunk(numbers[place], workers)
            chunks[numbers[place]] = [topic.query.qid for topic in chunk]
            assert len(chunk) <= most
            assert len(chunk) <= 1 or not any(losses[topic.query.qid] for topic in chunk)

    def end(place: int) -> None:
        if chunks[numbers[place]]:
            qid = chunks[numbers[place]].pop(0)
            ends[qid] += schedule.finish(numbers[place], qid)
            assert not schedule.finish(numbers[place], qid), "the second time it counts for nothing"

    def lose(place: int) -> None:
        number = numbers[place]
        losses.update(chunks[number])
        again, gone = schedule.lose(number)
        assert sorted(t.query.qid for t in [*again, *gone]) == sorted(chunks[number])
        given_up.extend(topic.query.qid for topic in gone)
        for qid in chunks.pop(number):
            assert not schedule.finish(number, qid), "a lost worker is not heard any more"
        numbers[place] = max(numbers) + 1
        chunks[numbers[place]] = []

    steps = {"work": work, "end": end, "lose": lose}
    for place, step in moves:
        steps[step](place % workers)
        assert len(drawn) == len(ends) + sum(map(len, chunks.values())) + sum(
            1 for qid in set(losses) - set(ends) if not any(qid in c for c in chunks.values())
        )
    for _ in range(3 * count * STRIKES + 3):
        for place in range(workers):
            work(place)
            while chunks[numbers[place]]:
                end(place)
    assert schedule.done
    assert set(ends.values()) <= {1}
    assert sorted([*ends, *given_up]) == sorted(f"q{number}" for number in range(count))
    assert all(losses[qid] == STRIKES for qid in given_up)
    assert all(losses[qid] < STRIKES for qid in ends)


def test_a_query_that_a_living_worker_forgets_is_a_bug() -> None:
    schedule = Schedule(topics(8), 8, 2)
    assert len(schedule.chunk(0, 2)) == 2
    assert schedule.finish(0, "q0")
    with pytest.raises(RuntimeError, match="without q1"):
        schedule.chunk(0, 2)


def test_chunks_shrink_towards_the_end() -> None:
    schedule = Schedule(topics(64), 64, 16)
    sizes = []
    while not schedule.done:
        chunk = schedule.chunk(0, 2)
        sizes.append(len(chunk))
        assert all(schedule.finish(0, topic.query.qid) for topic in chunk)
    assert sizes[0] == 16
    assert sizes[-1] == 1
    assert sizes == sorted(sizes, reverse=True)
    assert sum(sizes) == 64
