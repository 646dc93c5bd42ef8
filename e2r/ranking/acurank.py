"""AcuRank: windows are ordered again as long as it is uncertain who is among the best."""

from __future__ import annotations

from collections.abc import Sequence

from e2r.ranking.method import Method
from e2r.ranking.plan import Order, Plan
from e2r.ranking.trueskill import Belief, rated

TOLERANCE = 0.01
"""Of a probability to be among the best; those nearer to 0 or 1 are certain."""
FEWEST = 10
"""Uncertain candidates with which one more round is the last."""
MOST = 100
"""Calls after the first round over all."""
SURE = 3.0902
"""Deviations below which a thousandth of a normal distribution lies."""
HALVINGS = 60


def acurank(n: int, k: int, window: int = 20) -> Plan[list[int]]:
    """Find the top k of n by beliefs about their merits (Yoon et al., NeurIPS 2025).

    All candidates are ordered once in windows, in one round. Then those of whom it is uncertain
    whether they are among the best k are, best first, until fewer than FEWEST are left or MOST
    calls are made; a window without an answer changes nothing.
    """
    if n < 2:
        return list(range(n))
    belief = [Belief() for _ in range(n)]
    ranking, left, last = list(range(n)), MOST, False
    windows = _windows(ranking, window)
    while True:
        answers = yield [Order(shown) for shown in windows]
        for answer in answers:
            if answer is not None:
                for i, new in zip(answer, rated([belief[i] for i in answer]), strict=True):
                    belief[i] = new
        if last or not left:
            return sorted(ranking, key=lambda i: -belief[i].mean)
        if left == MOST and ranking == list(range(n)):
            ranking = sorted(ranking, key=lambda i: -belief[i].mean)
        threshold = _threshold(belief, min(k, n))
        chance = [one.above(threshold) for one in belief]
        ranking = sorted(ranking, key=lambda i: -chance[i])
        chosen = [i for i in ranking if TOLERANCE < chance[i] < 1 - TOLERANCE]
        if len(chosen) < FEWEST:
            last, chosen = True, [i for i in ranking if chance[i] > TOLERANCE]
        windows = _windows(chosen, window)[:left]
        left -= len(windows)
        if not windows:
            return sorted(ranking, key=lambda i: -belief[i].mean)


def _windows(chosen: Sequence[int], window: int) -> list[tuple[int, ...]]:
    """Disjoint windows, those of one candidate left out."""
    cut = [tuple(chosen[start : start + window]) for start in range(0, len(chosen), window)]
    return [shown for shown in cut if len(shown) > 1]


def _threshold(beliefs: Sequence[Belief], count: int) -> float:
    """The merit above which `count` candidates are to be expected."""
    if count >= len(beliefs):
        return min(one.mean - SURE * one.deviation for one in beliefs)
    widest = 5 * max(one.deviation for one in beliefs)
    low = min(one.mean for one in beliefs) - widest
    high = max(one.mean for one in beliefs) + widest
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        if sum(one.above(middle) for one in beliefs) > count:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _bound(n: int, k: int, window: int = 20) -> int:
    return 0 if n < 2 else -(-n // window) + MOST


ACURANK = Method(
    name="tournament.acurank",
    plan=acurank,
    parameters={"window": 20},
    calls="⌈n / window⌉, then as many as it takes, at most 100 more",
    rounds="1, then one for each time that candidates are uncertain",
    bound=_bound,
    source="Yoon et al., NeurIPS 2025 (AcuRank)",
    summary="windows of those who may be among the best, as long as that is uncertain",
)
