"""Ranking methods as plans: what to ask about which candidates, and how answers become an order."""

from __future__ import annotations

from importlib import import_module

from e2r.errors import unknown
from e2r.ranking.method import Method

METHODS: dict[str, str] = {
    "first_stage": "e2r.ranking.first_stage:FIRST_STAGE",
    "pointwise.qlm": "e2r.ranking.pointwise:QLM",
    "pointwise.yes_no": "e2r.ranking.pointwise:YES_NO",
    "pointwise.monot5": "e2r.ranking.pointwise:MONOT5",
    "pointwise.cross_encoder": "e2r.ranking.pointwise:CROSS_ENCODER",
    "pointwise.qwen3": "e2r.ranking.pointwise:QWEN3",
    "pointwise.reasoning": "e2r.ranking.pointwise:REASONING",
    "pairwise.allpair": "e2r.ranking.pairwise:ALLPAIR",
    "pairwise.heapsort": "e2r.ranking.pairwise:HEAPSORT",
    "pairwise.bubblesort": "e2r.ranking.pairwise:BUBBLESORT",
    "pairwise.duot5": "e2r.ranking.pairwise:DUOT5",
    "pairwise.duot5.allpair": "e2r.ranking.pairwise:DUOT5_ALLPAIR",
    "setwise.heapsort": "e2r.ranking.setwise:HEAPSORT",
    "setwise.bubblesort": "e2r.ranking.setwise:BUBBLESORT",
    "setwise.insertion": "e2r.ranking.setwise:INSERTION",
    "setwise.heapsort.likelihood": "e2r.ranking.setwise:HEAPSORT_LIKELIHOOD",
    "setwise.bubblesort.likelihood": "e2r.ranking.setwise:BUBBLESORT_LIKELIHOOD",
    "setwise.insertion.likelihood": "e2r.ranking.setwise:INSERTION_LIKELIHOOD",
    "setwise.heapsort.reasoning": "e2r.ranking.setwise:HEAPSORT_REASONING",
    "listwise.generation": "e2r.ranking.listwise:GENERATION",
    "listwise.likelihood": "e2r.ranking.listwise:LIKELIHOOD",
    "listwise.first": "e2r.ranking.listwise:FIRST",
    "tournament.tourrank": "e2r.ranking.tournament:TOURRANK",
    "attention.icr": "e2r.ranking.attention:ICR",
}


def method(name: str) -> Method:
    """The method of that name. Raises UsageError with the nearest names for an unknown one."""
    if name not in METHODS:
        raise unknown("method", name, METHODS)
    module, _, attribute = METHODS[name].partition(":")
    found: Method = getattr(import_module(module), attribute)
    return found
