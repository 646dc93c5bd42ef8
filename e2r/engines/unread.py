"""Says early that most of a model's answers cannot be read, and what to try instead."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from e2r.engines.engine import Replied
from e2r.prompts.template import names
from e2r.ranking import METHODS

FEWEST = 5
"""Answers before which nothing is said: the first ones may be bad luck."""
_LONGEST_EXAMPLE = 60


class Unread:
    """Hears of replies as they come; speaks once, as soon as more than half cannot be read."""

    def __init__(self, methods: Sequence[str], templates: Iterable[str]) -> None:
        self._methods = methods
        self._templates = tuple(templates)
        self._replies = self._unread = 0
        self._said = False

    def hear(self, event: Replied) -> str | None:
        """A sentence for the user, once: as soon as there are FEWEST replies, or never."""
        self._replies += len(event.replies)
        self._unread += event.unread
        if self._said or self._replies < FEWEST or 2 * self._unread <= self._replies:
            return None
        self._said = True
        example = " ".join(event.example.split())
        if len(example) > _LONGEST_EXAMPLE:
            example = f"{example[:_LONGEST_EXAMPLE]}…"
        seen = f', as in "{example}"' if example else ""
        return (
            f"{self._unread} of the first {self._replies} answers cannot be read{seen}; such "
            f"answers order nothing. {self._advice()}"
        )

    def _advice(self) -> str:
        families = {name.partition("_")[0] for name in self._templates}
        others = [
            f"--template {name}"
            for name in names()
            if name.partition("_")[0] in families and name not in self._templates
        ]
        for method in self._methods:
            family = method.partition(".")[0]
            others += [
                f"--method {name}"
                for name in (f"{method}.likelihood", f"{family}.likelihood")
                if name in METHODS and name not in self._methods
            ]
        return f"Try {', '.join(others) or 'another template or method'}"
