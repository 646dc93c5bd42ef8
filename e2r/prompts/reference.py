"""Readings of ielab/llm-rankers where they differ: stricter parsing, and its faults.

Only what that project does is here; docs/methods.md lists the differences one by one.
"""

from __future__ import annotations

import re
from typing import cast

from e2r.prompts import choices, orders, scores
from e2r.prompts.read import Asked, Read, Reading
from e2r.prompts.request import Generate, Likelihood, Reply, Request
from e2r.ranking.plan import Task

UNSAID_LIMIT = 19
"""New tokens of a T5 that is asked to generate without a limit: 20 with the decoder's start."""


def _ask_shifted(asked: Asked) -> Request:
    """The target begins with a padding token, which the decoder's start precedes once more."""
    if not asked.encoder_decoder:
        return scores.QLM.ask(asked)
    return Likelihood(asked.filled.messages, target=asked.query, padded=True)


def _strict_label(reply: Reply, encoder_decoder: bool) -> str:
    """The last character of everything decoded for T5, else the whole upper-cased completion."""
    text = cast(str, reply.value)
    if encoder_decoder:
        return f"Passage{text}".strip()[-1]
    return text.strip().upper()


def _read_label(reply: Reply, task: Task, encoder_decoder: bool) -> Read:
    label = _strict_label(reply, encoder_decoder)
    return choices.candidate_of(label if len(label) == 1 else None, task)


def _read_preference(reply: Reply, task: Task, encoder_decoder: bool) -> Read:
    text = cast(str, reply.value)
    return choices.preference_of(text.strip() if encoder_decoder else text.strip().upper())


def _ask_order(asked: Asked) -> Request:
    if not asked.encoder_decoder:
        return orders.GENERATION.ask(asked)
    limit = asked.new_tokens or UNSAID_LIMIT
    return Generate(asked.filled.messages, limit, asked.filled.answer_start or "")


def _read_order(reply: Reply, task: Task, encoder_decoder: bool) -> Read:
    """Every number, in brackets or not."""
    return orders.order_of(re.findall(r"\d+", cast(str, reply.value)), task)


LABEL = Reading("setwise", choices.ask_label, _read_label, choices.LABEL.write)

READINGS: dict[str, Reading] = {
    "pointwise.qlm": Reading("qlm", _ask_shifted, scores.read_number),
    "pairwise.allpair": Reading(
        "pairwise", choices.ask_label, _read_preference, choices.PREFERENCE.write
    ),
    "pairwise.heapsort": Reading(
        "pairwise", choices.ask_label, _read_preference, choices.PREFERENCE.write
    ),
    "pairwise.bubblesort": Reading(
        "pairwise", choices.ask_label, _read_preference, choices.PREFERENCE.write
    ),
    "setwise.heapsort": LABEL,
    "setwise.bubblesort": LABEL,
    "listwise.generation": Reading(
        "listwise_llm_rankers", _ask_order, _read_order, orders.write_order
    ),
}
