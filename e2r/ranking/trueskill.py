"""TrueSkill: beliefs about candidates' merits, updated by an order of some of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

MEAN, DEVIATION = 25.0, 25 / 3
"""Of a candidate of whom nothing is known."""
BETA, TAU = DEVIATION / 2, DEVIATION / 100
"""How far a performance strays from merit, and merit from order to order."""
DRAWN = 0.1
"""How often two alike are taken to draw; orders never say so."""
MOST_PASSES, SETTLED = 10, 1e-4


@dataclass(frozen=True, slots=True)
class Belief:
    """A merit as a normal distribution."""

    mean: float = MEAN
    deviation: float = DEVIATION

    def above(self, threshold: float) -> float:
        """The probability of a merit above a threshold."""
        return 1 - _below((threshold - self.mean) / self.deviation)


class _Normal:
    """A message: precision, and precision times mean."""

    __slots__ = ("pi", "tau")

    def __init__(self, pi: float = 0.0, tau: float = 0.0) -> None:
        self.pi, self.tau = pi, tau

    def __mul__(self, other: _Normal) -> _Normal:
        return _Normal(self.pi + other.pi, self.tau + other.tau)

    def __truediv__(self, other: _Normal) -> _Normal:
        return _Normal(self.pi - other.pi, self.tau - other.tau)


def _added(one: _Normal, other: _Normal, sign: int) -> _Normal:
    """The sum of two independent quantities, the second with a sign."""
    if not one.pi or not other.pi:
        return _Normal()
    variance = 1 / one.pi + 1 / other.pi
    return _Normal(1 / variance, (one.tau / one.pi + sign * other.tau / other.pi) / variance)


def rated(beliefs: Sequence[Belief]) -> list[Belief]:
    """The beliefs after an order of their candidates, the best first.

    Expectation propagation over the chain of neighbours (Herbrich et al., NeurIPS 2006), with the
    usual settings and as many passes as the package `trueskill` makes.
    """
    return list(_rated(tuple(beliefs)))


@lru_cache(maxsize=1 << 14)
def _rated(beliefs: tuple[Belief, ...]) -> tuple[Belief, ...]:
    """The same; queries begin alike, and ask alike again and again."""
    if len(beliefs) < 2:
        return beliefs
    merits = []
    for belief in beliefs:
        pi = 1 / (belief.deviation**2 + TAU**2)
        merits.append(_Normal(pi, pi * belief.mean))
    shown = [_noisy(merit) for merit in merits]
    chain = _Chain(shown)
    last = len(shown) - 2
    for _ in range(MOST_PASSES):
        moved = 0.0
        for place in range(last) if last else [0]:
            moved = max(moved, chain.compare(place))
            if last:
                chain.tell(place, right=True)
        for place in range(last, 0, -1):
            moved = max(moved, chain.compare(place))
            chain.tell(place, right=False)
        if moved <= SETTLED:
            break
    chain.tell(0, right=False)
    chain.tell(last, right=True)
    found = []
    for merit, told in zip(merits, chain.told(), strict=True):
        whole = merit * _noisy(told)
        found.append(Belief(whole.tau / whole.pi, math.sqrt(1 / whole.pi)))
    return tuple(found)


class _Chain:
    """Neighbours in an order, each of whom performed better than the next."""

    def __init__(self, shown: Sequence[_Normal]) -> None:
        pairs = len(shown) - 1
        self._shown = shown
        self._left = [_Normal() for _ in range(pairs)]
        self._right = [_Normal() for _ in range(pairs)]
        self._truth = [_Normal() for _ in range(pairs)]
        self._margin = _quantile((DRAWN + 1) / 2) * math.sqrt(2) * BETA

    def told(self) -> list[_Normal]:
        """What the order says of each performance."""
        nothing = _Normal()
        return [
            left * right
            for left, right in zip([*self._left, nothing], [nothing, *self._right], strict=True)
        ]

    def _without(self, place: int, *, right: bool) -> _Normal:
        """A performance as all but this pair have it."""
        whole = self._shown[place + right]
        if place + right < len(self._left) and right:
            whole = whole * self._left[place + 1]
        if not right and place:
            whole = whole * self._right[place - 1]
        return whole

    def compare(self, place: int) -> float:
        """Learn from a pair that its difference is positive; returns how far that moved."""
        known = _added(self._without(place, right=False), self._without(place, right=True), sign=-1)
        root = math.sqrt(known.pi)
        x = known.tau / root - self._margin * root
        v, w = _truncated(x)
        pi = known.pi / (1 - w)
        tau = (known.tau + root * v) / (1 - w)
        before = known * self._truth[place]
        self._truth[place] = _Normal(pi, tau) / known
        return max(abs(tau - before.tau), math.sqrt(abs(pi - before.pi)))

    def tell(self, place: int, *, right: bool) -> None:
        """Pass what is known of a difference on to one side of its pair."""
        other = self._without(place, right=not right)
        if right:
            self._right[place] = _added(other, self._truth[place], sign=-1)
        else:
            self._left[place] = _added(other, self._truth[place], sign=1)


def _noisy(message: _Normal) -> _Normal:
    """The same behind the noise of a performance."""
    factor = 1 / (1 + BETA**2 * message.pi)
    return _Normal(factor * message.pi, factor * message.tau)


def _truncated(x: float) -> tuple[float, float]:
    """What is added to a mean, and taken off a variance, by cutting what lies below -x."""
    below = _below(x)
    density = math.exp(-x * x / 2) / math.sqrt(2 * math.pi)
    v = density / below if below > 0 else -x
    return v, min(max(v * (v + x), 0.0), 1 - 1e-12)


def _below(x: float) -> float:
    return math.erfc(-x / math.sqrt(2)) / 2


def _quantile(p: float) -> float:
    """Where the standard normal distribution has reached p, by halving."""
    low, high = -10.0, 10.0
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if _below(middle) < p else (low, middle)
    return (low + high) / 2
