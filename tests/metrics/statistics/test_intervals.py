"""Bootstrap intervals: equal to scipy's, paired, seeded, and honest about degenerate samples."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import bootstrap

from e2r.metrics.statistics import intervals as module
from e2r.metrics.statistics.intervals import RESAMPLES, SEED, intervals

MEAN = {"mean": lambda means: means[..., 0]}
RATIO = {"ratio": lambda means: means[..., 0] / means[..., 1]}


def sample(queries: int) -> np.ndarray:
    generator = np.random.default_rng(7)
    return np.column_stack([generator.beta(2, 3, queries), generator.lognormal(0, 1, queries)])


def scipy_bca(columns: np.ndarray, statistic: object) -> tuple[float, float]:
    found = bootstrap(
        tuple(columns.T),
        statistic,
        paired=True,
        vectorized=True,
        n_resamples=RESAMPLES,
        method="BCa",
        rng=np.random.default_rng(SEED),
    )
    return found.confidence_interval.low, found.confidence_interval.high


@pytest.mark.parametrize("queries", [2, 5, 43, 200])
def test_interval_of_a_mean_is_scipys(queries: int) -> None:
    columns = sample(queries)[:, :1]
    found = intervals(columns, MEAN)["mean"]
    assert found.value == pytest.approx(columns.mean(), rel=1e-12)
    wanted = scipy_bca(columns, lambda x, axis: x.mean(axis=axis))
    assert (found.low, found.high) == pytest.approx(wanted, rel=1e-9)


# With fewer queries some resamples repeat the sample, and scipy counts them by their rounding.
@pytest.mark.parametrize("queries", [20, 43])
def test_interval_of_a_ratio_of_means_keeps_pairs_as_scipys_does(queries: int) -> None:
    columns = sample(queries)
    found = intervals(columns, RATIO)["ratio"]
    wanted = scipy_bca(columns, lambda x, y, axis: x.mean(axis=axis) / y.mean(axis=axis))
    assert (found.low, found.high) == pytest.approx(wanted, rel=1e-9)


def test_a_large_sample_is_resampled_in_blocks_with_the_same_draws(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    columns = sample(60)
    whole = intervals(columns, RATIO)["ratio"]
    module._kept.cache_clear()
    monkeypatch.setattr(module, "_BLOCK_ENTRIES", 60 * 777)
    assert intervals(columns, RATIO)["ratio"].low == pytest.approx(whole.low, rel=1e-12)
    module._kept.cache_clear()


def test_the_same_columns_give_the_same_interval() -> None:
    assert intervals(sample(30), RATIO) == intervals(sample(30), RATIO)


def test_a_proportional_cost_makes_a_ratio_without_width() -> None:
    quality = sample(20)[:, 0]
    found = intervals(np.column_stack([quality, 2 * quality]), RATIO)["ratio"]
    assert found.low == found.high == found.value == pytest.approx(0.5)
    assert found.note is not None
    assert "equal" in found.note


def test_one_query_has_no_interval() -> None:
    found = intervals(np.array([[0.5]]), MEAN)["mean"]
    assert (found.value, found.low, found.high) == (0.5, None, None)
    assert found.note == "one query: no interval"


def test_equal_queries_have_an_interval_without_width() -> None:
    found = intervals(np.full((5, 1), 0.1), MEAN)["mean"]
    assert found.low == found.high == found.value
    assert found.note is not None


def test_no_query_is_no_figure() -> None:
    assert intervals(np.empty((0, 1)), MEAN)["mean"].value is None


@pytest.mark.parametrize("queries", [1, 3])
def test_division_by_zero_is_undefined_never_infinite(queries: int) -> None:
    found = intervals(np.column_stack([np.ones(queries), np.zeros(queries)]), RATIO)["ratio"]
    assert (found.value, found.low, found.high) == (None, None, None)
    assert found.note is not None
    assert "zero" in found.note


def test_a_ratio_undefined_in_some_resamples_keeps_its_value_alone() -> None:
    found = intervals(np.array([[1.0, 0.0], [1.0, 2.0]]), RATIO)["ratio"]
    assert (found.value, found.low, found.high) == (1.0, None, None)
