"""A process somewhere on a cluster that holds a model and takes chunks of queries through it."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from e2r.data.collection import CandidateList, Judgments
from e2r.engines.cascade import prompts_of
from e2r.engines.engine import Event, Noted, Replied
from e2r.engines.local import Local
from e2r.errors import DataError, E2RError
from e2r.models import open_answerer
from e2r.models.sampling import Counted
from e2r.prompts.request import Reply
from e2r.records.environment import environment
from e2r.records.manifest import Environment, ModelRecord
from e2r.records.spec import Spec, changed

PAUSE = 0.2
"""Seconds between two messages about replies, which are many and only move a bar."""


@dataclass(frozen=True)
class Expected:
    """What must be the same on every node, as the run's record tells: the model, the prompts."""

    model: ModelRecord
    prompts: dict[str, str]

    def facts(self) -> dict[str, object]:
        """What shapes answers."""
        return {
            "model": self.model.name,
            "revision": self.model.revision,
            "dtype": self.model.dtype,
            "server": self.model.server and self.model.server.facts(),
            "prompts": self.prompts,
        }


class Worker:
    """Opens the model that a spec names, and runs the local engine over what it is sent.

    Errors that the user can mend are returned, as Ray would wrap them in its own. `home` is the
    folder that relative paths of the spec start from.
    """

    def __init__(
        self, spec: Spec, judgments: Judgments | None, expected: Expected, home: str
    ) -> None:
        with suppress(OSError):
            os.chdir(home)
        self._spec = spec
        self._judgments = judgments
        self._expected = expected
        self._notes: list[str] = []

    def place(self) -> None:
        """Answers as soon as the process runs."""

    def open(self) -> Environment | E2RError:
        """Load the model; what this process runs on, or why it cannot work."""
        try:
            answerer = open_answerer(self._spec, self._judgments, self._notes.append)
            here = Expected(answerer.record(), prompts_of(self._spec))
            if here.facts() != self._expected.facts():
                difference = changed(self._expected.facts(), here.facts())
                raise DataError(
                    f"node {socket.gethostname()}: holds another model or prompt than the one of "
                    f"this run; {difference}; bring the same to every node, or pin --revision"
                )
            answerer.prepare()
        except E2RError as error:
            return error
        self._engine = Local(self._spec, answerer)
        return environment(answerer.device)

    def rerank(self, topics: Sequence[CandidateList]) -> Iterator[Event | E2RError]:
        """The local engine's events; replies without what was said, which only plans need."""
        try:
            for event in _gathered(self._engine.rerank(topics)):
                yield from self._noted()
                yield event
        except E2RError as error:
            yield from self._noted()
            yield error

    def _noted(self) -> Iterator[Noted]:
        # A generator, for Ray sends into what it iterates over, which a map does not take.
        for note in self._notes:
            yield Noted(note)
        self._notes.clear()

    def counted(self) -> list[Counted] | E2RError:
        """The calls that were sampled here, run once more and counted."""
        try:
            return self._engine.counted()
        except E2RError as error:
            return error


def _gathered(events: Iterable[Event]) -> Iterator[Event]:
    """The events, replies of a short time in one, bare of what the model said."""
    replies: list[Reply] = []
    failed = 0
    told = time.monotonic()
    for event in events:
        if isinstance(event, Replied):
            replies += (replace(reply, value=None) for reply in event.replies)
            failed += event.failed
            if time.monotonic() - told < PAUSE:
                continue
        if replies or failed:
            yield Replied(tuple(replies), failed=failed)
            replies.clear()
            failed = 0
            told = time.monotonic()
        if not isinstance(event, Replied):
            yield event
    if replies or failed:
        yield Replied(tuple(replies), failed=failed)
