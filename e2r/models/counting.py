"""Counts what a model would be shown and would say, while someone else answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from e2r.models.answerer import Answered, Answerer, LanguageModel, Question
from e2r.models.prompted import Prompted, TooLong
from e2r.prompts.read import Reading
from e2r.prompts.request import Reply, Request
from e2r.prompts.template import PromptTemplate
from e2r.ranking.plan import Calibrate
from e2r.records.manifest import ModelRecord
from e2r.records.spec import PromptSpec


class Counter(LanguageModel, Protocol):
    """A language model that can say what a reply would cost without giving it."""

    def count(self, request: Request, text: str | None, *, shares: bool) -> Reply:
        """The tokens of a reply with that text; its value is missing."""
        ...


class Counting:
    """Answers as `answers` does, at the price of `model`."""

    batch_size = 1
    device = "none"

    def __init__(
        self,
        model: Counter,
        stages: Sequence[tuple[PromptTemplate, Reading]],
        prompt: PromptSpec,
        answers: Answerer,
    ) -> None:
        self._model = model
        self._stages = stages
        self._answers = answers
        self._prompted = Prompted(
            model,
            stages,
            query_tokens=prompt.query_tokens,
            passage_tokens=prompt.passage_tokens,
            answer_tokens=prompt.answer_tokens,
        )

    def record(self) -> ModelRecord:
        return self._model.record()

    def prepare(self) -> None:
        """No weights are loaded."""

    def answer(self, questions: Sequence[Question]) -> list[Answered]:
        answers = self._answers.answer(questions)
        return [
            self._counted(question, answered)
            for question, answered in zip(questions, answers, strict=True)
        ]

    def _counted(self, question: Question, answered: Answered) -> Answered:
        request, truncated = self._prompted.request_of(question)
        if isinstance(request, TooLong):
            return Answered(None, False, Reply(None), truncated, str(request))
        write = self._stages[question.stage][1].write
        text = write(answered.answer, question.task) if write else None
        # The calibration's query is the shorter one, and is run second, over cached documents.
        shares = isinstance(question.task, Calibrate)
        reply = self._model.count(request, text, shares=shares)
        return replace(answered, reply=reply, truncated=truncated)
