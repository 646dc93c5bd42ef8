"""Paired tests over queries: randomisation and t, corrected for many comparisons."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.special import stdtr

from e2r.metrics.statistics.intervals import SEED, Floats

FLIPS = 100_000
_BLOCK_ENTRIES = 2**22
_BLOCK_FLIPS = 2**13
_MOST_EXACT = 16
# Sums that are equal in exact arithmetic may differ in their last bits.
_TIE = 1e-12


@dataclass(frozen=True)
class Paired:
    """Two-sided tests of a mean difference being zero.

    `effect` is Cohen's d of paired samples: mean difference / standard deviation of the
    differences. What a single query, or equal differences, leave undefined is None.
    """

    difference: float
    p_randomisation: float
    p_t: float | None
    effect: float | None
    wins: int
    ties: int
    losses: int


def paired_tests(differences: Floats, p_randomisation: float | None = None) -> Paired:
    """Test per-query differences, shape (queries,), at least one.

    The randomisation test flips signs (Fisher, 1935; Smucker et al., CIKM 2007): all flips up to 16
    queries, else 100,000 seeded ones with the observed flip counted in. Who has its p-value already
    passes it.
    """
    n = len(differences)
    mean = float(differences.mean())
    spread = float(differences.std(ddof=1)) if n > 1 else 0.0
    negligible = spread <= _TIE * float(np.abs(differences).max(initial=0.0))
    p_t, effect = None, None
    if n > 1 and not negligible:
        t = mean / (spread / np.sqrt(n))
        p_t = float(2 * stdtr(n - 1, -abs(t)))
        effect = mean / spread
    return Paired(
        difference=mean,
        p_randomisation=(
            _randomisation(differences) if p_randomisation is None else p_randomisation
        ),
        p_t=p_t,
        effect=effect,
        wins=int((differences > 0).sum()),
        ties=int((differences == 0).sum()),
        losses=int((differences < 0).sum()),
    )


def holm(ps: Sequence[float]) -> list[float]:
    """P-values corrected for their number (Holm, 1979), in the order given."""
    corrected = [0.0] * len(ps)
    highest = 0.0
    for step, place in enumerate(sorted(range(len(ps)), key=lambda i: ps[i])):
        highest = max(highest, min(1.0, ps[place] * (len(ps) - step)))
        corrected[place] = highest
    return corrected


def randomisations(values: Floats, pairs: Sequence[tuple[int, int]]) -> list[float]:
    """The randomisation test of each pair of columns of `values`, shape (queries, columns).

    Flipping the signs of a difference flips those of its parts, so that one product of flips and
    values serves all pairs.
    """
    queries = len(values)
    differences = [values[:, one] - values[:, other] for one, other in pairs]
    least = [abs(d.sum()) - _TIE * float(np.abs(d).sum()) for d in differences]
    exact = queries <= _MOST_EXACT
    extreme = [0] * len(pairs)
    for flips in [_every_flip(queries)] if exact else _flips(queries):
        for start in range(0, len(flips), _BLOCK_FLIPS):
            sums = (flips[start : start + _BLOCK_FLIPS] @ values).T.copy()
            for place, (one, other) in enumerate(pairs):
                far = np.abs(sums[one] - sums[other]) >= least[place]
                extreme[place] += int(np.count_nonzero(far))
    if exact:
        return [count / 2**queries for count in extreme]
    return [(count + 1) / (FLIPS + 1) for count in extreme]


def _randomisation(differences: Floats) -> float:
    alone = np.column_stack([differences, np.zeros(len(differences))])
    return randomisations(alone, [(0, 1)])[0]


@lru_cache(maxsize=2)
def _every_flip(n: int) -> Floats:
    bits = np.arange(2**n)[:, None] >> np.arange(n)
    return (1 - 2 * (bits & 1)).astype(np.float64)


def _flips(n: int) -> Iterator[Floats]:
    generator = np.random.default_rng(SEED)
    rows = max(1, _BLOCK_ENTRIES // n)
    for start in range(0, FLIPS, rows):
        drawn = generator.integers(0, 2, (min(rows, FLIPS - start), n))
        yield (1 - 2 * drawn).astype(np.float64)
