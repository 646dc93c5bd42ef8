"""Counts what a model would be shown and would say, while someone else answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Protocol

from e2r.errors import UsageError
from e2r.models.answerer import Answered, Answerer, LanguageModel, Question
from e2r.models.encoding import Encoder
from e2r.models.prompted import Prompted, TooLong
from e2r.models.reuse import Reuse, Share
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

    def shareable(self, request: Request) -> tuple[tuple[int, ...], int] | None:
        """Tokens that may begin as others of the query do, and how many are needed anyway."""
        ...


class Counting:
    """Answers as `answers` does, at the price of `model`; `reuse` as a run with that option."""

    batch_size = 1
    device = "none"

    def __init__(
        self,
        model: Counter,
        stages: Sequence[tuple[PromptTemplate, Reading]],
        prompt: PromptSpec,
        answers: Answerer,
        *,
        reuse: bool = False,
        thinking: bool = False,
    ) -> None:
        self._model = model
        self._stages = stages
        self._answers = answers
        self._reuse = Reuse(1) if reuse else None
        self._prompted = Prompted(
            model,
            stages,
            query_tokens=prompt.query_tokens,
            passage_tokens=prompt.passage_tokens,
            answer_tokens=prompt.answer_tokens,
            thinking=thinking,
        )

    def record(self) -> ModelRecord:
        return self._model.record()

    def prepare(self) -> None:
        """No weights are loaded."""

    def answer(self, questions: Sequence[Question]) -> list[Answered]:
        """One query's answers, with the tokens that the model would have been paid for."""
        answers = self._answers.answer(questions)
        prepared = [self._prompted.request_of(question) for question in questions]
        counts: dict[Request, Reply] = {}
        for question, answered, (request, _) in zip(questions, answers, prepared, strict=True):
            if not isinstance(request, TooLong):
                counts[request] = self._count(question, answered, request)

        def compute(requests: Sequence[Request], shares: Sequence[Share]) -> list[Reply]:
            return [
                replace(counts[request], cached_tokens=share.cached_tokens)
                if share.prefix is not None
                else counts[request]
                for request, share in zip(requests, shares, strict=True)
            ]

        asked = [request for request, _ in prepared if not isinstance(request, TooLong)]
        if self._reuse is None:
            replies = iter([counts[request] for request in asked])
        else:
            scopes = [questions[0].topic.query.qid] * len(asked) if questions else []
            replies = iter(self._reuse.reply(asked, scopes, self._model.shareable, compute))
        return [
            Answered(None, False, Reply(None), truncated, str(request))
            if isinstance(request, TooLong)
            else replace(answered, reply=next(replies), truncated=truncated)
            for answered, (request, truncated) in zip(answers, prepared, strict=True)
        ]

    def _count(self, question: Question, answered: Answered, request: Request) -> Reply:
        write = self._stages[question.stage][1].write
        thought = getattr(request, "thinks", False)
        text = write(answered.answer, question.task) if write and not thought else None
        # The calibration's query is the shorter one, and is run second, over cached documents.
        shares = isinstance(question.task, Calibrate)
        return self._model.count(request, text, shares=shares)


class TokenCounter:
    """Counts the tokens of requests by a tokenizer alone; it cannot answer any."""

    batch_size = 1
    device = "none"

    def __init__(
        self, record: ModelRecord, tokenizer: Any, *, encoder_decoder: bool, context: int | None
    ) -> None:
        self.encoder_decoder = encoder_decoder
        self._record = record
        start = 0 if encoder_decoder else None
        self._encoder = Encoder(tokenizer, decoder_start=start, context=context)

    def record(self) -> ModelRecord:
        return self._record

    def prepare(self) -> None:
        """There is nothing to load."""

    def cut(self, text: str, most: int) -> tuple[str, int]:
        return self._encoder.cut(text, most)

    def excess(self, request: Request) -> int:
        return self._encoder.excess(request)

    def shareable(self, request: Request) -> tuple[tuple[int, ...], int] | None:
        return self._encoder.shareable(request)

    def count(self, request: Request, text: str | None, *, shares: bool) -> Reply:
        return self._encoder.count(request, text, shares=shares)

    def reply(
        self, requests: Sequence[Request], scopes: Sequence[str] | None = None
    ) -> list[Reply]:
        raise UsageError("a tokenizer counts tokens, but answers nothing")
