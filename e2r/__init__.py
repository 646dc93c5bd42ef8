"""e2r: what a reranker's quality costs in arithmetic."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from e2r.cli.progress import progress as progress
    from e2r.flops.architecture import Architecture as Architecture
    from e2r.flops.estimate import estimate as estimate
    from e2r.flops.work import Usage as Usage
    from e2r.forecast.budget import search as budget
    from e2r.forecast.planning import plan as plan
    from e2r.meter.instrument import Meter as meter  # noqa: N813
    from e2r.metrics import evaluate as evaluate
    from e2r.metrics.comparison import compare as compare
    from e2r.metrics.frontiers import frontier as frontier
    from e2r.records.spec import Spec as Spec
    from e2r.runner import run as run
    from e2r.site.build import build as leaderboard
    from e2r.validation import validate as validate

_PUBLIC = {
    "Architecture": "e2r.flops.architecture",
    "Usage": "e2r.flops.work",
    "estimate": "e2r.flops.estimate",
    "Spec": "e2r.records.spec",
    "run": "e2r.runner",
    "evaluate": "e2r.metrics",
    "compare": "e2r.metrics.comparison",
    "frontier": "e2r.metrics.frontiers",
    "leaderboard": "e2r.site:build",
    "validate": "e2r.validation",
    "plan": "e2r.forecast.planning",
    "budget": "e2r.forecast.budget:search",
    "progress": "e2r.cli.progress",
}

__all__ = [
    "Architecture",
    "Spec",
    "Usage",
    "budget",
    "compare",
    "estimate",
    "evaluate",
    "frontier",
    "leaderboard",
    "meter",
    "plan",
    "progress",
    "run",
    "validate",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: `import e2r` itself imports nothing heavy."""
    if name == "meter":
        # The room itself, which can be called; see there.
        return import_module("e2r.meter")
    if name not in _PUBLIC:
        raise AttributeError(f"module 'e2r' has no attribute {name!r}")
    module, _, own_name = _PUBLIC[name].partition(":")
    return getattr(import_module(module), own_name or name)


def __dir__() -> list[str]:
    return __all__
