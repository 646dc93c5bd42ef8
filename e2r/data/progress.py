"""How far a long reading is, told to whoever listens."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")

Working = Callable[[str, int, int | None], None]
"""Is told what is gone through, how many are done, and of how many where that is known."""


def unheard(text: str, done: int, count: int | None) -> None:
    """Tell nobody."""


def counted(items: Iterable[T], text: str, tell: Working, count: int | None = None) -> Iterator[T]:
    """The items, each told of before it is gone through."""
    for done, item in enumerate(items):
        tell(text, done, count)
        yield item
