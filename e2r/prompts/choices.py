"""Readings that name candidates: a label, a preference, several of a group."""

from __future__ import annotations

import re
from typing import Any, cast

from e2r.errors import UsageError
from e2r.prompts.read import Asked, Read, Reading
from e2r.prompts.request import Generate, Labels, Reply, Request
from e2r.prompts.template import LABELS
from e2r.ranking.plan import Prefer, Select, Task

THOUGHT = 2048
"""Tokens that Rank-R1 may think for and answer in (its authors' setting)."""
TOKENS_PER_DOCUMENT = 6
"""`Document 12, ` takes at most six tokens."""


def _labels(task: Task) -> str:
    if len(task.candidates) > len(LABELS):
        raise UsageError(
            f"{len(task.candidates)} passages in one prompt, but there are {len(LABELS)} labels "
            "(A to W): choose a smaller set_size or window"
        )
    return LABELS[: len(task.candidates)]


def _start(asked: Asked) -> str:
    if asked.filled.answer_start is not None:
        return asked.filled.answer_start
    return "Passage" if asked.encoder_decoder else " Passage:"


def ask_label(asked: Asked) -> Request:
    """A label is to be generated; encoder–decoders get a second token for their end."""
    _labels(asked.task)
    return Generate(asked.filled.messages, 2 if asked.encoder_decoder else 1, _start(asked))


_ALONE = re.compile(r"[\W_]*([A-Za-z])[\W_]*")
_FIRST = re.compile(r"[\W_]*([A-HJ-Z])(?:[.,;:)\]}\"'*>]|\s*[-–—]\s|\s+(?:is|was|because|since)\b)")
_NAMED = re.compile(
    r"\b(?i:passage|document|label|answer|option|choice)(?i:\s+(?:is|label))?"
    r"[\s:\"'*_(\[`]*(?:([A-Z])(?![\w'’])|([a-z])(?=[.,;:)\]\"'*_`]|\s*$))"
)
_LONE = re.compile(r"(?<![\w'’.-])(?:([B-HJ-Z])(?![\w'’-])|(A)(?=\s*(?:[.,;:)\]\"'*_]|$)))")


def label_in(text: str, count: int) -> str | None:
    """The label, of the first `count`, that a text chooses; None where it names none or several.

    The whole text may be one letter, or it begins with the label as answers do ("B.", "A is …"),
    or it names just one ("the best is Passage B"). The article "a" and the word "I" are no labels.
    """
    for pattern in (_ALONE.fullmatch, _FIRST.match):
        if found := pattern(text):
            return found[1].upper()
    named = {(upper or lower).upper() for upper, lower in _NAMED.findall(text)}
    named |= {other or a for other, a in _LONE.findall(text)}
    named &= set(LABELS[:count])
    return named.pop() if len(named) == 1 else None


def _label(reply: Reply, task: Task) -> str | None:
    return label_in(cast(str, reply.value), len(task.candidates))


def candidate_of(label: str | None, task: Task) -> Read:
    """The candidate that a label stands for, if it is a label of the prompt."""
    place = LABELS.find(label) if label else -1
    if 0 <= place < len(task.candidates):
        return Read(task.candidates[place], parsed=True)
    return Read(None, parsed=False)


def _read_label(reply: Reply, task: Task, encoder_decoder: bool) -> Read:
    return candidate_of(_label(reply, task), task)


def preference_of(label: str | None) -> Read:
    """Whether the passage shown first is preferred: A says so, B denies it."""
    return Read({"A": True, "B": False}.get(label or ""), parsed=label in ("A", "B"))


def _read_preference(reply: Reply, task: Task, encoder_decoder: bool) -> Read:
    return preference_of(_label(reply, task))


def _write_label(answer: Any, task: Task) -> str:
    if isinstance(task, Prefer):
        return " A" if answer else " B"
    place = task.candidates.index(answer) if answer in task.candidates else 0
    return f" {LABELS[place]}"


def ask_label_logits(asked: Asked) -> Request:
    """The labels' logits at the position where one would be generated."""
    labels = tuple(f" {label}" for label in _labels(asked.task))
    return Labels(asked.filled.messages, labels, _start(asked))


def _read_best_label(reply: Reply, task: Task, encoder_decoder: bool) -> Read:
    logits = cast("tuple[float, ...]", reply.value)
    return Read(task.candidates[max(range(len(logits)), key=lambda i: (logits[i], -i))], True)


def _ask_group(asked: Asked) -> Request:
    count = cast(Select, asked.task).count
    most = asked.new_tokens or TOKENS_PER_DOCUMENT * count
    return Generate(asked.filled.messages, most, asked.filled.answer_start or "")


def _read_group(reply: Reply, task: Task, encoder_decoder: bool) -> Read:
    """The documents of the last line that names any, the first `count` of them."""
    count = cast(Select, task).count
    lines = [line for line in cast(str, reply.value).splitlines() if re.search(r"\d", line)]
    numbers = [int(digits) for digits in re.findall(r"\d{1,6}", lines[-1] if lines else "")]
    named = [n for n in dict.fromkeys(numbers) if 1 <= n <= len(task.candidates)][:count]
    if not named:
        return Read(None, parsed=False)
    return Read(tuple(task.candidates[n - 1] for n in named), parsed=len(named) == count)


def _write_group(answer: Any, task: Task) -> str:
    places = {candidate: place for place, candidate in enumerate(task.candidates, start=1)}
    return ", ".join(f"Document {places[candidate]}" for candidate in answer or ())


def _ask_thought(asked: Asked) -> Request:
    return Generate(
        asked.filled.messages,
        asked.new_tokens or THOUGHT,
        asked.filled.answer_start or "",
        thinks=True,
    )


def _read_thought(reply: Reply, task: Task, encoder_decoder: bool) -> Read:
    """The number between the answer tags that follow the thought."""
    found = re.search(
        r"<answer>\s*\[(\d{1,6})\]\s*</answer>", cast(str, reply.value), re.IGNORECASE
    )
    place = int(found[1]) - 1 if found else -1
    if 0 <= place < len(task.candidates):
        return Read(task.candidates[place], parsed=True)
    return Read(None, parsed=False)


LABEL = Reading("setwise", ask_label, _read_label, _write_label)
LABEL_LIKELIHOOD = Reading("setwise", ask_label_logits, _read_best_label)
PREFERENCE = Reading("pairwise", ask_label, _read_preference, _write_label)
GROUP = Reading("tourrank", _ask_group, _read_group, _write_group)
RANK_R1 = Reading("rank_r1", _ask_thought, _read_thought)
