"""Workers that tests can watch and break; they read and write files in the driver's folder."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from e2r.data.collection import CandidateList
from e2r.engines.engine import Event, Finished
from e2r.engines.local import Local
from e2r.engines.worker import Worker
from e2r.errors import E2RError
from e2r.models.answerer import Answered, Question
from e2r.models.simulated.random import Random
from e2r.records.manifest import Environment


class Watched(Worker):
    """Says by a file of its machine and process what it has to do, and begins only what it may.

    `allow` says how many queries may be begun by all workers together. A query that was begun
    before, by a worker that is lost, may be begun again.
    """

    def rerank(self, topics: Sequence[CandidateList]) -> Iterator[Event | E2RError]:
        mark = Path(f"busy-{socket.gethostname()}-{os.getpid()}")
        left = [topic.query.qid for topic in topics]
        for topic in topics:
            mark.write_text(" ".join(left))
            _begin(topic.query.qid)
            yield from super().rerank([topic])
            left.remove(topic.query.qid)
        mark.write_text("")


def allow(folder: Path, queries: int) -> None:
    """Let Watched workers begin so many queries of a run; they wait with the others."""
    unfinished = folder / "allowed.tmp"
    unfinished.write_text(str(queries))
    unfinished.replace(folder / "allowed")


def _begin(qid: str) -> None:
    begun = Path(f"begun-{qid}")
    while not begun.exists():
        if len(list(Path.cwd().glob("begun-*"))) < int(Path("allowed").read_text()):
            begun.touch()
        else:
            time.sleep(0.01)


class Doomed(Worker):
    """Is killed with a query to do by each file `doom-N`, as soon as N queries were begun by all.

    The worker takes the file and kills itself: one that is killed from outside may have nothing
    to do at that moment, or no successor yet.
    """

    def rerank(self, topics: Sequence[CandidateList]) -> Iterator[Event | E2RError]:
        for topic in topics:
            with Path("begun").open("a") as log:
                log.write(f"{topic.query.qid}\n")
            begun = len(Path("begun").read_text().split())
            for doom in Path.cwd().glob("doom-*"):
                if begun >= int(doom.name.partition("-")[2]):
                    with suppress(FileNotFoundError):  # Another worker has taken it.
                        doom.unlink()
                        os.kill(os.getpid(), signal.SIGKILL)
            yield from super().rerank([topic])


class Patient(Worker):
    """Begins its first chunk when two of its kind have one, so that both surely work."""

    def rerank(self, topics: Sequence[CandidateList]) -> Iterator[Event | E2RError]:
        Path(f"here-{os.getpid()}").touch()
        deadline = time.monotonic() + 600
        while len(list(Path.cwd().glob("here-*"))) < 2:
            assert time.monotonic() < deadline, "the other worker never came"
            time.sleep(0.01)
        yield from super().rerank(topics)


class Poisoned(Worker):
    """Dies of the query that the file `poison` names, each time; others finish before it."""

    def rerank(self, topics: Sequence[CandidateList]) -> Iterator[Event | E2RError]:
        poison = Path("poison").read_text()
        with Path("asked").open("a") as log:
            log.write("".join(f"{topic.query.qid}\n" for topic in topics))
        for topic in topics:
            if topic.query.qid == poison:
                os.kill(os.getpid(), signal.SIGKILL)
            yield from super().rerank([topic])


class Stillborn(Worker):
    """Dies while it loads its model."""

    def open(self) -> Environment | E2RError:
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError


class Broken(Random):
    """Fails on every query."""

    def answer(self, questions: Sequence[Question]) -> list[Answered]:
        raise RuntimeError("out of luck")


class Failing(Worker):
    """Holds a model that is broken."""

    def open(self) -> Environment | E2RError:
        environment = super().open()
        self._engine = Local(self._spec, Broken(7))
        return environment


class Twice(Worker):
    """Tells of each query's end twice."""

    def rerank(self, topics: Sequence[CandidateList]) -> Iterator[Event | E2RError]:
        for event in super().rerank(topics):
            yield event
            if isinstance(event, Finished):
                yield event


class Buggy(Worker):
    """Has a bug that is nobody's but ours."""

    def rerank(self, topics: Sequence[CandidateList]) -> Iterator[Any]:
        yield from ()
        raise ZeroDivisionError("a bug")
