"""What one process counts: passes told by the hooks, attributed to queries, joined into calls."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from contextvars import ContextVar
from multiprocessing import parent_process
from multiprocessing.util import Finalize, register_after_fork
from typing import Any
from weakref import WeakSet

from e2r.meter import http, vllm
from e2r.meter.answers import Answer
from e2r.meter.arrivals import Arrivals
from e2r.meter.calls import Calls
from e2r.meter.hooks import Hooks
from e2r.meter.models import Models
from e2r.meter.passes import arguments, cache_of, decoder_pass, pair_pass
from e2r.meter.sheet import MISSING, UNSEEN, UNSURE, Sheet
from e2r.meter.topics import Topics
from e2r.meter.unseen import unseen

QUERY: ContextVar[str] = ContextVar("e2r_meter_query", default="")
LIVE: WeakSet[Counter] = WeakSet()
"""Every counter of this process: a fork copies what they hold open."""


class Counter:
    """Counts what a process asks of models into a sheet, until it is closed."""

    def __init__(self, sheet: Sheet, topics: Topics | None = None) -> None:
        self._sheet = sheet
        self._topics = topics
        self._said: dict[tuple[str, str], int] = {}
        self._noted: set[tuple[str, str]] = set()
        self._queries: list[str] = []
        self._guard = threading.RLock()
        self._models = Models(sheet, self.note)
        self._calls = Calls(sheet, self.note)
        self._hooks = Hooks(
            self._passed, self._failed, self._layer_alone, self._compiled, self._query
        )
        self._ends: list[Callable[[], None]] = []
        self._arrivals: Arrivals | None = None

    def start(self) -> None:
        """Begin to watch the libraries that are loaded, and others as soon as they are."""
        self._arrivals = Arrivals(
            {
                "transformers.modeling_utils": self._hooks.start,
                "torch._dynamo.callback": self._hooks.watch_compiler,
                "httpx": lambda: self._watch_http("httpx"),
                "httpx2": lambda: self._watch_http("httpx2"),
                "vllm.entrypoints.llm": self._watch_vllm,
            },
            self.missing,
        )
        LIVE.add(self)
        # Children of multiprocessing leave without atexit, and forget what was to do at the end.
        register_after_fork(self, Counter._close_at_end)
        if parent_process() is not None:
            self._close_at_end()

    def close(self) -> None:
        """Write what is still open, and count no more."""
        if self._arrivals is None:
            return
        self._arrivals.close()
        self._arrivals = None
        self._hooks.stop()
        for end in self._ends:
            end()
        try:
            self._calls.finish()
        except OSError as error:
            self.missing(f"the last calls are not counted ({error.strerror})")
        for text in unseen():
            self._sheet.note(UNSEEN, text)
        with self._guard:
            said, self._said = self._said, {}
        for (kind, text), count in said.items():
            left = count - ((kind, text) in self._noted)
            if left:
                self._sheet.note(kind, text, left)

    def drain(self) -> None:
        """Write what has ended."""
        self._hooks.drain()
        self._calls.drain()

    def enter(self, qid: str) -> None:
        """Calls belong to this query from now on."""
        with self._guard:
            self._queries.append(qid)

    def leave(self, qid: str) -> None:
        """This query has ended."""
        with self._guard:
            self._queries.remove(qid)

    def note(self, text: str) -> None:
        """Say once what makes a price unsure; how often stands behind it at the end."""
        self._say(UNSURE, text)

    def missing(self, text: str) -> None:
        """Say once what was computed and is in no row."""
        self._say(MISSING, text)

    def _say(self, kind: str, text: str) -> None:
        with self._guard:
            times = self._said[kind, text] = self._said.get((kind, text), 0) + 1
        if times == 1:
            # At once, so that it is there if the program dies. A full disk must not end it.
            with suppress(OSError):
                self._sheet.note(kind, text)
                self._noted.add((kind, text))

    def _query(self) -> str:
        qid = QUERY.get()
        if qid:
            return qid
        # A thread that the program started knows no context; one open query is everybody's.
        with self._guard:
            there = set(self._queries)
        return next(iter(there)) if len(there) == 1 else ""

    def _passed(
        self, module: Any, args: Any, kwargs: Mapping[str, Any], output: Any, query: str
    ) -> None:
        try:
            self._count(module, args, kwargs, output, query)
        except Exception as error:
            # The program must not fail because it is watched.
            kind = type(module).__name__
            self.missing(f"a pass of {kind} is not counted ({type(error).__name__}: {error})")

    def _count(
        self, module: Any, args: Any, kwargs: Mapping[str, Any], output: Any, query: str
    ) -> None:
        model = self._models.of(module)
        given = arguments(module, args, kwargs)
        kept = cache_of(given)
        length = None if kept is None else self._calls.length(kept)
        read = pair_pass if model.mode == "decoder" else decoder_pass
        made = read(module, given, output, length)
        qids = self._attributed(module, made.ids, made.rows, query)
        states = getattr(output, "last_hidden_state", None)
        if model.mode == "encoder" and not model.generates and states is not None:
            self._calls.encoder(model, made, states, qids)
        else:
            self._calls.add(model, made, qids)

    def _attributed(self, module: Any, ids: Any, rows: int, qid: str) -> Sequence[str]:
        if qid or self._topics is None or ids is None or ids.shape[1] == 1:
            return [qid] * rows
        return self._topics.of(module, ids, self.note)

    def _watch_http(self, library: str) -> None:
        self._ends.append(http.watch(library, self._answered, self.note, self.missing))

    def _watch_vllm(self) -> None:
        self._ends.append(vllm.watch(self._sheet, self._answered, self.note, self.missing))

    def _answered(self, answer: Answer) -> None:
        qid = answer.qid or self._query()
        if not qid and self._topics is not None:
            qid = self._topics.asked(answer.prompt, self.note)
        self._sheet.write([answer.row(qid)])

    def _failed(self, module: Any) -> None:
        self.missing(f"a pass of {type(module).__name__} raised an error and is not counted")

    def _layer_alone(self, module: Any) -> None:
        kind = type(module).__name__
        self.missing(f"a {kind} outside of a transformers model's own pass is not counted")

    def _compiled(self) -> None:
        self.missing(
            "torch.compile made code that calls no hooks, as model.compile() does: passes inside "
            "of it are not counted"
        )

    def forked(self) -> None:
        """The child of a fork: what is open is its parent's to write."""
        self._guard = threading.RLock()
        self._said, self._noted = {}, set()
        self._calls.forget()

    def _close_at_end(self) -> None:
        Finalize(None, self.close, exitpriority=0)


def _forked() -> None:
    for counter in LIVE:
        counter.forked()


os.register_at_fork(after_in_child=_forked)
