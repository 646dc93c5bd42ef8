"""What the runner drives: anything that answers tasks about a query's candidates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from e2r.data.collection import CandidateList
from e2r.prompts.request import Reply, Request
from e2r.ranking.plan import Task
from e2r.records.manifest import ModelRecord


@dataclass(frozen=True, slots=True)
class Question:
    """A plan's task, with the query and candidates that its indices speak of.

    `stage` counts the methods of a cascade from 0.
    """

    topic: CandidateList
    task: Task
    stage: int = 0


@dataclass(frozen=True, slots=True)
class Answered:
    """A task's answer, and the reply that it was read from; `truncated` counts tokens cut away.

    `error` is set where the question could not be answered at all; its query then fails.
    """

    answer: Any
    parsed: bool
    reply: Reply
    truncated: int = 0
    error: str | None = None


class Answerer(Protocol):
    """Answers tasks, whatever it is made of; `device` is where it computes, or none."""

    batch_size: int
    device: str

    def record(self) -> ModelRecord:
        """The facts about this answerer that go into the manifest."""
        ...

    def prepare(self) -> None:
        """Load what answering needs. Raises an E2RError where that cannot be had."""
        ...

    def answer(self, questions: Sequence[Question]) -> list[Answered]:
        """One answer a question, in order."""
        ...


class LanguageModel(Protocol):
    """Replies to requests; counts and cuts tokens as its tokenizer does."""

    batch_size: int
    device: str
    encoder_decoder: bool

    def record(self) -> ModelRecord:
        """The facts about this model that go into the manifest."""
        ...

    def cut(self, text: str, most: int) -> tuple[str, int]:
        """The text's first `most` tokens, and how many tokens that leaves out."""
        ...

    def excess(self, request: Request) -> int:
        """By how many tokens the request is too long for the model's context; ≤ 0 if it fits."""
        ...

    def prepare(self) -> None:
        """Load the weights. Raises an E2RError where that fails."""
        ...

    def reply(
        self, requests: Sequence[Request], scopes: Sequence[str] | None = None
    ) -> list[Reply]:
        """One reply a request, in order.

        `scopes` name the query of each request; what a model may reuse, it reuses within one.
        """
        ...
