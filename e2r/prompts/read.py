"""What a reading is: a method's default template, and the functions around the model."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from e2r.prompts.request import Reply, Request
from e2r.prompts.template import Filled
from e2r.prompts.thought import answer_in
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
    """A method's default template, and the functions around the model.

    `ask(asked)` makes the request, `parse(reply, task, encoder_decoder)` the answer of a reply
    whose text holds no thought and whose numbers are finite. `write(answer, task)` is the text
    that a model would give for an answer; it lets a dry run count tokens.
    """

    template: str
    ask: Callable[[Asked], Request]
    parse: Callable[[Reply, Task, bool], Read]
    write: Callable[[Any, Task], str] | None = None

    def read(self, reply: Reply, task: Task, encoder_decoder: bool) -> Read:
        """The answer of a reply.

        No value, a thought that never closes, and numbers that are none (arithmetic that
        overflowed) are failures whatever the method.
        """
        value: Any = reply.value
        if isinstance(value, str):
            value = answer_in(value)
            reply = replace(reply, value=value)
        if value is None or not _finite(value):
            return Read(None, parsed=False)
        return self.parse(reply, task, encoder_decoder)


def _finite(value: Any) -> bool:
    """Whether a text, a number, or numbers in tuples hold no NaN and no infinity."""
    if isinstance(value, tuple):
        return all(_finite(part) for part in value)
    return isinstance(value, str) or math.isfinite(value)
