"""Passes → calls: a prefill and the one-token steps over its cache are one call for each row."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from weakref import ref

from e2r.meter.models import Model
from e2r.meter.passes import Amounts, Pass, listed
from e2r.meter.sheet import Row, Sheet


@dataclass
class Batch:
    """The calls of one batch that still go on: a first pass, and the steps after it."""

    model: Model
    qids: Sequence[str]
    first: Pass
    source: Amounts
    length: int
    reasons: tuple[str, ...]
    steps: int = 0
    written: Amounts = 0
    watch: Any = None

    def step(self, made: Pass) -> None:
        """One more token a row; rows that have ended only keep the others company."""
        self.steps += 1
        self.length += 1
        self.written = self.written + made.awake

    def continues(self, model: Model, made: Pass) -> bool:
        """Whether a pass is the next one-token step of these calls."""
        return (
            model is self.model
            and model.generates
            and made.width == 1
            and made.rows == self.first.rows
            and made.past == self.length
            and made.head in (1, None)
            and not made.reasons
        )

    def rows(self) -> Iterator[Row]:
        """Each row of the batch as a call."""
        first, rows = self.first, self.first.rows
        pair = self.model.mode == "decoder"
        tokens, begun = listed(first.tokens, rows), listed(first.begun, rows)
        source, written = listed(self.source, rows), listed(self.written, rows)
        awake = listed(first.awake, rows)
        begins = int(first.generating or self.steps > 0)
        head = 1 if first.head is None else first.head
        column = self.model.unpriced if self.reasons else self.model.column
        for qid, total, old, heard, more, up in zip(
            self.qids, tokens, begun, source, written, awake, strict=True
        ):
            fresh = (total - old) * up
            prompt = heard if pair else total
            asked = prompt if fresh > 0 else 0
            real = fresh + more + (heard if pair else 0)
            computed = first.width + self.steps + (first.source if pair else 0)
            yield Row(
                qid=qid,
                model=column,
                prompt_tokens=asked,
                cached_tokens=old if asked and not pair else 0,
                decoder_prompt_tokens=fresh if asked and pair else 0,
                generated_tokens=more + begins if asked else 0,
                head_positions=min(head, fresh) if asked else 0,
                padded_tokens=max(computed - real, 0),
                batch_size=rows,
                computed_prompt_tokens=first.source if pair else first.past + first.width,
                computed_cached_tokens=0 if pair else first.past,
                computed_decoder_prompt_tokens=first.width if pair else 0,
                computed_generated_tokens=self.steps + begins,
                computed_head_positions=head,
            )


@dataclass
class Encoded:
    """What an encoder ran by itself, until a decoder reads it."""

    model: Model
    qids: Sequence[str]
    made: Pass
    watch: Any


class Calls:
    """Joins passes into calls and writes each when its cache is gone.

    A weak reference tells when that is. The collector may run it in any thread and at any moment,
    also in the middle of this class's own work: it then leaves a word, which is acted on later.
    """

    def __init__(self, sheet: Sheet, note: Callable[[str], None]) -> None:
        self._sheet = sheet
        self._note = note
        self._lock = threading.RLock()
        self._busy = False
        self._open: dict[int, Batch] = {}
        self._encoded: dict[int, Encoded] = {}
        self._gone: deque[tuple[dict[int, Any], int, Any]] = deque()

    def length(self, kept: Any) -> int | None:
        """Positions in a cache, where every pass over it was seen."""
        batch = self._open.get(id(kept))
        return None if batch is None or batch.watch() is not kept else batch.length

    def encoder(self, model: Model, made: Pass, states: Any, qids: Sequence[str]) -> None:
        """An encoder's own pass, whose decoder may follow."""
        with self._working():
            watch = self._watched(self._encoded, states)
            self._encoded[id(states)] = Encoded(model, qids, made.without_tensors(), watch)

    def add(self, model: Model, made: Pass, qids: Sequence[str]) -> None:
        """A pass: the next step of calls that go on, or the first of new ones."""
        with self._working():
            batch = self._open.get(id(made.cache))
            if batch is not None and batch.watch() is made.cache:
                if batch.continues(model, made):
                    batch.step(made)
                    return
                self._close([self._open.pop(id(made.cache))])
                qids = [new or old for new, old in zip(qids, batch.qids, strict=False)] or qids
            self._begin(model, made, qids)

    def _begin(self, model: Model, made: Pass, qids: Sequence[str]) -> None:
        source, reasons = made.spoken, list(made.reasons)
        if model.reason is not None:
            reasons.append(model.reason)
        elif model.generates and made.head is None:
            reasons.append(f"{model.name} gave no logits that tell what its head read")
        if model.mode == "decoder":
            if made.past:
                reasons.append(f"{model.name} went on with more than a token over a cache")
            if made.encoded is not None:
                run = self._encoded.pop(id(made.encoded), None)
                if run is None or run.watch() is not made.encoded:
                    reasons.append(
                        f"{model.name} decoded from states that no watched encoder made for it "
                        "alone (beams, states used twice, fusion in the decoder)"
                    )
                else:
                    source, qids = run.made.tokens, run.qids
        elif model.mode == "encoder" and made.past:
            reasons.append(f"{model.name} is an encoder that was handed a cache")
        for reason in reasons:
            if reason != model.reason:
                self._note(f"{model.name}: no price for calls where {reason}")
        for doubt in made.doubts:
            self._note(f"{model.name}: {doubt}")
        length = made.past + made.width
        batch = Batch(model, qids, made.without_tensors(), source, length, tuple(reasons))
        if made.cache is None or not model.generates or isinstance(made.cache, tuple):
            self._close([batch])
            return
        batch.watch = self._watched(self._open, made.cache)
        self._open[id(made.cache)] = batch

    def drain(self) -> None:
        """Write down the calls whose caches are gone."""
        with self._working():
            pass

    def finish(self) -> None:
        """Write down all that is still open."""
        with self._working():
            left = [*self._open.values(), *map(self._alone, self._encoded.values())]
            self._open.clear()
            self._encoded.clear()
            self._close(left)

    def forget(self) -> None:
        """Leave what is open to the process that this one was forked from."""
        self._lock = threading.RLock()
        self._busy = False
        self._open.clear()
        self._encoded.clear()
        self._gone.clear()

    def _watched(self, where: dict[int, Any], thing: Any) -> Any:
        key = id(thing)

        def gone(watch: Any) -> None:
            self._gone.append((where, key, watch))
            if self._lock.acquire(blocking=False):
                try:
                    if not self._busy:
                        self.drain()
                finally:
                    self._lock.release()

        return ref(thing, gone)

    @contextmanager
    def _working(self) -> Iterator[None]:
        """Alone with the calls; those whose caches are gone are written before and after."""
        with self._lock:
            self._busy = True
            try:
                self._write_gone()
                yield
                self._write_gone()
            finally:
                self._busy = False

    def _write_gone(self) -> None:
        done: list[Batch] = []
        while self._gone:
            where, key, watch = self._gone.popleft()
            # The place may have been taken by a newer object already.
            if key in where and where[key].watch is watch:
                item = where.pop(key)
                done.append(item if isinstance(item, Batch) else self._alone(item))
        self._close(done)

    def _alone(self, run: Encoded) -> Batch:
        reasons = () if run.model.reason is None else (run.model.reason,)
        for reason in reasons:
            self._note(reason)
        return Batch(run.model, run.qids, run.made, 0, run.made.width, reasons)

    def _close(self, batches: Sequence[Batch]) -> None:
        for batch in batches:
            if bool(batch.first.restarts):
                self._note(
                    f"{batch.model.name}: rows that hold several texts are counted as one text, "
                    "so that their price under ideal is a bound from above"
                )
        rows = [row for batch in batches for row in batch.rows()]
        if rows:
            self._sheet.write(rows)
