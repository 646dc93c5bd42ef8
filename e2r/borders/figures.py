"""What each figure of a run can be: its kind and range, and what calls cannot be together.

Ledger, manifest, query records, usage CSV and gate all ask here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

DAY = 86_400
MOST_TOKENS = 10**7
"""Tokens of a call: ten times the longest context that any model has."""

RANGES: Mapping[str, tuple[int, int]] = {
    # Of a call. A query's rounds and calls are counted from 0.
    "round": (0, 10**7),
    "call": (0, 10**7),
    "prompt_tokens": (0, MOST_TOKENS),
    "cached_tokens": (0, MOST_TOKENS),
    "decoder_prompt_tokens": (0, MOST_TOKENS),
    "generated_tokens": (0, MOST_TOKENS),
    "head_positions": (0, MOST_TOKENS),
    "padded_tokens": (0, 10**8),
    "truncated": (0, 10**9),
    "batch_size": (0, 10**6),
    "seconds": (0, 30 * DAY),
    # Of a query.
    "calls": (0, 10**7),
    "rounds": (0, 10**7),
    "parse_failures": (0, 10**7),
    "query_terms": (0, 10**5),
    "searched_terms": (0, 10**5),
    "postings": (0, 10**15),
    "query.prompt_tokens": (0, 10**13),
    "query.generated_tokens": (0, 10**13),
    "query.truncated": (0, 10**7),
    "query.seconds": (0, 3650 * DAY),
    # Of a run.
    "queries": (0, 10**8),
    "depth": (0, 10**6),
    "documents": (1, 10**13),
    "threads": (0, 10**6),
    "k": (1, 10**6),
    "limit": (1, 10**8),
    "over": (1, 10**6),
    "passage_tokens": (1, MOST_TOKENS),
    "query_tokens": (1, MOST_TOKENS),
    "answer_tokens": (1, MOST_TOKENS),
    "parameter": (0, 10**6),
    "seed": (-(2**63), 2**63 - 1),
    "flops": (0, 10**30),
}
"""The least and the most of each figure; all are whole numbers but the seconds."""

MOST_LAYERS = 100_000
MOST_WIDTH = 10**8
"""Of a model: its layers, and any other size. The largest known have 10^2 and 10^6."""

THOUGHT = 3072
"""New tokens of the longest thought where the spec sets no other limit (listwise.reasoning)."""
TOKENS_A_PASSAGE = 6
"""New tokens that an answer spends on a passage at most."""
FEW = 20
"""New tokens of any other answer, at most."""


def fault(name: str, value: Any) -> str | None:
    """Why a figure cannot be, or None: a number, whole but for seconds, in its range."""
    low, high = RANGES[name]
    kinds = (int, float) if name.endswith("seconds") else (int,)
    if isinstance(value, bool) or not isinstance(value, kinds):
        return f"is {str(value)[:40]!r}; a number is wanted"
    if not low <= value <= high:
        shown = str(value) if abs(value) < 10**20 else "a number out of range"
        return f"is {shown}; it lies between {low} and {high}"
    return None


@dataclass(frozen=True)
class Asked:
    """What is known of a run's calls beside its ledger.

    `free` says that no model computes, so that calls have no tokens; `reuse` that equal calls may
    have been answered from the first. `answer_tokens` limits new tokens, or None for the methods'
    own limits; `thinks` says that the model does, or one of them. `context` is the model's, or None
    without a known limit; of a model behind a server it is the server's affair.
    """

    free: bool
    reuse: bool = False
    thinks: bool = False
    answer_tokens: int | None = None
    context: int | None = None


def impossible(calls: Mapping[str, Any], asked: Asked) -> Iterator[tuple[str, str, Any]]:
    """What calls of a run cannot be, as (column, why, which of them), from NumPy's columns.

    Wanted are passages (how many documents a call asks about), prompt_tokens, cached_tokens,
    generated_tokens and batch_size.
    """
    prompt, generated = calls["prompt_tokens"], calls["generated_tokens"]
    passages = calls["passages"]
    yield (
        "cached_tokens",
        "exceeds prompt_tokens",
        calls["cached_tokens"] > prompt,
    )
    if not asked.free:
        again = (prompt == 0) & (generated == 0) & (calls["batch_size"] == 0)
        spoken = ~again if asked.reuse else prompt >= 0
        yield (
            "prompt_tokens",
            "is less than a token for each passage that the prompt shows",
            spoken & ((prompt < passages) | (prompt < 1)),
        )
        yield "batch_size", "is 0 for a call that was computed", spoken & (calls["batch_size"] < 1)
    yield (
        "generated_tokens",
        "exceeds what the request allows",
        generated > _most_generated(passages, asked),
    )
    if asked.context is not None:
        yield (
            "prompt_tokens",
            f"exceeds the model's context, {asked.context}",
            prompt > asked.context,
        )


def _most_generated(passages: Any, asked: Asked) -> Any:
    """New tokens of a request that shows so many passages, in one array."""
    # A thought has a limit of its own, beside that of the answer and of words that open it.
    thought = (asked.answer_tokens or THOUGHT) if asked.thinks else 0
    if asked.answer_tokens is not None:
        return passages * 0 + asked.answer_tokens + FEW + thought
    return passages * TOKENS_A_PASSAGE + FEW + thought
