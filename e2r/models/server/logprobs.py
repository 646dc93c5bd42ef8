"""Reads log probabilities out of an OpenAI-compatible server's reply, in either of two shapes."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_ID = re.compile(r"token_id:(\d+)")
ROUNDING = 0.01
"""By how much a log probability may exceed 0: half precision rounds."""


@dataclass(frozen=True, slots=True)
class Position:
    """A token of the reply, its log probability where known, and those listed at its place.

    Where two tokens print alike, `top` holds the likelier.
    """

    token: str
    logprob: float | None
    top: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Found:
    """Each label's log probability; of the `unlisted` ones an upper bound, the same for all."""

    values: tuple[float, ...]
    unlisted: int


def positions(choice: dict[str, Any]) -> list[Position] | None:
    """The tokens of a choice with their log probabilities; None where the server gives none.

    Chat completions list objects under `content`; completions list tokens, log probabilities and
    alternatives side by side. llama.cpp uses the first shape for both.
    """
    found = choice.get("logprobs")
    if not isinstance(found, dict):
        return None
    if found.get("content") is not None:
        return [
            Position(
                item["token"],
                _chance(item.get("logprob")),
                _likeliest((other["token"], other["logprob"]) for other in item["top_logprobs"]),
            )
            for item in found["content"]
        ]
    if found.get("tokens") is None:
        return None
    tops = found.get("top_logprobs") or [None] * len(found["tokens"])
    return [
        Position(token, _chance(logprob), _likeliest((top or {}).items()))
        for token, logprob, top in zip(found["tokens"], found["token_logprobs"], tops, strict=True)
    ]


def _likeliest(pairs: Iterable[tuple[str, Any]]) -> dict[str, float]:
    """Log probabilities by token: of tokens that print alike the highest, none that is null."""
    found: dict[str, float] = {}
    for token, value in pairs:
        if (logprob := _chance(value)) is not None:
            found[token] = max(logprob, found.get(token, -math.inf))
    return found


def _chance(value: Any) -> float | None:
    """A log probability, None for null. Raises ValueError for what no logarithm of one can be."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not value <= ROUNDING:
        raise ValueError(
            f"{str(value)[:40]!r} is no log probability; does the server give logits instead "
            "(--logprobs-mode)?"
        )
    return float(value)


def as_ids(position: Position) -> bool:
    """Whether the server names tokens by their ids (vLLM's return_tokens_as_token_ids)."""
    return bool(position.top) and all(_ID.fullmatch(token) for token in position.top)


def label_values(position: Position, labels: Sequence[str], asked: int | None) -> Found | None:
    """Each label's log probability at a position; None where the labels cannot be read there.

    A label is found by its own spelling, else by its likeliest spelling with other spaces around
    it (tokenizers differ in where they keep them). A label that is not listed is less probable
    than all that are: it is given the next smaller number below the least of them, an upper bound.
    That bound says something only where about as many alternatives as `asked` are listed (tokens
    that print alike count once), so that with fewer than half, or with no label, nothing is read.
    """
    listed = dict(position.top)
    if position.logprob is not None:
        listed[position.token] = max(position.logprob, listed.get(position.token, -math.inf))
    plain = _likeliest((_bare(token), logprob) for token, logprob in listed.items())
    found = [listed.get(label, plain.get(_bare(label))) for label in labels]
    unlisted = sum(value is None for value in found)
    if unlisted == len(found) or (unlisted and asked is not None and 2 * len(position.top) < asked):
        return None
    below = math.nextafter(min(listed.values()), -math.inf)
    return Found(tuple(below if value is None else value for value in found), unlisted)


def place_after(found: Sequence[Position], until: str) -> Position | None:
    """The position that follows the text `until`, or None where there is none."""
    text = ""
    for number, position in enumerate(found):
        text += position.token
        if until in text:
            return found[number + 1] if number + 1 < len(found) else None
    return None


def _bare(token: str) -> str:
    """A token without spaces around it; sentencepiece and byte-level BPE write a space as ▁, Ġ."""
    return token.replace("▁", " ").replace("Ġ", " ").strip()
