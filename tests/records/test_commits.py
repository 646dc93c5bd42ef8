"""Queries are counted once they are on disk, in their order, whatever the disk takes or refuses."""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from typing import Any

import pytest

from e2r.records.commits import AHEAD, Commits
from e2r.records.query import QueryRecord


def query(number: int, status: str = "ok") -> QueryRecord:
    return QueryRecord(f"q{number}", status, 0, 0, 0, 0, 0, 0, 0.0, 1, ())


class Disk:
    """In place of a run folder: takes groups of queries when it is let, and notes them."""

    def __init__(self) -> None:
        self.free, self.busy = threading.Event(), threading.Event()
        self.groups: list[list[str]] = []

    def commit(self, several: Sequence[tuple[QueryRecord, Any]]) -> None:
        self.busy.set()
        self.free.wait()
        if any(record.qid == "q3" and record.status == "ok" for record, _ in several):
            raise OSError("full")
        self.groups.append([record.qid for record, _ in several])

    @property
    def held(self) -> list[str]:
        return [qid for group in self.groups for qid in group]


def test_what_comes_while_the_disk_is_busy_shares_its_next_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("e2r.records.commits.UNHURRIED", math.inf)
    disk, counted = Disk(), list[str]()

    def count(record: QueryRecord) -> None:
        assert record.qid in disk.held, "counted before it is on disk"
        counted.append(record.qid)

    with Commits(disk, count) as commits:  # type: ignore[arg-type]
        commits.add(query(10), ())
        disk.busy.wait()
        for number in range(11, 10 + AHEAD):
            commits.add(query(number), ())
        assert not counted
        disk.free.set()
    assert counted == disk.held == [f"q{number}" for number in range(10, 10 + AHEAD)]
    assert len(disk.groups) == 2


@pytest.mark.parametrize("why", ["alone", "failed", "long in coming"])
def test_a_query_that_failed_ran_alone_or_took_long_is_waited_for(
    why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("e2r.records.commits.UNHURRIED", 0 if why == "long in coming" else math.inf)
    disk, counted = Disk(), list[str]()
    disk.free.set()
    alone = why == "alone"
    with Commits(disk, lambda record: counted.append(record.qid), alone=alone) as commits:  # type: ignore[arg-type]
        for number in range(4, 8):
            commits.add(query(number, "failed" if why == "failed" else "ok"), ())
            assert counted == [f"q{n}" for n in range(4, number + 1)]


def given(disk: Disk, queries: Sequence[QueryRecord], end: BaseException | None) -> list[str]:
    """Commit queries, then end; the ids that were counted."""
    counted = list[str]()
    try:
        with Commits(disk, lambda record: counted.append(record.qid)) as commits:  # type: ignore[arg-type]
            for record in queries:
                commits.add(record, ())
            if end is not None:
                raise end
    except (OSError, KeyboardInterrupt) as error:
        counted.append(type(error).__name__)
    return counted


def test_what_the_disk_refuses_is_raised_and_not_counted() -> None:
    disk = Disk()
    disk.free.set()
    *counted, end = given(disk, [query(1), query(3)], None)
    assert end == "OSError"
    assert counted == disk.held
    assert "q3" not in counted


def test_an_interruption_loses_nothing_that_was_given() -> None:
    disk = Disk()
    disk.free.set()
    *_, end = given(disk, [query(1), query(2)], KeyboardInterrupt())
    assert end == "KeyboardInterrupt"
    assert disk.held == ["q1", "q2"]
