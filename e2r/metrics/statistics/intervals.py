"""Query-level bootstrap intervals: BCa, seeded, the same resamples for every figure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

Floats = NDArray[np.float64]
Statistic = Callable[[Floats], Floats]
"""A figure as a function of column means: shape (…, columns) in, shape (…) out."""

Quotient = tuple[str, tuple[str, ...]]
"""A figure as the mean of one column over the sum of the means of others, or that mean alone."""

RESAMPLES = 10_000
CONFIDENCE = 0.95
SEED = 0
_BLOCK_ENTRIES = 2**22
_KEPT_BLOCKS = 4
# Counting jumps from place to place: what it counts at a time stays in a processor's cache.
_COUNTED_ENTRIES = 2**15
# A resample that equals the sample in exact arithmetic may differ from it in the last bits, which
# vary from processor to processor; such resamples count as equal.
_TIE = 1e-12


@dataclass(frozen=True)
class Interval:
    """A figure with its 95 % interval; what cannot be had is None, and `note` says why."""

    value: float | None
    low: float | None = None
    high: float | None = None
    note: str | None = None

    def to_json(self) -> dict[str, float | None]:
        """{value, low, high}."""
        return {"value": self.value, "low": self.low, "high": self.high}


def intervals(columns: Floats, statistics: Mapping[str, Statistic]) -> dict[str, Interval]:
    """BCa intervals of figures that depend on column means, by name.

    `columns` has shape (queries, columns): what was observed of each query. Queries are resampled
    as wholes, so that a ratio of means keeps its pairs. Seeded: the same columns give the same
    intervals. Source: Efron, "Better bootstrap confidence intervals", JASA 82, 1987.
    """
    queries = len(columns)
    if queries == 0:
        return {name: Interval(None, note="no query to measure") for name in statistics}
    with np.errstate(divide="ignore", invalid="ignore"):
        means = columns.mean(axis=0)
        if queries == 1:
            return {name: _single(statistic(means)) for name, statistic in statistics.items()}
        resampled = resampled_means(columns)
        left_out = (columns.sum(axis=0) - columns) / (queries - 1)
        return {
            name: _bca(float(statistic(means)), statistic(resampled), statistic(left_out))
            for name, statistic in statistics.items()
        }


def quotients(columns: Mapping[str, Floats], wanted: Mapping[str, Quotient]) -> dict[str, Interval]:
    """BCa intervals of quotients of named columns, each of shape (queries,).

    A figure that needs a column which is not there is None and says so.
    """
    places = {name: place for place, name in enumerate(columns)}
    held = {
        name: _quotient(places[above], [places[column] for column in below])
        for name, (above, below) in wanted.items()
        if {above, *below} <= places.keys()
    }
    found = intervals(np.column_stack(list(columns.values())), held) if held else {}
    missing = Interval(None, note="not recorded")
    return {name: found.get(name, missing) for name in wanted}


def percentiles(value: float, resampled: Floats) -> Interval:
    """The percentile interval of a figure that jumps, as a least cost does, where BCa has no sense.

    Source: Efron & Tibshirani, An Introduction to the Bootstrap, 1993, ch. 13. Resamples in which
    the figure is undefined (NaN) leave it without an interval.
    """
    if not np.isfinite(resampled).all():
        return Interval(value, note="undefined in some resamples: no interval")
    low, high = np.quantile(resampled, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Interval(value, float(low), float(high))


def resampled_means(columns: Floats) -> Floats:
    """Means of each column over resampled queries, shape (RESAMPLES, columns)."""
    queries = len(columns)
    blocks = _kept(queries) if queries * RESAMPLES <= _KEPT_BLOCKS * _BLOCK_ENTRIES else None
    return np.concatenate([weights @ columns for weights in blocks or _weights(queries)]) / queries


@lru_cache(maxsize=4)
def _kept(queries: int) -> tuple[Floats, ...]:
    return tuple(block.copy() for block in _weights(queries))


def _weights(queries: int) -> Iterator[Floats]:
    """How often each query is drawn: blocks of shape (resamples, queries) that share the draws.

    All lie in one place: a block is written over by the next.
    """
    generator = np.random.default_rng(SEED)
    rows = max(1, _BLOCK_ENTRIES // queries)
    few = max(1, _COUNTED_ENTRIES // queries)
    block = np.empty((min(rows, RESAMPLES), queries))
    for start in range(0, RESAMPLES, rows):
        count = min(rows, RESAMPLES - start)
        for first in range(0, count, few):
            some = min(few, count - first)
            drawn = generator.integers(0, queries, (some, queries))
            drawn += np.arange(some)[:, None] * queries
            counts = np.bincount(drawn.ravel(), minlength=some * queries)
            block[first : first + some] = counts.reshape(some, queries)
        yield block[:count]


def _quotient(above: int, below: Sequence[int]) -> Statistic:
    def quotient(means: Floats) -> Floats:
        found: Floats = means[..., above]
        if below:
            found = found / means[..., list(below)].sum(axis=-1)
        return found

    return quotient


def _single(value: Floats) -> Interval:
    number = float(value)
    if not np.isfinite(number):
        return Interval(None, note="undefined: division by zero")
    return Interval(number, note="one query: no interval")


def _bca(value: float, resampled: Floats, left_out: Floats) -> Interval:
    if not np.isfinite(value):
        return Interval(None, note="undefined: division by zero")
    if not (np.isfinite(resampled).all() and np.isfinite(left_out).all()):
        return Interval(value, note="undefined in some resamples: no interval")
    tie = _TIE * max(abs(value), 1e-300)
    if (np.abs(resampled - value) <= tie).all():
        return Interval(value, value, value, "all queries are equal: the interval has no width")
    below = (resampled < value - tie).sum() + 0.5 * (np.abs(resampled - value) <= tie).sum()
    bias = ndtri(below / len(resampled))
    deviations = left_out.mean() - left_out
    spread = (deviations**2).sum() ** 1.5
    skew = (deviations**3).sum() / (6 * spread) if spread else 0.0
    ends = []
    for level in ((1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2):
        shifted = bias + ndtri(level)
        ends.append(ndtr(bias + shifted / (1 - skew * shifted)))
    if not np.isfinite(ends).all():
        return Interval(value, note="the bootstrap is too skewed for an interval")
    low, high = np.quantile(resampled, ends)
    return Interval(value, float(low), float(high))
