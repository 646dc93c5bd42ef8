"""The library form: `with e2r.meter("calls.csv") as meter`, for notebooks and services."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from e2r.errors import UsageError
from e2r.meter.counter import QUERY, Counter
from e2r.meter.pricing import Total, total
from e2r.meter.sheet import MISSING, UNSURE, Sheet
from e2r.meter.topics import Topics


class Meter:
    """Counts what models compute in this process, from entering to leaving; see docs/meter.md.

    `out` is the usage CSV to make; models' facts and notes go into a folder beside it. `topics`,
    {qid: text}, attributes calls to the query whose text stands in the prompt, where
    `query` does not say it. Raises UsageError where `out` is there, and MissingError without torch
    and transformers.
    """

    def __init__(
        self, out: str | os.PathLike[str], *, topics: Mapping[str, str] | None = None
    ) -> None:
        self._out = Path(out)
        self._topics = None if topics is None else Topics(topics)
        self._counter: Counter | None = None
        self._sheet: Sheet | None = None

    def __enter__(self) -> Self:
        if self._counter is not None:
            raise UsageError("this meter has been used; make another, with a file of its own")
        self._sheet = Sheet.begin(self._out)
        self._counter = Counter(self._sheet, self._topics)
        self._counter.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._counter is not None:
            self._counter.close()

    @contextmanager
    def query(self, qid: str) -> Iterator[None]:
        """Calls made inside belong to this query. Raises UsageError for an empty qid."""
        if self._counter is None:
            raise UsageError("the meter is not running; enter it with `with` first")
        if not qid.strip():
            raise UsageError("a query needs a qid to belong to; an empty one names none")
        before = QUERY.set(qid)
        self._counter.enter(qid)
        try:
            yield
        finally:
            self._counter.leave(qid)
            QUERY.reset(before)

    def total(self, convention: str = "ideal") -> Total:
        """Everything counted so far, priced under a convention."""
        if self._sheet is None:
            raise UsageError("the meter has not been entered yet")
        if self._counter is not None:
            self._counter.drain()
        return total(self._sheet, convention)

    @property
    def calls(self) -> int:
        """Calls that have ended: one row of a batch each."""
        return self.total().calls

    @property
    def petaflops(self) -> float | None:
        """PetaFLOPs of all calls under `ideal`; None where the price of one is unknown."""
        return self.total().petaflops

    def to_pandas(self) -> Any:
        """The rows of the CSV as a DataFrame, with integer `flops` under `ideal`."""
        from e2r.meter.pricing import frame

        if self._counter is not None:
            self._counter.drain()
        return frame(self._out, "ideal")

    @property
    def uncounted(self) -> Mapping[str, int]:
        """What is in no row or makes a price unsure, with the number of times."""
        found: dict[str, int] = {}
        for kind, text, count in () if self._sheet is None else self._sheet.notes():
            if kind in (MISSING, UNSURE):
                found[text] = found.get(text, 0) + count
        return found
