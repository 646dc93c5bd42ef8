"""How runs stand among their equals: who is on which frontier, who gains over the first stage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from e2r.metrics.cost import PETA
from e2r.metrics.groups import competes
from e2r.metrics.row import Row
from e2r.metrics.standing import UNITS, Membership, Standing
from e2r.metrics.statistics.frontier import members, probability
from e2r.metrics.statistics.intervals import Floats, Interval, intervals, resampled_means
from e2r.money.prices import THOUSAND
from e2r.records.manifest import UNKNOWN, Manifest


def standings(rows: Sequence[Row]) -> list[Standing]:
    """The standing of each run of one group; quality on the frontiers is the first measure.

    Incomplete runs and references stand nowhere.
    """
    first_stage = next(
        (row for row in rows if row.manifest.method == "first_stage" and competes(row)), None
    )
    frontiers: list[dict[str, Membership]] = [{} for _ in rows]
    for cost in UNITS:
        for places in comparable(rows, cost).values():
            found = _memberships([rows[place] for place in places], cost)
            for place, membership in zip(places, found, strict=True):
                frontiers[place][cost] = membership
    return [
        Standing(found, _gains(row, first_stage))
        for row, found in zip(rows, frontiers, strict=True)
    ]


def comparable(rows: Sequence[Row], cost: str) -> dict[str, list[int]]:
    """Places of competing runs that share a scale of this cost, by the scale's name.

    Counts share one, whose name is empty; seconds do only on machines of the same kind, by as many
    workers, in the same mode.
    """
    scales: dict[str, list[int]] = {}
    for place, row in enumerate(rows):
        if competes(row) and _cost_by_query(row, cost) is not None:
            scale = _clock(row.manifest) if cost == "seconds" else ""
            scales.setdefault(scale, []).append(place)
    return scales


def _clock(manifest: Manifest) -> str:
    """What seconds were measured on, and how."""
    machines = sorted({f"{machine.processor}, {machine.device}" for machine in manifest.worked})
    crew = f", {len(manifest.workers)} workers" if manifest.workers else ""
    return f"{' + '.join(machines)}{crew}, {manifest.latency_mode}"


def sample(rows: Sequence[Row], cost: str) -> tuple[Floats, Floats]:
    """Cost and quality (the first measure) of each query and run, both of shape (queries, runs)."""
    qids = sorted(rows[0].qids)
    return (
        np.column_stack([_along(_cost_by_query(row, cost) or {}, qids) for row in rows]),
        np.column_stack([_quality(row, next(iter(row.measures)), qids) for row in rows]),
    )


def _memberships(rows: Sequence[Row], cost: str) -> list[Membership]:
    if len(rows) == 1:
        # Nobody to be dominated by, in any resample.
        return [Membership(True, 1.0)]
    costs, quality = sample(rows, cost)
    on = members(costs.mean(axis=0), quality.mean(axis=0))
    share = probability(resampled_means(costs), resampled_means(quality))
    return [Membership(bool(mark), float(value)) for mark, value in zip(on, share, strict=True)]


def _gains(row: Row, first_stage: Row | None) -> dict[str, Interval]:
    if first_stage is None or row is first_stage or row.cost.per_query is None:
        return {}
    qids = list(row.qids)
    spent = _along(row.cost.per_query, qids) / PETA
    names = [name for name in row.scores.values if name in first_stage.scores.values]
    gained = [_quality(row, name, qids) - _quality(first_stage, name, qids) for name in names]
    if not spent.any():
        note = "undefined: no FLOPs were spent"
        return dict.fromkeys(names, Interval(None, note=note))

    def ratio(place: int) -> Any:
        return lambda means: means[..., place] / means[..., -1]

    return intervals(
        np.column_stack([*gained, spent]), {name: ratio(place) for place, name in enumerate(names)}
    )


def _quality(row: Row, measure: str, qids: Sequence[str]) -> Floats:
    return _along(row.scores.values[measure], qids)


def _cost_by_query(row: Row, cost: str) -> Mapping[str, float] | None:
    """A cost of each query, or None where the run has no such cost."""
    if cost == "petaflops":
        per_query = row.cost.per_query
        return per_query and {qid: flops / PETA for qid, flops in per_query.items()}
    if cost == "money":
        if row.paid is None:
            return None
        of_query = row.paid.per_query
        return {qid: float(money.total * THOUSAND) for qid, money in of_query.items()}
    if cost == "rounds":
        if row.work.rounds_per_query is None:
            return None
        return {record.qid: record.rounds for record in row.records}
    if row.manifest.environment.processor == UNKNOWN:
        return None
    seconds = {record.qid: record.seconds for record in row.records}
    return seconds if any(seconds.values()) else None


def _along(values: Mapping[str, float], qids: Sequence[str]) -> Floats:
    return np.array([float(values[qid]) for qid in qids])
