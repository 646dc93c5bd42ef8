"""What an engine is: queries go in, and what happens to them comes out as it happens."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

from e2r.data.collection import CandidateList
from e2r.models.sampling import Counted
from e2r.prompts.request import Reply
from e2r.records.ledger import Call
from e2r.records.manifest import WorkerRecord
from e2r.records.query import QueryRecord


@dataclass(frozen=True, slots=True)
class Finished:
    """A query came to its end, well or not; `calls` are its rows of the ledger."""

    record: QueryRecord
    calls: tuple[Call, ...]


@dataclass(frozen=True, slots=True)
class Replied:
    """The model replied to a batch; `unread` of the replies could not be read, as `example`.

    `failed` requests, repeated ones among them, were sent for calls that got no reply.
    """

    replies: tuple[Reply, ...]
    unread: int = 0
    example: str = ""
    failed: int = 0


@dataclass(frozen=True, slots=True)
class Noted:
    """Something happened that the user should know and the manifest keeps."""

    text: str


Event = Finished | Replied | Noted


class Engine(Protocol):
    """Takes queries through their plans; what it holds is let go when its context ends."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    def prepare(self, queries: int) -> None:
        """Get ready for so many queries. Raises an E2RError where what is needed cannot be had."""
        ...

    def rerank(self, topics: Iterable[CandidateList]) -> Iterator[Event]:
        """Each query's end, in whatever order they come, and what is told on the way.

        Raises an E2RError where it cannot go on; what has come out until then is finished.
        """
        ...

    def counted(self) -> list[Counted]:
        """The calls that were sampled to be counted, none where none were."""
        ...

    def workers(self) -> list[WorkerRecord]:
        """The processes that held a model, where those are others than this one."""
        ...
