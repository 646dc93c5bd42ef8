"""Ranking methods as plans: what to ask about which candidates, and how answers become an order."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from e2r.borders.own_code import is_own
from e2r.errors import DataError, UsageError, unknown
from e2r.ranking import own
from e2r.ranking.method import Method

METHODS: dict[str, str] = {
    "first_stage": "e2r.ranking.first_stage:FIRST_STAGE",
    "pointwise.qlm": "e2r.ranking.pointwise:QLM",
    "pointwise.yes_no": "e2r.ranking.pointwise:YES_NO",
    "pointwise.monot5": "e2r.ranking.pointwise:MONOT5",
    "pointwise.cross_encoder": "e2r.ranking.pointwise:CROSS_ENCODER",
    "pointwise.qwen3": "e2r.ranking.pointwise:QWEN3",
    "pointwise.graded": "e2r.ranking.pointwise:GRADED",
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
    "listwise.reasoning": "e2r.ranking.listwise:REASONING",
    "listwise.embedding": "e2r.ranking.listwise:EMBEDDING",
    "listwise.fid": "e2r.ranking.listwise:FID",
    "partition.tdpart": "e2r.ranking.partition:TDPART",
    "tournament.blitzrank": "e2r.ranking.blitzrank:BLITZRANK",
    "tournament.jointrank": "e2r.ranking.jointrank:JOINTRANK",
    "tournament.acurank": "e2r.ranking.acurank:ACURANK",
    "tournament.tourrank": "e2r.ranking.tournament:TOURRANK",
    "attention.icr": "e2r.ranking.attention:ICR",
}
PRICED_ONLY = frozenset({"listwise.embedding", "listwise.fid"})
"""Those whose models bring code of their own: priced, and refused by name when run."""


def method(name: str) -> Method:
    """The method of that name: one of these, of an installed package, or loaded before.

    Raises UsageError with the nearest names for an unknown one.
    """
    if name not in METHODS:
        if name in own.LOADED:
            return own.LOADED[name]
        if name in own.installed():
            return _readable(own.of_package(name))
        if is_own(name):
            raise UsageError(f"{name}: is code of your own; type it by --method")
        raise unknown("method", name, [*METHODS, *own.installed()])
    module, _, attribute = METHODS[name].partition(":")
    found: Method = getattr(import_module(module), attribute)
    return found


def named(word: str, home: Path | None) -> Method:
    """The method of a name, or of FILE.py:NAME, which is loaded where it may be.

    `home` is the folder of the spec file that says so, None where it was typed. Raises UsageError
    for what is unknown or not vouched for, DataError for a faulty file.
    """
    return _readable(own.load(word, home)) if is_own(word) else method(word)


def _readable(found: Method) -> Method:
    """The method, if another's prompt that it wants is one. Raises DataError."""
    if found.reads is not None and (found.reads not in METHODS or found.reads in PRICED_ONLY):
        raise DataError(
            f"{found.name}: READS is {found.reads!r}; it names the method whose prompt is used, as "
            "e2r list methods does"
        )
    return found
