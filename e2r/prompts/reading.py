"""How each method asks and reads: task → request, reply → answer or a recorded failure."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

from e2r.errors import UsageError, unknown
from e2r.prompts.request import Generate, Labels, Likelihood, Reply, Request
from e2r.prompts.template import LABELS, Filled
from e2r.ranking.plan import Task


@dataclass(frozen=True, slots=True)
class Read:
    """An answer for the plan; `parsed` is false where it was missing or had to be repaired."""

    answer: Any
    parsed: bool


@dataclass(frozen=True)
class Reading:
    """A method's default template, and the two functions around the model.

    `ask(filled, query, task, encoder_decoder)` makes the request; `read(reply, task)` the answer.
    """

    template: str
    ask: Callable[[Filled, str, Task, bool], Request]
    read: Callable[[Reply, Task], Read]


def _ask_likelihood(filled: Filled, query: str, task: Task, encoder_decoder: bool) -> Request:
    return Likelihood(filled.messages, target=query)


def _read_likelihood(reply: Reply, task: Task) -> Read:
    return _score(cast(float, reply.value))


def _score(value: float) -> Read:
    """A score, or a recorded failure where the model's arithmetic overflowed."""
    return Read(value, parsed=True) if math.isfinite(value) else Read(None, parsed=False)


def _ask_yes_no(filled: Filled, query: str, task: Task, encoder_decoder: bool) -> Request:
    return Labels(filled.messages, ("Yes", "No"), filled.answer_start or "")


def _read_yes_no(reply: Reply, task: Task) -> Read:
    yes, no = cast("tuple[float, float]", reply.value)
    if not (math.isfinite(yes) and math.isfinite(no)):
        return Read(None, parsed=False)
    return _score(1 / (1 + math.exp(min(no - yes, 700.0))))


def _ask_label(filled: Filled, query: str, task: Task, encoder_decoder: bool) -> Request:
    if len(task.candidates) > len(LABELS):
        raise UsageError(
            f"{len(task.candidates)} passages in one prompt, but there are {len(LABELS)} labels "
            "(A to W): choose a smaller set_size"
        )
    new, start = (2, "Passage") if encoder_decoder else (1, " Passage:")
    if filled.answer_start is not None:
        start = filled.answer_start
    return Generate(filled.messages, new, start)


def _read_label(reply: Reply, task: Task) -> Read:
    """The first letter that stands alone, upper or lower case, if it is a label of the prompt."""
    found = re.search(r"(?<![A-Za-z])([A-Za-z])(?![A-Za-z])", cast(str, reply.value))
    place = LABELS.find(found[1].upper()) if found else -1
    if 0 <= place < len(task.candidates):
        return Read(task.candidates[place], parsed=True)
    return Read(None, parsed=False)


# A window's identifiers with brackets and separators take at most six tokens each.
TOKENS_PER_IDENTIFIER = 6


def _ask_order(filled: Filled, query: str, task: Task, encoder_decoder: bool) -> Request:
    most = TOKENS_PER_IDENTIFIER * len(task.candidates)
    return Generate(filled.messages, most, filled.answer_start or "")


def _read_order(reply: Reply, task: Task) -> Read:
    """Identifiers in the order given, without repeats and foreign numbers, then the missing."""
    candidates = task.candidates
    digits = re.findall(r"\d+", cast(str, reply.value))
    numbers = [int(found) for found in digits if len(found) < 7]
    named = dict.fromkeys(n for n in numbers if 1 <= n <= len(candidates))
    rest = [n for n in range(1, len(candidates) + 1) if n not in named]
    if not named:
        return Read(None, parsed=False)
    return Read(
        tuple(candidates[n - 1] for n in [*named, *rest]),
        parsed=len(digits) == len(named) == len(candidates),
    )


READINGS: dict[str, Reading] = {
    "pointwise.qlm": Reading("qlm", _ask_likelihood, _read_likelihood),
    "pointwise.yes_no": Reading("yes_no", _ask_yes_no, _read_yes_no),
    "setwise.heapsort": Reading("setwise", _ask_label, _read_label),
    "listwise.generation": Reading("listwise", _ask_order, _read_order),
}


def reading(method: str) -> Reading:
    """The reading of that method. Raises UsageError for a method that asks no model."""
    if method not in READINGS:
        raise unknown("method that asks a model", method, READINGS)
    return READINGS[method]


def passages_of(task: Task, texts: Sequence[str]) -> list[str]:
    """The texts of the candidates that a task asks about, in prompt order."""
    return [texts[i] for i in task.candidates]
