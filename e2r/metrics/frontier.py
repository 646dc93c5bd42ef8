"""The Pareto frontier: runs that no other run beats in both quality and cost."""

from __future__ import annotations

from collections.abc import Sequence


def frontier(points: Sequence[tuple[float | None, float | None]]) -> list[bool]:
    """Whether each (cost, quality) lies on the frontier: lower cost and higher quality are better.

    A point is beaten by one that is at least as good in both and better in one; equal points share
    the frontier. A point without cost or quality is never on it.
    """
    known = sorted(
        (
            (cost, -quality, place)
            for place, (cost, quality) in enumerate(points)
            if cost is not None and quality is not None
        )
    )
    marks = [False] * len(points)
    best: tuple[float, float] | None = None
    for cost, negative, place in known:
        if best is None or negative < best[1] or (cost, negative) == best:
            marks[place] = True
            best = (cost, negative)
    return marks
