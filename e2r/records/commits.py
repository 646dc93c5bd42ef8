"""Puts finished queries on disk while the next ones are asked, in order, and counts them then."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

from e2r.errors import IncompleteError
from e2r.records.folder import RunFolder
from e2r.records.ledger import Call
from e2r.records.query import QueryRecord

AHEAD = 16
"""Queries that may wait for the disk; a disk takes several in about the time of one."""
UNHURRIED = 0.1
"""Seconds between two queries from which on each is waited for: the disk is then no burden."""


class Commits:
    """Commits what it is given in a thread of its own; `count` hears of it in the caller's.

    A query is counted once it is on disk, never before. What fails there is raised by the next
    call. With `alone`, each is waited for, as is one that failed or was long in coming. All that
    was given is committed when the context ends, also by an error.
    """

    def __init__(
        self, folder: RunFolder, count: Callable[[QueryRecord], None], *, alone: bool = False
    ) -> None:
        self._folder, self._count = folder, count
        self._ahead = 0 if alone else AHEAD
        self._changed = threading.Condition()
        self._waiting: list[tuple[QueryRecord, Sequence[Call]]] = []
        self._done: list[QueryRecord] = []
        self._error: BaseException | None = None
        self._closed = False
        self._last = time.monotonic()
        self._thread = threading.Thread(target=self._work, name="e2r-commits", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                self._wait(0)
        finally:
            with self._changed:
                self._closed = True
                self._changed.notify_all()
            self._thread.join()

    def add(self, record: QueryRecord, calls: Sequence[Call]) -> None:
        """Commit a query soon, and count those that have been."""
        with self._changed:
            self._waiting.append((record, calls))
            self._changed.notify_all()
        before, self._last = self._last, time.monotonic()
        hurried = record.status == "ok" and self._last - before < UNHURRIED
        self._wait(self._ahead if hurried else 0)

    def _wait(self, most: int) -> None:
        """Until no more than so many are under way. Raises what committing one has raised."""
        with self._changed:
            self._changed.wait_for(lambda: self._error or len(self._waiting) <= most)
            done, self._done = self._done, []
        for record in done:
            self._count(record)
        if self._error is not None:
            raise self._error

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closed)
                group = self._waiting[:]
            if not group:
                return
            try:
                self._folder.commit(group)
            except BaseException as error:
                with self._changed:
                    self._error = error
                    self._changed.notify_all()
                return
            with self._changed:
                del self._waiting[: len(group)]
                self._done += [record for record, _ in group]
                self._changed.notify_all()


class FailureLimit:
    """Counts what is on disk; stops a run in which `most` have failed, None lets all of them."""

    def __init__(
        self,
        folder: RunFolder,
        most: int | None,
        queries: int,
        tell: Callable[[QueryRecord], None],
    ) -> None:
        self._folder, self._most, self._queries, self._tell = folder, most, queries, tell
        self.failed = 0

    def count(self, record: QueryRecord) -> None:
        """Raises IncompleteError at the failure that is one too many to go on."""
        self._tell(record)
        self.failed += record.status != "ok"
        if record.status != "ok" and self.failed == self._most:
            raise IncompleteError(
                f"{self._folder.path}: stopped by --max-failures, {self.failed} queries failed, "
                f"the last is {record.qid} ({record.error}); "
                f"{self._folder.how_much_is_missing(self._queries)}"
            )
