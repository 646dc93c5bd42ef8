"""All pictures of an evaluation, into one folder."""

from __future__ import annotations

import re
from itertools import count
from pathlib import Path

from e2r.metrics.evaluation import Evaluation
from e2r.metrics.groups import group_id
from e2r.metrics.reports.pictures.breakdown import by_operation
from e2r.metrics.reports.pictures.quality import against_calls, against_petaflops
from e2r.metrics.reports.pictures.style import save
from e2r.metrics.reports.pictures.sweep import recorded_curves, write_sweeps
from e2r.metrics.row import Row


def write_pictures(evaluation: Evaluation, folder: Path) -> list[Path]:
    """Write the pictures of an evaluation as SVG and PNG and return their paths.

    For each group of comparable runs: quality against PetaFLOPs and against calls, the share of
    each operation in the cost, and for each of its models cost against depth and against passage
    length, forecast, with the recorded runs on it. Raises UsageError where `folder` cannot be
    written.
    """
    groups: dict[str, list[Row]] = {}
    for row in evaluation.rows:
        groups.setdefault(group_id(row), []).append(row)
    measure, convention = evaluation.measures[0], evaluation.convention
    written: list[Path] = []
    for key, rows in groups.items():
        figures = {
            f"{key}-quality-cost": against_petaflops(rows, measure, convention),
            f"{key}-quality-calls": against_calls(rows, measure),
            f"{key}-cost-by-operation": by_operation(rows, convention),
        }
        written += save(figures, folder)
        names: set[str] = set()
        for model, curves in recorded_curves(rows).items():
            name = _file_name(model, names)
            written += write_sweeps(curves, convention, folder, f"{key}-{name}-")
    return written


def _file_name(model: str, taken: set[str]) -> str:
    """A model's name as a part of a file's name, none twice."""
    plain = re.sub(r"[^A-Za-z0-9.]+", "-", model).strip("-.") or "model"
    name = next(
        name for n in count(1) if (name := plain if n == 1 else f"{plain}-{n}") not in taken
    )
    taken.add(name)
    return name
