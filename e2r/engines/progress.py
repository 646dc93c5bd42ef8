"""What is told of a run while it is under way, and to whom."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Protocol

from e2r.prompts.request import Reply
from e2r.records.manifest import ModelRecord
from e2r.records.query import QueryRecord


class Progress(Protocol):
    """Is told what happens while a run is under way."""

    def started(self, folder: Path, model: ModelRecord, queries: int, finished: int) -> None: ...

    def note(self, text: str) -> None: ...

    def waiting(self, text: str) -> None: ...

    def working(self, text: str, done: int, count: int | None) -> None: ...

    def answered(self, replies: Sequence[Reply]) -> None: ...

    def query_finished(self, record: QueryRecord) -> None: ...

    def paid(self, spent: Decimal, currency: str) -> None: ...


class Silent:
    """Progress that tells nobody."""

    def started(self, folder: Path, model: ModelRecord, queries: int, finished: int) -> None:
        pass

    def note(self, text: str) -> None:
        pass

    def waiting(self, text: str) -> None:
        pass

    def working(self, text: str, done: int, count: int | None) -> None:
        pass

    def answered(self, replies: Sequence[Reply]) -> None:
        pass

    def query_finished(self, record: QueryRecord) -> None:
        pass

    def paid(self, spent: Decimal, currency: str) -> None:
        pass
