"""Runs for the browser's board: sixteen synthetic ones of several families, and the committed."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.metrics.recorded_runs import LLAMA, RANKINGS, Asked, record

COMMITTED = Path(__file__).resolve().parents[2] / "runs"

BETTER = {
    "q1": ("a", "c", "b", "d"),
    "q2": ("b", "d", "a", "c"),
    "q3": ("c", "e", "b", "a"),
    "q4": ("b", "a", "c", "d"),
}
WORSE = {qid: tuple(reversed(ranking)) for qid, ranking in BETTER.items()}
MIXED = {**RANKINGS, "q1": BETTER["q1"], "q4": BETTER["q4"]}
WIDE = {**LLAMA, "hidden_size": 256, "intermediate_size": 640, "num_hidden_layers": 6}

METHODS: tuple[tuple[str, dict[str, tuple[str, ...]], int], ...] = (
    ("pointwise.yes_no", MIXED, 4),
    ("pointwise.qlm", RANKINGS, 4),
    ("pairwise.heapsort", BETTER, 9),
    ("setwise.heapsort", MIXED, 5),
    ("listwise.generation", WORSE, 2),
    ("tournament.tourrank", BETTER, 12),
)


def record_runs(root: Path) -> Path:
    """Write the runs under root/runs and return that folder."""
    shutil.copytree(COMMITTED, root / "runs")
    for model, architecture, step in (("tiny-llama", LLAMA, 0), ("wide-llama", WIDE, 40)):
        for place, (method, rankings, calls) in enumerate(METHODS):
            _record(
                root,
                method=method,
                model=model,
                architecture=dict(architecture),
                rankings=rankings,
                calls=_calls(calls, 90 + step + 10 * place),
            )
    _record(root, method="first_stage", model="no-model", architecture=None, calls={})
    _record(root, method="setwise.heapsort", model="oracle", architecture=None, rankings=BETTER)
    _record(root, method="listwise.generation", model="failing-llama", failed=("q2",))
    _record(root, method="pointwise.qlm", dataset="other", rankings=MIXED)
    return root / "runs"


def _record(root: Path, **wanted: Any) -> None:
    record(root, replace(Asked(), **wanted))


def _calls(number: int, tokens: int) -> dict[str, list[tuple[int, int, int]]]:
    return {
        qid: [(tokens + 7 * place + call, 1 + call % 2, 1) for call in range(number)]
        for place, qid in enumerate(RANKINGS)
    }
