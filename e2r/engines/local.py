"""The engine of one process: all queries under way in lockstep, sharing batches of one model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from types import TracebackType
from typing import Any, Self

from e2r.data.collection import CandidateList, Judgments
from e2r.engines.cascade import stages_of
from e2r.engines.engine import Event, Finished
from e2r.engines.purse import Purse
from e2r.engines.query import answer, rerank_query
from e2r.models.answerer import Answered, Answerer
from e2r.models.prompted import Prompted
from e2r.models.sampling import Counted
from e2r.prompts.reading import READINGS
from e2r.ranking.plan import together
from e2r.records.manifest import WorkerRecord
from e2r.records.spec import Spec


class Local:
    """Drives the plans of many queries together, as many as fill the batches of its answerer."""

    def __init__(self, spec: Spec, answerer: Answerer, judgments: Judgments | None = None) -> None:
        self._stages = stages_of(spec)
        self._alone = spec.execution.latency
        self._answerer = answerer

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Nothing is held that does not go with the process."""

    def prepare(self, queries: int) -> None:
        self._answerer.prepare()

    def rerank(self, topics: Iterable[CandidateList]) -> Iterator[Event]:
        """Queries that finish in a round come out before the model is asked again."""
        if not any(stage.method.prompted_as in READINGS for stage in self._stages):
            # Nothing is asked: there is no round before which the others would have to begin.
            for topic in topics:
                yield from self._driven([topic])
        else:
            yield from self._driven(topics)

    def _driven(self, topics: Iterable[CandidateList]) -> Iterator[Event]:
        ended: list[Finished] = []
        plan = together(
            (
                rerank_query(topic, self._stages, ended.append, alone=self._alone)
                for topic in topics
            ),
            at_least=1 if self._alone else self._answerer.batch_size,
        )
        asked: Sequence[Any] | None = ()
        answers: list[Answered] | None = None
        while asked is not None:
            try:
                asked = next(plan) if answers is None else plan.send(answers)
            except StopIteration:
                asked = None
            except BaseException:
                yield from ended
                raise
            yield from ended
            ended.clear()
            if asked is not None:
                answers = yield from answer(self._answerer, asked)

    def counted(self) -> list[Counted]:
        return self._answerer.counted() if isinstance(self._answerer, Prompted | Purse) else []

    def workers(self) -> list[WorkerRecord]:
        return []
