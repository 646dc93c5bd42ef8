"""Small recorded runs for the tests of the site."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.metrics.recorded_runs import MakeRun, make_run

__all__ = ["make_run", "runs"]

RERANKED = {"q1": ("a", "c", "b", "d"), "q2": ("b", "d", "a", "c"), "q3": ("c", "e"), "q4": ("b",)}


@pytest.fixture
def runs(make_run: MakeRun, tmp_path: Path) -> Path:
    """BM25, two rerankers, the oracle, a partial run, and a run on another dataset."""
    make_run(method="first_stage", model="no-model", architecture=None, calls={})
    make_run(method="setwise.heapsort", rankings=RERANKED)
    make_run(method="pointwise.yes_no", calls={"q1": [(2000, 1, 1)]})
    make_run(method="setwise.heapsort", model="oracle", architecture=None, rankings=RERANKED)
    make_run(method="listwise.generation", failed=("q2",))
    make_run(method="pointwise.qlm", dataset="other")
    return tmp_path / "runs"
