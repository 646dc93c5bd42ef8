"""Rerankers behind an endpoint that scores a query's passages: /score and /rerank."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any

from e2r.errors import MissingError, UsageError
from e2r.flops.architecture import Architecture
from e2r.models.encoding import Encoder
from e2r.models.server.http import Failed, Post, Server
from e2r.models.server.openai_compatible import architecture_of, entry_of, tokenizer_of
from e2r.models.server.others import Others
from e2r.models.server.scores import SHAPES, Scored, Shape, post_of
from e2r.models.server.word_tokenizer import WordTokenizer
from e2r.prompts.read import Reading
from e2r.prompts.request import Classify, Reply, Request
from e2r.prompts.template import Message, PromptTemplate
from e2r.records.manifest import UNCOUNTED, UNKNOWN, ModelRecord, ServerRecord
from e2r.records.spec import Spec

QUERY, PASSAGES = "rain", ("water falls from clouds", "a chair has four legs")
"""The small question by which an endpoint's shape is found."""


def connect(
    spec: Spec,
    stages: Sequence[tuple[PromptTemplate, Reading]],
    server: Server,
    note: Callable[[str], None],
) -> Reranker:
    """A reranker behind an endpoint that has scored a small list.

    Raises UsageError for methods that ask for more than scores and for an endpoint of no known
    shape, MissingError where it does not answer.
    """
    name = spec.model.source.partition(":")[2]
    if not name:
        raise UsageError("rerank: names no model; give the server's own name, as rerank:ORG/NAME")
    if spec.model.answer_start is not None:
        raise UsageError("--answer-start is for models that write, which a reranker does not")
    for _, reading in stages:
        if reading.template != "pair":
            raise UsageError(
                f"{spec.model.source} gives scores of passages and nothing else; choose "
                "pointwise.cross_encoder"
            )
    encoder, counted_by, config = tokenizer_of(spec.model)
    listed, headers = server.get("models")
    shape, trial = _shape(server, name)
    facts = architecture_of(spec.model, name) or config
    told = trial.tokens is not None
    own = encoder is not None
    priced = facts is not None and (told or own)
    notes = _notes(shape, told=told, own=own, known=facts is not None, name=name)
    if encoder is not None and trial.tokens is not None:
        notes += _disagreement(encoder, trial.tokens)
    record = ModelRecord(
        id=spec.model.source,
        name=Path(name).name if name.startswith("/") else name.replace("/", "--"),
        revision=spec.model.revision,
        dtype=UNKNOWN,
        architecture=facts if priced else None,
        server=ServerRecord(
            base_url=server.base_url,
            reported={} if isinstance(listed, Failed) else entry_of(listed, name),
            software=headers.get("server"),
            answer_start="none",
            counted_by=counted_by if own or told else UNCOUNTED,
            logprobs=None,
            prompt_form=shape.name,
            trial=[list(trial.scores)],
            notes=notes,
        ),
    )
    encoder = encoder or Encoder(WordTokenizer(), decoder_start=None, context=None)
    return Reranker(server, shape, encoder, record, note, own=own, told=told)


