"""Readings that yield numbers: likelihoods, probabilities of one word against another, logits."""

from __future__ import annotations

import math
from typing import cast

from e2r.prompts.read import Asked, Read, Reading
from e2r.prompts.request import Attention, Classify, Labels, Likelihood, Reason, Reply, Request
from e2r.ranking.plan import Calibrate, Task

NO_QUERY = "N/A"
"""The query without content of in-context reranking (Chen et al., ICLR 2025, Section 3.2)."""
GRADES = ("0", "1", "2", "3", "4")
"""The scale of Zhuang et al. (NAACL 2024), each grade's value being its place."""
THOUGHT = 2000
"""Tokens that Rank1 may think for before its answer (its authors' setting)."""


def _ask_likelihood(asked: Asked) -> Request:
    return Likelihood(asked.filled.messages, target=asked.query)


def read_number(reply: Reply, task: Task, encoder_decoder: bool) -> Read:
    """The float of a reply."""
    return Read(cast(float, reply.value), parsed=True)


def _against(first: str, second: str) -> Reading:
    """Asks for the logits of two words; the template is set by who uses it."""

    def ask(asked: Asked) -> Request:
        return Labels(asked.filled.messages, (first, second), asked.filled.answer_start or "")

    return Reading("", ask, read_probability)


def read_probability(reply: Reply, task: Task, encoder_decoder: bool) -> Read:
    """The softmax of the first of two logits."""
    yes, no = cast("tuple[float, float]", reply.value)
    return Read(1 / (1 + math.exp(min(no - yes, 700.0))), parsed=True)


def _ask_grades(asked: Asked) -> Request:
    return Labels(asked.filled.messages, GRADES, asked.filled.answer_start or "")


def _read_expected(reply: Reply, task: Task, encoder_decoder: bool) -> Read:
    """The mean grade under the softmax of the grades' logits.

    Of two grades that a server does not list, nobody knows which is the likelier: the mean is then
    repaired, not read.
    """
    logits = cast("tuple[float, ...]", reply.value)
    best = max(logits)
    weights = [math.exp(logit - best) for logit in logits]
    mean = sum(grade * weight for grade, weight in enumerate(weights)) / sum(weights)
    return Read(mean, parsed=reply.unlisted < 2)


def _ask_thought(asked: Asked) -> Request:
    return Reason(
        asked.filled.messages,
        asked.new_tokens or THOUGHT,
        until="</think>",
        labels=(" true", " false"),
    )


def _ask_class(asked: Asked) -> Request:
    return Classify(asked.filled.messages, asked.filled.answer_start or "")


def _ask_attention(asked: Asked) -> Request:
    return Attention(asked.filled.messages, asked.passages)


def _read_attention(reply: Reply, task: Task, encoder_decoder: bool) -> Read:
    return Read(reply.value, parsed=True)


def query_of(task: Task, query: str) -> str:
    """The query that a task's prompt shows: the topic's own, or none for a calibration."""
    return NO_QUERY if isinstance(task, Calibrate) else query


def _templated(template: str, reading: Reading) -> Reading:
    return Reading(template, reading.ask, reading.parse)


QLM = Reading("qlm", _ask_likelihood, read_number)
YES_NO = _templated("yes_no", _against("Yes", "No"))
MONOT5 = _templated("monot5", _against("true", "false"))
DUOT5 = _templated("duot5", _against("true", "false"))
QWEN3 = _templated("qwen3", _against("yes", "no"))
GRADED = Reading("graded", _ask_grades, _read_expected)
RANK1 = Reading("rank1", _ask_thought, read_probability)
CROSS_ENCODER = Reading("pair", _ask_class, read_number)
ICR = Reading("icr", _ask_attention, _read_attention)
