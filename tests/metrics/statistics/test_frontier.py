"""Pareto frontier, hypervolume and cheapest runs, against definitions tried on every case."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from e2r.metrics.statistics.frontier import cheapest_reaching, frontier, hypervolume

POINT = st.tuples(st.integers(0, 5).map(float), st.integers(0, 5).map(float))


@given(st.lists(POINT, max_size=12))
def test_marked_points_are_those_that_no_point_beats(points) -> None:
    def beats(a: tuple[float, float], b: tuple[float, float]) -> bool:
        return a[0] <= b[0] and a[1] >= b[1] and a != b

    wanted = [not any(beats(other, point) for other in points) for point in points]
    assert frontier(points) == wanted


def test_unknown_cost_or_quality_is_never_on_it() -> None:
    assert frontier([(None, 1.0), (1.0, None), (2.0, 0.1)]) == [False, False, True]


def test_hypervolume_by_hand() -> None:
    cost, quality = np.array([[1.0, 0.5], [3.0, 0.8], [2.0, 0.4], [9.0, 1.0]]).T
    assert hypervolume(cost, quality, 5.0) == pytest.approx(2 * 0.5 + 2 * 0.8)
    assert hypervolume(cost[-1:], quality[-1:], 5.0) == 0


@given(st.lists(POINT, min_size=1, max_size=8), st.integers(1, 6))
def test_hypervolume_counts_the_unit_squares_that_some_point_dominates(points, dearest) -> None:
    squares = sum(
        any(cost <= x and quality >= y + 1 for cost, quality in points)
        for x in range(dearest)
        for y in range(6)
    )
    cost, quality = np.array(points).T
    assert hypervolume(cost, quality, float(dearest)) == pytest.approx(squares)
    both = hypervolume(np.stack([cost, cost]), np.stack([quality, quality]), float(dearest))
    assert both == pytest.approx([squares, squares])


@given(st.lists(POINT, min_size=1, max_size=8), st.sampled_from([0.5, 0.9, 1.0]))
def test_the_cheapest_that_reaches_a_share_of_the_best(points, share) -> None:
    best = max(quality for _, quality in points)
    wanted = min(cost for cost, quality in points if quality >= share * best)
    cost, quality = np.array(points).T
    place = cheapest_reaching(cost, quality, share)
    assert cost[place] == wanted
    assert quality[place] >= share * best
