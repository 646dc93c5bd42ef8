"""Which runs may be held against each other: same data, first stage, depth, judgments, queries."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from e2r.metrics.evaluation import Row


def group_id(row: Row) -> str:
    """Eight hex digits that two runs share exactly when they rank against each other."""
    dataset = row.manifest.dataset
    facts = [
        dataset.id,
        dataset.first_stage,
        dataset.depth,
        dataset.candidates_sha256,
        dataset.judgments_sha256,
        sorted(row.qids),
    ]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:8]


def competes(row: Row) -> bool:
    """Whether a run is complete and computed something, so that it can have a rank."""
    return row.complete and not is_reference(row)


def is_reference(row: Row) -> bool:
    """Whether the answers came without computing: from the judgments or a random generator."""
    return row.manifest.method != "first_stage" and row.manifest.model.architecture is None
