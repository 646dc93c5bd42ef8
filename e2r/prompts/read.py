"""What a reading is: a method's default template, and the two functions around the model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from e2r.prompts.request import Reply, Request
from e2r.prompts.template import Filled
from e2r.ranking.plan import Task


@dataclass(frozen=True, slots=True)
class Read:
    """An answer for the plan; `parsed` is false where it was missing or had to be repaired."""

    answer: Any
    parsed: bool


@dataclass(frozen=True, slots=True)
class Asked:
    """Everything that a request is made of.

    `passages` are those of the task as they stand in the prompt, already cut. `new_tokens` limits
    what may be generated, or is None for the method's own limit.
    """

    filled: Filled
    query: str
    passages: tuple[str, ...]
    task: Task
    encoder_decoder: bool
    new_tokens: int | None = None


@dataclass(frozen=True)
class Reading:
    """A method's default template, and the two functions around the model.

    `ask(asked)` makes the request, `read(reply, task, encoder_decoder)` the answer. `write(answer,
    task)` is the text that a model would give for an answer; it lets a dry run count tokens.
    """

    template: str
    ask: Callable[[Asked], Request]
    read: Callable[[Reply, Task, bool], Read]
    write: Callable[[Any, Task], str] | None = None
