"""Which runs may be held against each other: same data, first stage, depth, judgments, queries."""

from __future__ import annotations

import hashlib
import json

from e2r.metrics.row import Row


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
    """Whether a run can have a rank: complete, ranked by computing, and judged here and now."""
    return row.complete and row.verified and bool(row.scores.values) and not is_reference(row)


def is_reference(row: Row) -> bool:
    """Whether the answers came without computing: from the judgments or a random generator."""
    free = row.manifest.model.architecture is None and row.cost.per_query is not None
    return free and row.manifest.method != "first_stage"
