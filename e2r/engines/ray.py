"""The engine of a Ray cluster: a driver that hands queries to workers and hears of their ends."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import ray
from ray.exceptions import RayError, RayTaskError

from e2r.borders.trust import is_trusted, remember
from e2r.data.collection import CandidateList, Judgments
from e2r.engines.cascade import prompts_of, vouched
from e2r.engines.cluster import connect, free, nodes, reason, refuse_client
from e2r.engines.crew import crew_of, describe, shares
from e2r.engines.engine import Event, Finished, Noted
from e2r.engines.query import failed_query
from e2r.engines.schedule import STRIKES, Schedule
from e2r.engines.worker import Expected, Worker
from e2r.errors import E2RError, MissingError, UsageError
from e2r.models import NOT_HERE
from e2r.models.answerer import Answerer
from e2r.models.sampling import Counted
from e2r.records.manifest import Environment, WorkerRecord
from e2r.records.spec import RaySpec, Spec

PATIENCE = 120.0
"""Seconds to wait for a worker while there is none: others may hold the cluster, for ever."""
STARTS = 3
"""Workers lost in a row before they could open their model, until no other is asked for."""


@dataclass
class Hired:
    """A worker as the driver sees it: `asked` is what it owes, by `state`.

    `share` is how many of its calls are to be counted at the end.
    """

    number: int
    actor: Any
    share: int
    asked: Any
    state: Literal["placing", "opening", "free", "busy", "lost"] = "placing"
    environment: Environment | None = None
    queries: int = 0


def _refuse_untyped(asked: RaySpec) -> None:
    """Raise UsageError for a cluster that a file alone names: it is sent code and data to run."""
    if asked.address is None:
        return
    if asked.home is None:
        remember("cluster", asked.address)
    elif not is_trusted("cluster", asked.address):
        raise UsageError(
            f"the spec joins the Ray cluster at {asked.address}, which nobody typed on this "
            f"machine; if that is meant, add: --engine ray --address {asked.address}"
        )


class Ray:
    """Starts or joins a cluster, and lets go of it however the run ends.

    Raises UsageError for an address or a device that cannot be.
    """

    def __init__(self, spec: Spec, answerer: Answerer, judgments: Judgments | None) -> None:
        device = spec.execution.device
        if ":" in device:
            raise UsageError(
                f"--device {device}: a worker sees the GPUs that it is given, and no others; pass "
                f"--device {device.partition(':')[0]}"
            )
        self._spec = spec
        self._asked = spec.execution.ray or RaySpec()
        refuse_client(self._asked.address)
        _refuse_untyped(self._asked)
        self._expected = Expected(answerer.record(), prompts_of(spec))
        # Only the oracle answers from judgments; nobody else needs to be sent them.
        self._judgments = judgments if spec.model.source == "oracle" else None
        self._most = 1 if spec.execution.latency else 2 * answerer.batch_size
        self._hired: list[Hired] = []
        self._connected = False
        self._failed_starts = 0
        self._since = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for worker in self._hired:
            self._dismiss(worker)
        if self._connected:
            ray.shutdown()

    def prepare(self, queries: int) -> None:
        """Connect, and ask for workers; they open their models while the run goes on."""
        # Where the caller's own program is connected already, its cluster is the one.
        if not ray.is_initialized():
            connect(self._asked.address)
            self._connected = True
        own = self._spec.model.source.partition(":")[0] not in NOT_HERE
        computes = own and self._spec.execution.device != "cpu"
        self._crew = crew_of(self._asked, nodes(), queries, computes=computes)
        if own and self._spec.execution.device == "cuda" and not self._crew.gpus:
            raise UsageError("--device cuda: workers are given no GPU; pass --worker-gpus 1")
        self._worker = ray.remote(Worker).options(
            num_cpus=self._crew.cpus,
            num_gpus=self._crew.gpus,
            max_restarts=0,
            scheduling_strategy="SPREAD",
        )
        self._queries = queries
        self._sent = None if self._judgments is None else ray.put(self._judgments)
        self._since = time.monotonic()
        for share in shares(self._spec.execution.verify_flops, self._crew.workers):
            self._hire(share)

    def rerank(self, topics: Iterable[CandidateList]) -> Iterator[Event]:
        schedule = Schedule(topics, self._queries, self._most)
        while True:
            for worker in self._hired:
                if worker.state == "free" and (
                    chunk := schedule.chunk(worker.number, len(self._alive()))
                ):
                    streamed = worker.actor.rerank.options(num_returns="streaming")
                    worker.asked, worker.state = streamed.remote(chunk), "busy"
            if schedule.done:
                return
            for worker in self._ready():
                yield from self._hear(worker, schedule)

    def counted(self) -> list[Counted]:
        """What workers that are still there have sampled; what a lost one saw is lost."""
        if not self._spec.execution.verify_flops:
            return []
        found: list[Counted] = []
        for asked in [w.actor.counted.remote() for w in self._alive() if w.environment]:
            try:
                told = ray.get(asked)
            except RayTaskError:
                raise
            except RayError:
                continue
            if isinstance(told, E2RError):
                raise told
            found += told
        return found

    def workers(self) -> list[WorkerRecord]:
        return [
            WorkerRecord(environment=w.environment, queries=w.queries, lost=w.state == "lost")
            for w in self._hired
            if w.environment is not None
        ]

    def _alive(self) -> list[Hired]:
        return [worker for worker in self._hired if worker.state != "lost"]

    def _hire(self, share: int) -> None:
        """Ask the cluster for one more worker, wherever there is room."""
        how: dict[str, Any] = {"verify_flops": share}
        if not self._crew.gpus:
            # Ray hides no GPU from a worker that is given none.
            how["device"] = "cpu"
        execution = self._spec.execution.model_copy(update=how)
        spec = vouched(self._spec.model_copy(update={"execution": execution}))
        actor = self._worker.remote(spec, self._sent, self._expected, str(Path.cwd()))
        self._hired.append(Hired(len(self._hired), actor, share, actor.place.remote()))

    def _dismiss(self, worker: Hired) -> None:
        with suppress(RayError):
            ray.kill(worker.actor)

    def _ready(self) -> list[Hired]:
        """The workers that have something to tell, after a second at the latest."""
        owing = {worker.asked: worker for worker in self._alive() if worker.state != "free"}
        waited = list(owing)
        if not ray.wait(waited, num_returns=1, timeout=1)[0]:
            self._refuse_endless_waiting()
            return []
        return [owing[asked] for asked in ray.wait(waited, num_returns=len(waited), timeout=0)[0]]

    def _refuse_endless_waiting(self) -> None:
        placed = any(worker.state != "placing" for worker in self._alive())
        if not placed and time.monotonic() - self._since > PATIENCE:
            raise MissingError(
                f"the cluster has given no worker in {PATIENCE:g} seconds; asked for {self._crew}, "
                f"it has {describe(nodes())}, of which {free()} are free; wait for others to "
                "finish, or ask for less"
            )

    def _hear(self, worker: Hired, schedule: Schedule) -> Iterator[Event]:
        """What a worker that is ready tells."""
        try:
            told = ray.get(next(worker.asked) if worker.state == "busy" else worker.asked)
        except StopIteration:
            worker.asked, worker.state = None, "free"
            return
        except RayTaskError:
            raise
        except RayError as error:
            yield from self._lose(worker, schedule, error)
            return
        if isinstance(told, E2RError):
            raise told
        if worker.state == "placing":
            self._since = time.monotonic()
            worker.asked, worker.state = worker.actor.open.remote(), "opening"
        elif worker.state == "opening":
            self._failed_starts = 0
            worker.environment, worker.asked, worker.state = told, None, "free"
        elif isinstance(told, Finished):
            if schedule.finish(worker.number, told.record.qid):
                worker.queries += 1
                yield told
        elif isinstance(told, Noted):
            yield Noted(f"worker {worker.number + 1}: {told.text}")
        else:
            yield told

    def _lose(self, worker: Hired, schedule: Schedule, error: RayError) -> Iterator[Event]:
        """Give a worker up, send its queries again, and ask for another in its place."""
        self._dismiss(worker)
        self._failed_starts = 0 if worker.environment else self._failed_starts + 1
        worker.asked, worker.state = None, "lost"
        again, given_up = schedule.lose(worker.number)
        why = reason(error)
        hires = self._failed_starts < STARTS
        self._since = time.monotonic()
        yield Noted(
            f"worker {worker.number + 1} was lost ({why}); {len(again)} queries are sent again"
            f"{', another worker is asked for' if hires else ''}"
        )
        for topic in given_up:
            yield failed_query(topic, f"{STRIKES} workers were lost with it, the last: {why}")
        if hires:
            self._hire(worker.share)
        elif not self._alive():
            raise MissingError(
                f"{STARTS} workers in a row were lost before their model was loaded, the last: "
                f"{why}; give each more memory, or start fewer by --workers"
            )
