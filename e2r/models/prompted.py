"""Answers tasks by prompting a language model: cut, fill, ask, read."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from e2r.errors import UsageError
from e2r.models.answerer import Answered, LanguageModel, Question
from e2r.models.sampling import Counted, Sampled
from e2r.prompts.read import Asked, Reading
from e2r.prompts.reading import passages_of
from e2r.prompts.request import Generate, Reason, Reply, Request
from e2r.prompts.scores import query_of
from e2r.prompts.template import PromptTemplate
from e2r.records.manifest import ModelRecord

THOUGHT = 2048
"""Tokens of a thought that --thinking makes room for, unless --answer-tokens says otherwise."""


class TooLong(str):
    """Why a question could not be asked."""


class Prompted:
    """A language model, and for each stage of a cascade its template and its reading."""

    def __init__(
        self,
        model: LanguageModel,
        stages: Sequence[tuple[PromptTemplate, Reading]],
        *,
        query_tokens: int,
        passage_tokens: int,
        answer_tokens: int | None = None,
        thinking: bool = False,
    ) -> None:
        self.batch_size = model.batch_size
        self.device = model.device
        self._model = model
        self._stages = stages
        self._query_tokens = query_tokens
        self._passage_tokens = passage_tokens
        self._answer_tokens = answer_tokens
        self._thinking = thinking
        # A sort asks about the same passage many times; cutting is the harness's main work.
        self._cut = lru_cache(maxsize=1 << 14)(model.cut)

    def record(self) -> ModelRecord:
        return self._model.record()

    def counted(self) -> list[Counted]:
        """The calls that were sampled to be counted, none where none were."""
        return self._model.counted() if isinstance(self._model, Sampled) else []

    def prepare(self) -> None:
        self._model.prepare()

    def answer(self, questions: Sequence[Question]) -> list[Answered]:
        prepared = [self.request_of(question) for question in questions]
        asked, scopes = [], []
        for question, (request, _) in zip(questions, prepared, strict=True):
            if not isinstance(request, TooLong):
                asked.append(request)
                scopes.append(question.topic.query.qid)
        replied = iter(self._model.reply(asked, scopes) if asked else [])
        answered = []
        for question, (request, truncated) in zip(questions, prepared, strict=True):
            if isinstance(request, TooLong):
                answered.append(Answered(None, False, Reply(None), truncated, str(request)))
                continue
            reply = next(replied)
            shown = len(question.task.candidates)
            if self.device == "server" and 0 < reply.prompt_tokens < shown:
                # None at all are those of an answer that was reused, or that nobody counts.
                said = f"the server counts {reply.prompt_tokens} tokens of {shown} passages"
                reply = Reply(None, error=said, attempts=reply.attempts)
            if reply.error is not None:
                answered.append(Answered(None, False, reply, truncated, reply.error))
            else:
                reading = self._stages[question.stage][1]
                read = reading.read(reply, question.task, self._model.encoder_decoder)
                answered.append(Answered(read.answer, read.parsed, reply, truncated))
        return answered

    def request_of(self, question: Question) -> tuple[Request | TooLong, int]:
        """The request and the number of tokens cut away, the passages shortened until it fits.

        Only query and passages are ever cut: the template around them, which ends where the
        answer is read, stays whole. Where no cut makes it fit, the question fails.
        """
        topic, task = question.topic, question.task
        template, reading = self._stages[question.stage]
        encoder_decoder = self._model.encoder_decoder
        query, query_cut = self._cut(query_of(task, topic.query.text), self._query_tokens)
        texts = passages_of(task, [candidate.text for candidate in topic.candidates])
        most = self._passage_tokens
        while True:
            cut = [self._cut(text, most) for text in texts]
            passages = tuple(text for text, _ in cut)
            filled = template.fill(
                query, passages, encoder_decoder=encoder_decoder, count=getattr(task, "count", None)
            )
            request = reading.ask(
                Asked(filled, query, passages, task, encoder_decoder, self._answer_tokens)
            )
            if self._thinking:
                request = self._with_thought(request)
            excess = self._model.excess(request)
            if excess > 0 and most == 1:
                too_long = TooLong(
                    f"a prompt of {len(texts)} passages is {excess} tokens too long for the model "
                    "even with one token a passage; ask about fewer passages at once (--window, "
                    "--set-size) or cut the query (--query-tokens)"
                )
                return too_long, query_cut + sum(dropped for _, dropped in cut)
            if excess <= 0:
                return request, query_cut + sum(dropped for _, dropped in cut)
            most = max(1, most - max(1, -(-excess // max(len(texts), 1))))

    def _with_thought(self, request: Request) -> Request:
        """The same, with room for a thought before the answer, which nothing opens then.

        Raises UsageError for a request whose answer is read at once.
        """
        if isinstance(request, Reason) or (isinstance(request, Generate) and request.thinks):
            return request
        if not isinstance(request, Generate):
            raise UsageError(
                "--thinking is for methods that read text; this one reads the next token's numbers"
            )
        most = request.max_new_tokens + (self._answer_tokens or THOUGHT)
        return Generate(request.messages, most, thinks=True)
