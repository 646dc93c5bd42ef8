"""The Pareto frontier: runs that no other run beats in both quality and cost."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from e2r.metrics.statistics.intervals import Floats

_BLOCK_ENTRIES = 2**21


def frontier(points: Sequence[tuple[float | None, float | None]]) -> list[bool]:
    """Whether each (cost, quality) lies on the frontier: lower cost and higher quality are better.

    A point is beaten by one that is at least as good in both and better in one; equal points share
    the frontier. A point without cost or quality is never on it.
    """
    known = [place for place, (cost, quality) in enumerate(points) if None not in (cost, quality)]
    array = np.array([points[place] for place in known], dtype=float).reshape(-1, 2)
    marks = [False] * len(points)
    for place, mark in zip(known, members(array[:, 0], array[:, 1]).tolist(), strict=True):
        marks[place] = mark
    return marks


def members(cost: Floats, quality: Floats) -> NDArray[np.bool_]:
    """Frontier membership along the last axis, for any number of leading axes."""
    order = np.lexsort((-quality, cost), axis=-1)
    costs = np.take_along_axis(cost, order, -1)
    qualities = np.take_along_axis(quality, order, -1)
    best = np.maximum.accumulate(qualities, axis=-1)
    earlier = np.concatenate([np.full((*best.shape[:-1], 1), -np.inf), best[..., :-1]], axis=-1)
    marks = qualities > earlier
    for place in range(1, marks.shape[-1]):
        # Points that equal a member follow it directly.
        same = (costs[..., place] == costs[..., place - 1]) & (
            qualities[..., place] == qualities[..., place - 1]
        )
        marks[..., place] |= same & marks[..., place - 1]
    found = np.empty_like(marks)
    np.put_along_axis(found, order, marks, -1)
    return found


def probability(cost: Floats, quality: Floats) -> Floats:
    """Share of resamples in which each run is on the frontier.

    Both arguments have shape (resamples, runs); so has what they were made from, with the same
    queries drawn for all runs of a resample.
    """
    rows = max(1, _BLOCK_ENTRIES // cost.shape[1])
    counts = np.zeros(cost.shape[1])
    for start in range(0, len(cost), rows):
        counts += members(cost[start : start + rows], quality[start : start + rows]).sum(axis=0)
    return counts / len(cost)


def hypervolume(cost: Floats, quality: Floats, dearest: float) -> Floats:
    """Area in (cost, quality) that the runs dominate, up to the reference point (dearest, 0).

    Runs lie along the last axis, for any number of leading axes. Its unit is the measure's times
    the cost's (Zitzler & Thiele, 1999).
    """
    order = np.argsort(cost, axis=-1)
    costs = np.minimum(np.take_along_axis(cost, order, -1), dearest)
    best = np.maximum.accumulate(np.take_along_axis(quality, order, -1), axis=-1)
    widths = np.diff(costs, axis=-1, append=dearest)
    area: Floats = (np.maximum(best, 0) * widths).sum(axis=-1)
    return area


def cheapest_reaching(cost: Floats, quality: Floats, share: float) -> NDArray[np.intp]:
    """The place of the cheapest run whose quality is at least `share` of the best run's.

    Runs lie along the last axis; of equally cheap ones the first is taken.
    """
    level = share * quality.max(axis=-1, keepdims=True)
    places: NDArray[np.intp] = np.where(quality >= level, cost, np.inf).argmin(axis=-1)
    return places
