"""Says once of each model that has answered, where another was asked."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from e2r.borders.showing import shown
from e2r.records.manifest import CONTRADICTS

MOST_OTHERS = 5
"""Names that are said; a server that makes one up for each reply is understood by then."""


class Others:
    """Notes the names that replies bear, each once and the first few."""

    def __init__(self, asked: str, note: Callable[[str], None]) -> None:
        self._asked, self._note = asked, note
        self._heard: set[str] = set()

    def hear(self, named: Iterable[str | None]) -> None:
        """The names in some replies; None is of one that names no other model."""
        for other in sorted({name for name in named if name} - self._heard):
            if len(self._heard) < MOST_OTHERS:
                self._heard.add(other)
                self._note(
                    f"{CONTRADICTS}{shown(other)} has answered, where {shown(self._asked)} was "
                    "asked; is it another name of it?"
                )
