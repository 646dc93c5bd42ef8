"""Paired tests: equal to scipy's, exact on small samples, corrected as Holm says."""

from __future__ import annotations

from itertools import takewhile

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.stats import permutation_test, ttest_rel

from e2r.metrics.statistics.significance import holm, paired_tests


def sample(n: int) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(11)
    one = generator.random(n)
    return one, one + generator.normal(0.08, 0.2, n)


@pytest.mark.parametrize("n", [2, 5, 12, 43])
def test_t_test_is_scipys(n: int) -> None:
    one, two = sample(n)
    assert paired_tests(two - one).p_t == pytest.approx(ttest_rel(two, one).pvalue, rel=1e-9)


@pytest.mark.parametrize(("n", "close"), [(5, 1e-12), (12, 1e-12), (43, 0.01)])
def test_randomisation_test_is_scipys(n: int, close: float) -> None:
    one, two = sample(n)
    wanted = permutation_test(
        (two, one),
        lambda x, y, axis: (x - y).mean(axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=50_000,
        rng=np.random.default_rng(0),
    ).pvalue
    assert paired_tests(two - one).p_randomisation == pytest.approx(wanted, abs=close)


def test_effect_size_and_counts_by_hand() -> None:
    found = paired_tests(np.array([0.1, 0.3, 0.0, -0.1]))
    assert found.difference == pytest.approx(0.075)
    assert found.effect == pytest.approx(0.075 / np.std([0.1, 0.3, 0.0, -0.1], ddof=1))
    assert (found.wins, found.ties, found.losses) == (2, 1, 1)


def test_no_difference_is_certain_to_be_none() -> None:
    found = paired_tests(np.zeros(20))
    assert found.p_randomisation == 1
    assert found.p_t is found.effect is None


def test_equal_differences_leave_t_undefined_but_not_the_randomisation_test() -> None:
    found = paired_tests(np.full(8, 0.1))
    assert found.p_t is None
    assert found.p_randomisation == pytest.approx(2 / 2**8)


def test_one_query_shows_nothing() -> None:
    found = paired_tests(np.array([0.4]))
    assert (found.p_randomisation, found.p_t, found.effect) == (1, None, None)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8), st.sampled_from([0.01, 0.05, 0.2]))
def test_holm_rejects_what_the_step_down_procedure_rejects(ps, alpha) -> None:
    """Holm (1979): the i-th smallest of m is rejected while it is at most α / (m − i + 1)."""
    order = sorted(range(len(ps)), key=ps.__getitem__)
    limits = [alpha / (len(ps) - step) for step in range(len(ps))]
    # A p-value on a limit falls to either side by its rounding.
    assume(not any(p == pytest.approx(limit) for p in ps for limit in limits))
    steps = takewhile(lambda step: ps[order[step]] <= limits[step], range(len(ps)))
    rejected = {order[step] for step in steps}
    corrected = holm(ps)
    assert {place for place, p in enumerate(corrected) if p <= alpha} == rejected


def test_holm_by_hand_and_in_order() -> None:
    assert holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])
    assert holm([0.5, 0.9]) == pytest.approx([1.0, 1.0])
    assert holm([]) == []
