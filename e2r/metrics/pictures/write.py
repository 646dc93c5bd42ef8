"""All pictures of an evaluation, into one folder."""

from __future__ import annotations

from pathlib import Path

from e2r.metrics.evaluation import Evaluation, Row
from e2r.metrics.groups import group_id
from e2r.metrics.pictures.breakdown import by_operation
from e2r.metrics.pictures.quality import against_calls, against_petaflops
from e2r.metrics.pictures.style import save


def write_pictures(evaluation: Evaluation, folder: Path) -> list[Path]:
    """Write the pictures of an evaluation as SVG and PNG and return their paths.

    For each group of comparable runs: quality against PetaFLOPs and against calls, and the share
    of each operation in the cost. Raises UsageError where `folder` cannot be written.
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
    return written
