"""Reads log probabilities out of an OpenAI-compatible server's reply, in either of two shapes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Position:
    """A token of the reply, its log probability where known, and the likeliest tokens there."""

    token: str
    logprob: float | None
    top: tuple[tuple[str, float], ...]


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
                item["logprob"],
                tuple((other["token"], other["logprob"]) for other in item["top_logprobs"]),
            )
            for item in found["content"]
        ]
    if found.get("tokens") is None:
        return None
    tops = found.get("top_logprobs") or [None] * len(found["tokens"])
    return [
        Position(token, logprob, tuple((top or {}).items()))
        for token, logprob, top in zip(found["tokens"], found["token_logprobs"], tops, strict=True)
    ]


def label_values(position: Position, labels: Sequence[str]) -> tuple[float, ...] | None:
    """Each label's log probability at a position; None where no label is among those listed.

    A label is found by its own spelling, else by its likeliest spelling with other spaces around
    it (tokenizers differ in where they keep them). A label that is not listed is less probable
    than all that are: it is given the next smaller number below the least of them, an upper bound.
    """
    listed = dict(position.top)
    if position.logprob is not None:
        listed.setdefault(position.token, position.logprob)
    plain: dict[str, float] = {}
    for token, logprob in listed.items():
        word = _bare(token)
        plain[word] = max(logprob, plain.get(word, -math.inf))
    found = [listed.get(label, plain.get(_bare(label))) for label in labels]
    if all(value is None for value in found):
        return None
    below = math.nextafter(min(listed.values()), -math.inf)
    return tuple(below if value is None else float(value) for value in found)


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
