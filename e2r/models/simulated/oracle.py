"""The oracle: answers every task from the judgments, for free."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any

from e2r.data.collection import Judgments, judgments_sha256
from e2r.models.answerer import Answered, Question
from e2r.prompts.request import Reply
from e2r.ranking.plan import Attend, Calibrate, Choose, Duel, Order, Prefer, Rate, Score, Select
from e2r.records.manifest import ModelRecord


class Oracle:
    """Prefers the higher grade; between equal grades, the first stage's order.

    With a seed, equal grades are told apart by an order drawn from it: the answers stay
    consistent, but know nothing of the first stage.
    """

    batch_size = 1
    device = "none"

    def __init__(self, judgments: Judgments, seed: int | None = None) -> None:
        self._judgments = judgments
        self._seed = seed

    def record(self) -> ModelRecord:
        return ModelRecord(
            id="oracle",
            name="oracle",
            revision=f"judgments sha256:{judgments_sha256(self._judgments)}",
            dtype="none",
            architecture=None,
        )

    def prepare(self) -> None:
        """Nothing is to be loaded."""

    def answer(self, questions: Sequence[Question]) -> list[Answered]:
        return [Answered(self._answer(question), True, Reply(None)) for question in questions]

    def _answer(self, question: Question) -> Any:
        grades = self._judgments.get(question.topic.query.qid, {})
        candidates = question.topic.candidates

        def place(i: int) -> tuple[int, int, int]:
            docid = candidates[i].docid
            drawn = 0
            if self._seed is not None:
                drawn = zlib.crc32(f"{self._seed}\n{question.topic.query.qid}\n{docid}".encode())
            return (-grades.get(docid, 0), drawn, i)

        match question.task:
            case Score(candidate=i):
                return float(-place(i)[0])
            case Prefer(candidate=i, over=j):
                return place(i) < place(j)
            case Choose(candidates=several):
                return min(several, key=place, default=None)
            case Order(candidates=several):
                return tuple(sorted(several, key=place))
            case Rate(candidates=several):
                return tuple(float(-place(i)[0]) for i in several)
            case Duel(candidate=i, over=j):
                return 1.0 if place(i) < place(j) else 0.0
            case Select(candidates=several, count=count):
                return tuple(sorted(several, key=place)[:count])
            case Attend(candidates=several):
                return tuple((float(-place(i)[0]),) for i in several)
            case Calibrate(candidates=several):
                return tuple((0.0,) for _ in several)
