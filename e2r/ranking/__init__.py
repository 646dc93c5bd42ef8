"""Ranking methods as plans: what to ask about which candidates, and how answers become an order."""

from __future__ import annotations

from importlib import import_module

from e2r.errors import unknown
from e2r.ranking.method import Method

METHODS: dict[str, str] = {
    "first_stage": "e2r.ranking.first_stage:FIRST_STAGE",
    "pointwise.qlm": "e2r.ranking.pointwise:QLM",
    "pointwise.yes_no": "e2r.ranking.pointwise:YES_NO",
    "setwise.heapsort": "e2r.ranking.setwise:HEAPSORT",
    "listwise.generation": "e2r.ranking.listwise:GENERATION",
}


def method(name: str) -> Method:
    """The method of that name. Raises UsageError with the nearest names for an unknown one."""
    if name not in METHODS:
        raise unknown("method", name, METHODS)
    module, _, attribute = METHODS[name].partition(":")
    found: Method = getattr(import_module(module), attribute)
    return found
