"""Readings that put a window in order: generated identifiers, or labels sorted by logit."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any, cast

from e2r.errors import UsageError
from e2r.prompts.choices import ask_label_logits
from e2r.prompts.read import Asked, Read, Reading
from e2r.prompts.request import Generate, Labels, Reply, Request
from e2r.prompts.template import LETTERS
from e2r.ranking.plan import Task

THOUGHT = 3072
"""Tokens that ReasonRank may think for and answer in (its authors' setting)."""
TOKENS_PER_IDENTIFIER = 6
"""An identifier with its brackets and its separator takes at most six tokens."""


def _ask_order(asked: Asked) -> Request:
    most = asked.new_tokens or TOKENS_PER_IDENTIFIER * len(asked.task.candidates)
    return Generate(asked.filled.messages, most, asked.filled.answer_start or "")


def read_order(reply: Reply, task: Task, encoder_decoder: bool) -> Read:
    """Identifiers in the order given, without repeats and foreign numbers, then the missing.

    Where any number stands in brackets, as was asked for, those outside of brackets are words.
    """
    text = cast(str, reply.value)
    return order_of(re.findall(r"\[\s*(\d+)\s*\]", text) or re.findall(r"\d+", text), task)


def order_of(digits: list[str], task: Task) -> Read:
    """The candidates that numbers name, in their order, then those that no number names."""
    candidates = task.candidates
    numbers = [int(found) for found in digits if len(found.lstrip("0")) < 7]
    named = dict.fromkeys(n for n in numbers if 1 <= n <= len(candidates))
    rest = [n for n in range(1, len(candidates) + 1) if n not in named]
    if not named:
        return Read(None, parsed=False)
    whole = not rest and len(digits) == len(named)
    return Read(tuple(candidates[n - 1] for n in [*named, *rest]), parsed=whole)


def _ask_thought(asked: Asked) -> Request:
    return Generate(
        asked.filled.messages,
        asked.new_tokens or THOUGHT,
        asked.filled.answer_start or "",
        thinks=True,
    )


def _read_thought(reply: Reply, task: Task, encoder_decoder: bool) -> Read:
    """The order between the answer tags that follow the thought, or in what follows it.

    ReasonRank and Rearank write the tags, Rank-K does not.
    """
    text = cast(str, reply.value)
    tagged = re.findall(r"<answer>(.*?)(?:</answer>|$)", text, re.IGNORECASE | re.DOTALL)
    return read_order(replace(reply, value=tagged[-1] if tagged else text), task, encoder_decoder)


def write_order(answer: Any, task: Task) -> str:
    """The permutation as a model writes it: [2] > [1] > [3]."""
    places = {candidate: place for place, candidate in enumerate(task.candidates, start=1)}
    return " > ".join(f"[{places[candidate]}]" for candidate in answer or task.candidates)


def read_logits(reply: Reply, task: Task, encoder_decoder: bool) -> Read:
    """Candidates by their labels' logits; ties keep the order shown.

    Of two labels that a server does not list, nobody knows which is the likelier: the order is
    then repaired, not read.
    """
    logits = cast("tuple[float, ...]", reply.value)
    places = sorted(range(len(logits)), key=lambda i: (-logits[i], i))
    return Read(tuple(task.candidates[i] for i in places), parsed=reply.unlisted < 2)


def _ask_first_token(asked: Asked) -> Request:
    count = len(asked.task.candidates)
    if count > len(LETTERS):
        raise UsageError(
            f"{count} passages in one prompt, but there are {len(LETTERS)} identifiers (A to Z): "
            "choose a smaller window"
        )
    start = "[" if asked.filled.answer_start is None else asked.filled.answer_start
    return Labels(asked.filled.messages, tuple(LETTERS[:count]), start)


GENERATION = Reading("listwise", _ask_order, read_order, write_order)
LIKELIHOOD = Reading("setwise", ask_label_logits, read_logits)
REASONING = Reading("reasonrank", _ask_thought, _read_thought)
FIRST = Reading("first", _ask_first_token, read_logits)