class Reranker:
    """Replies to requests for scores by asking an endpoint for a query's passages at once."""

    device = "server"
    encoder_decoder = False

    def __init__(
        self,
        server: Server,
        shape: Shape,
        encoder: Encoder,
        record: ModelRecord,
        note: Callable[[str], None],
        *,
        own: bool,
        told: bool,
    ) -> None:
        self.batch_size = server.concurrency
        self._server = server
        self._shape = shape
        self._encoder = encoder
        self._record = record
        self._own = own
        self._told = told
        self._others = Others(self._name, note)
        self._reads_once = False
        if record.architecture is not None:
            self._reads_once = Architecture.load(record.architecture).mode == "encoder"

    def record(self) -> ModelRecord:
        return self._record

    def prepare(self) -> None:
        """The server has loaded its weights already."""

    def cut(self, text: str, most: int) -> tuple[str, int]:
        return self._encoder.cut(text, most)

    def excess(self, request: Request) -> int:
        """By how many tokens a pair is too long; nothing is known of it by words and marks."""
        return self._encoder.excess(request) if self._own else -1

    def reply(
        self, requests: Sequence[Request], scopes: Sequence[str] | None = None
    ) -> list[Reply]:
        """One reply a request, each query's in one call; seconds are the round's, shared evenly."""
        began = time.perf_counter()
        scopes = scopes or [""] * len(requests)
        pairs = [_pair(request) for request in requests]
        lists = [
            [place for place, _ in group]
            for _, group in groupby(
                enumerate(zip(scopes, pairs, strict=True)),
                key=lambda row: (row[1][0], row[1][1][0]),
            )
        ]
        calls = [
            replace(
                self._post(pairs[places[0]][0], [pairs[i][1] for i in places]),
                query=scopes[places[0]] or None,
            )
            for places in lists
        ]
        answers = self._server.post(calls)
        self._others.hear(each.answered_by for each in answers if isinstance(each, Scored))
        seconds = (time.perf_counter() - began) / max(len(requests), 1)
        replies: dict[int, Reply] = {}
        for places, answer, tries in zip(lists, answers, self._server.tries, strict=True):
            for place, reply in zip(
                places, self._replies([requests[i] for i in places], answer), strict=True
            ):
                replies[place] = replace(
                    reply, seconds=seconds, batch_size=len(places), attempts=tries
                )
        return [replies[place] for place in range(len(requests))]

    @property
    def _name(self) -> str:
        return self._record.id.partition(":")[2]

    def _post(self, query: str, texts: list[str]) -> Post[Scored]:
        """A list's call. A server that has told tokens tells them of each list, or is asked again.

        Without them the calls would be recorded as free.
        """
        post = post_of(self._shape, self._name, query, texts)

        def read(data: dict[str, Any]) -> Scored:
            scored = post.read(data)
            if self._told and not self._own and scored.tokens is None:
                raise ValueError("it says nothing of usage")
            return scored

        return replace(post, read=read)

    def _replies(self, asked: Sequence[Request], answer: Scored | Failed) -> list[Reply]:
        if isinstance(answer, Failed):
            return [Reply(None, error=answer.message) for _ in asked]
        if self._own:
            tokens = [self._encoder.encode(request).length for request in asked]
        else:
            tokens = _shared_out(answer.tokens or 0, len(asked))
        cached = 0 if self._reads_once else None
        return [
            Reply(score, prompt_tokens=each, cached_tokens=cached, head_positions=1)
            for score, each in zip(answer.scores, tokens, strict=True)
        ]


def _pair(request: Request) -> tuple[str, str]:
    """The query and the passage of a request for a score."""
    if not isinstance(request, Classify):
        raise UsageError("an endpoint for scores answers no other question")
    words = {message.role: message for message in request.messages}
    if not {"query", "passage"} <= words.keys():
        raise UsageError(
            "this template writes a prompt, where the endpoint takes the query and the passage as "
            "they are; leave --template out"
        )
    query, passage = (_content(words[role]) for role in ("query", "passage"))
    return query, passage


def _content(message: Message) -> str:
    return message.content


def _shared_out(tokens: int, passages: int) -> list[int]:
    """A whole number of tokens over passages, as evenly as can be."""
    return [tokens // passages + (place < tokens % passages) for place in range(passages)]


def _shape(server: Server, name: str) -> tuple[Shape, Scored]:
    """The first shape in which the server scores the small list, and its scores."""
    said = []
    for shape in SHAPES:
        [answer] = server.post([post_of(shape, name, QUERY, list(PASSAGES))])
        if not isinstance(answer, Failed):
            return shape, answer
        said.append(f"/{shape.path}: {answer.message}")
        if answer.status is not None and answer.status >= 500 and answer.status != 501:
            raise MissingError(
                f"{server.base_url}: does not score a first list ({said[-1]}); look at the "
                "server's log, and start it again"
            )
    raise UsageError(
        f"{server.base_url}: scores no list in a known shape ({'; '.join(said)}); is {name!r} its "
        "model's name, and does --base-url end where /score or /rerank follows? See docs/servers.md"
    )


def _disagreement(encoder: Encoder, told: int) -> list[str]:
    """A note where the server counts other tokens of the small list than the tokenizer makes."""
    asked = [
        Classify((Message("query", QUERY), Message("passage", passage))) for passage in PASSAGES
    ]
    made = sum(encoder.encode(request).length for request in asked)
    if made == told:
        return []
    return [
        f"of a first list the server counts {told} tokens and --tokenizer makes {made}, which are "
        "recorded: is it the served model's, and does the server write a template around the pair?"
    ]


def _notes(shape: Shape, *, told: bool, own: bool, known: bool, name: str) -> list[str]:
    notes = []
    if not shape.raw:
        notes.append(
            "scores are the server's own, most likely after a sigmoid: the order is the model's, "
            "and far from the middle scores may tie"
        )
    if not own:
        notes.append(
            "no tokenizer is at hand: queries and passages are cut by words and marks; pass "
            "--tokenizer FOLDER"
        )
        notes.append(
            "the server tells the tokens of a list alone, which are shared out evenly over its "
            "passages"
            if told
            else "the server tells no tokens and no tokenizer counts them: the run has no price; "
            "pass --tokenizer FOLDER"
        )
    if not known:
        notes.append(
            f"the architecture of {name} is not known, so that its FLOPs, RPP and QPP are unknown; "
            "pass --architecture NAME|config.json"
        )
    return notes
