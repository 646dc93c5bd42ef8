"""Progress of a run on stderr: bars on a terminal, quiet lines otherwise."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

import click

from e2r.borders.showing import bare, shown
from e2r.cli.money import fixed
from e2r.engines.progress import Progress
from e2r.errors import E2RError
from e2r.flops.architecture import Architecture
from e2r.flops.estimate import estimate
from e2r.flops.work import Usage
from e2r.prompts.request import Reply
from e2r.records.manifest import ModelRecord
from e2r.records.query import QueryRecord

MANY = 1000
"""Parts below which reading or merging them takes no time worth a word."""
SILENCE = 5.0
"""Seconds of such work after which a line says how far it is."""


class Lines:
    """A line when the run starts, for each note, for each failed query, and every tenth query."""

    def __init__(self) -> None:
        self.calls = 0
        self.flops = 0
        self.queries = self.finished = self.before = 0
        self.money = ""
        self._told = time.monotonic()
        self._architecture: Architecture | None = None

    def paid(self, spent: Decimal, currency: str) -> None:
        self.money = f", {currency} {fixed(spent, 4)}"

    def started(self, folder: Path, model: ModelRecord, queries: int, finished: int) -> None:
        self._price(model)
        self.queries, self.finished, self.before = queries, finished, finished
        done = f", {finished} finished before" if finished else ""
        click.echo(shown(f"{folder}: {queries} queries{done}"), err=True)

    def _price(self, model: ModelRecord) -> None:
        """Price calls as they come, if the estimator knows the model; the run goes on without."""
        if model.architecture is None:
            return
        try:
            self._architecture = Architecture.load(model.architecture)
        except E2RError as error:
            self.note(f"PetaFLOPs are not shown: {error}")

    def note(self, text: str) -> None:
        click.echo(shown(f"note: {text}"), err=True)

    def waiting(self, text: str) -> None:
        click.echo(shown(f"waiting: {text}"), err=True)

    def working(self, text: str, done: int, count: int | None) -> None:
        """Every tenth of what is many, and whatever takes long since the last line."""
        if count is not None and count < MANY:
            return
        now = time.monotonic()
        tenth = count is not None and done % (count // 10) == 0
        if tenth or now - self._told > SILENCE:
            self._told = now
            of = "" if count is None else f" of {count:,}"
            click.echo(shown(f"{text}: {done:,}{of}"), err=True)

    def answered(self, replies: Sequence[Reply]) -> None:
        self.calls += len(replies)
        if self._architecture is None:
            return
        try:
            self.flops += sum(
                estimate(self._architecture, usage_of(reply), convention="ideal").total
                for reply in replies
                if reply.prompt_tokens
            )
        except (E2RError, ArithmeticError, ValueError, TypeError) as error:
            # What is shown on the way ends no run; the ledger is priced when it is evaluated.
            self._architecture = None
            self.note(f"PetaFLOPs are not shown any more: {error}")

    def query_finished(self, record: QueryRecord) -> None:
        self.finished += 1
        if record.status != "ok":
            click.echo(shown(f"query {record.qid} failed: {record.error}"), err=True)
        if self.finished % 10 == 0 or self.finished == self.queries:
            click.echo(self.summary(), err=True)

    def summary(self) -> str:
        """Queries so far; calls, and PetaFLOPs where they have a price, of this session."""
        before = f" ({self.before} finished before)" if self.before else ""
        return f"{self.finished}/{self.queries} queries{before}, {self.cost()}"

    def cost(self) -> str:
        """Calls of this session, their PetaFLOPs where those are known, and the run's money."""
        if self._architecture is None:
            return f"{self.calls} calls{self.money}"
        return f"{self.calls} calls, {self.flops / 1e15:.6f} PFLOPs{self.money}"


class Bar(Lines):
    """One line that is redrawn: queries, calls, PetaFLOPs so far, time left."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        super().__init__()
        self.bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[told]}"),
            TimeRemainingColumn(),
            console=Console(file=bare(sys.stderr)),
        )
        self._task = self.bar.add_task("loading data and model", total=None, told="")

    def started(self, folder: Path, model: ModelRecord, queries: int, finished: int) -> None:
        self._price(model)
        self.queries, self.finished, self.before = queries, finished, finished
        name = folder.name.partition("--")[0]
        self.bar.update(self._task, description=shown(name), total=queries, completed=finished)
        self._tell()

    def _tell(self) -> None:
        """Queries that have ended of all; where batches hold many, calls say that it goes on."""
        told = f"{self.finished}/{self.queries} queries · {self.cost()}"
        self.bar.update(self._task, completed=self.finished, told=told)

    def note(self, text: str) -> None:
        self.bar.console.print(shown(f"note: {text}"), markup=False)

    def waiting(self, text: str) -> None:
        self.bar.console.print(shown(f"waiting: {text}"), markup=False)

    def working(self, text: str, done: int, count: int | None) -> None:
        if count is None and done and done % MANY == 0:
            self.bar.update(self._task, description=shown(text), total=None, told=f"{done:,}")
        elif count is not None and count >= MANY and done % (count // 100) == 0:
            told = f"{done:,}/{count:,} queries"
            self.bar.update(self._task, description=text, total=count, completed=done, told=told)

    def answered(self, replies: Sequence[Reply]) -> None:
        super().answered(replies)
        self._tell()

    def query_finished(self, record: QueryRecord) -> None:
        self.finished += 1
        if record.status != "ok":
            text = shown(f"query {record.qid} failed: {record.error}")
            self.bar.console.print(text, markup=False)
        self._tell()


def usage_of(reply: Reply) -> Usage:
    """A reply's cost as the estimator takes it."""
    return Usage(
        prompt_tokens=reply.prompt_tokens,
        cached_tokens=reply.cached_tokens or 0,
        decoder_prompt_tokens=reply.decoder_prompt_tokens or None,
        generated_tokens=reply.generated_tokens,
        head_positions=reply.head_positions,
    )


@contextmanager
def progress(*, quiet: bool | None = None) -> Iterator[Progress]:
    """Who is told how a run goes on: `with progress() as bar: run(spec, progress=bar)`.

    A bar on a terminal and in a notebook, lines elsewhere or where `quiet`.
    """
    from rich.console import Console

    if quiet is None:
        quiet = not (sys.stderr.isatty() or Console().is_jupyter)
    if quiet:
        yield Lines()
        return
    bar = Bar()
    with bar.bar:
        yield bar
