"""The random answerer: seeded by query and task, so that no order of calls changes an answer."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from e2r.models.answerer import Answered, Question
from e2r.prompts.request import Reply
from e2r.ranking.plan import Attend, Calibrate, Choose, Duel, Order, Prefer, Rate, Score, Select
from e2r.records.manifest import ModelRecord


class Random:
    """Answers every task by a generator seeded with (seed, query id, task)."""

    batch_size = 1
    device = "none"

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def record(self) -> ModelRecord:
        name = f"random:{self._seed}"
        return ModelRecord(
            id=name, name=f"random-{self._seed}", revision=None, dtype="none", architecture=None
        )

    def prepare(self) -> None:
        """Nothing is to be loaded."""

    def answer(self, questions: Sequence[Question]) -> list[Answered]:
        return [Answered(self._answer(question), True, Reply(None)) for question in questions]

    def _answer(self, question: Question) -> Any:
        task = question.task
        seed = f"{self._seed}\n{question.topic.query.qid}\n{task!r}"
        generator = random.Random(seed)  # noqa: S311 — an experiment, not a secret
        match task:
            case Score() | Duel():
                return generator.random()
            case Prefer():
                return generator.random() < 0.5
            case Choose(candidates=several):
                return generator.choice(several) if several else None
            case Order(candidates=several):
                return tuple(generator.sample(several, len(several)))
            case Rate(candidates=several):
                return tuple(generator.random() for _ in several)
            case Select(candidates=several, count=count):
                return tuple(generator.sample(several, count))
            case Attend(candidates=several) | Calibrate(candidates=several):
                return tuple((generator.random(),) for _ in several)
