"""Parts what a model thought from what it answered, in the spellings that models use."""

from __future__ import annotations

import re

TAGS = (
    ("<think>", "</think>"),
    ("<thinking>", "</thinking>"),
    ("<thought>", "</thought>"),
    ("<reasoning>", "</reasoning>"),
    ("<seed:think>", "</seed:think>"),
    ("[THINK]", "[/THINK]"),
    ("◁think▷", "◁/think▷"),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
)
"""What opens and closes a thought: Qwen and DeepSeek, others like them, Seed, Magistral, Kimi."""
CHANNEL, FINAL = "<|channel|>", "<|channel|>final<|message|>"
"""gpt-oss writes thought and answer into channels (its harmony format)."""
MARKS = {*(tag for pair in TAGS for tag in pair), CHANNEL, "<|message|>"}
"""Tokens that must stay in a reply's text: without them nobody can tell thought from answer."""

_OPENS = re.compile("|".join(re.escape(opens) for opens, _ in TAGS), re.IGNORECASE)
_CLOSES = re.compile("|".join(re.escape(closes) for _, closes in TAGS), re.IGNORECASE)
_CLOSE_OF = dict(TAGS)


def answer_in(text: str) -> str | None:
    """What follows the last thought; the whole text without one; None where one never closes.

    The opening may be missing: many chat templates write it at the end of the prompt.
    """
    if CHANNEL in text:
        return text.rpartition(FINAL)[2] if FINAL in text else None
    rest = text
    while closed := _CLOSES.search(rest):
        rest = rest[closed.end() :]
    return None if _OPENS.search(rest) else rest


def opened_by(prompt: str) -> str:
    """The tag of the thought that a prompt ends in, or nothing."""
    end = prompt.rstrip()
    return next((opens for opens, _ in TAGS if end.endswith(opens)), "")


def closing(opening: str) -> str:
    """What closes a thought at once, as the templates of thinking models write an empty one."""
    return f"\n{_CLOSE_OF[opening]}\n\n" if opening else ""
