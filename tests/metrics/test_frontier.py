"""The Pareto frontier, against its definition tried on every pair."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from e2r.metrics.frontier import frontier

POINT = st.tuples(st.integers(0, 5).map(float), st.integers(0, 5).map(float))


@given(st.lists(POINT, max_size=12))
def test_marked_points_are_those_that_no_point_beats(points) -> None:
    def beats(a: tuple[float, float], b: tuple[float, float]) -> bool:
        return a[0] <= b[0] and a[1] >= b[1] and a != b

    wanted = [not any(beats(other, point) for other in points) for point in points]
    assert frontier(points) == wanted


def test_unknown_cost_or_quality_is_never_on_it() -> None:
    assert frontier([(None, 1.0), (1.0, None), (2.0, 0.1)]) == [False, False, True]
