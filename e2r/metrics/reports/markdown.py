"""Pieces of a generated page in Markdown: paragraphs, points and tables, as lines."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from textwrap import wrap

_WIDTH = 100


def table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> list[str]:
    """A table and an empty line after it."""
    return ["| " + " | ".join(line) + " |" for line in (head, ["---"] * len(head), *lines)] + [""]


def text(words: str) -> list[str]:
    """A paragraph, wrapped at 100 characters, and an empty line after it."""
    return [*_wrapped(words, ""), ""]


def point(words: str) -> list[str]:
    """A point of a list."""
    return _wrapped(f"- {words}", "  ")


def _wrapped(words: str, indent: str) -> list[str]:
    return wrap(
        words, _WIDTH, subsequent_indent=indent, break_on_hyphens=False, break_long_words=False
    )
