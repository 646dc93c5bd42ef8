"""JointRank: overlapping blocks are ordered in one round, and their pairs make one ranking."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from e2r.ranking.method import Method
from e2r.ranking.plan import Order, Plan

DAMPING = 0.85
"""The weight of the pairs against a start anywhere, as PageRank has it."""
TOLERANCE = 1e-12
MOST_STEPS = 500


def blocks(n: int, window: int, repeats: int) -> list[tuple[int, ...]]:
    """Blocks of `window` of n candidates, in which each stands `repeats` times or once more.

    They are cut from shuffled rounds of all candidates, a block that a round cannot fill being
    filled from the next. The seed names the block, so that no order of play changes it.
    """
    if n <= window:
        return [tuple(_shuffled(range(n), number)) for number in range(repeats)]
    found: list[tuple[int, ...]] = []
    pool: list[int] = []
    for number in range(-(-repeats * n // window)):
        block, pool = pool[:window], pool[window:]
        if len(block) < window:
            fresh = [i for i in _shuffled(range(n), number) if i not in block]
            missing = window - len(block)
            taken, left = fresh[:missing], fresh[missing:]
            pool = [i for i in _shuffled(range(n), number) if i in block or i in left]
            block += taken
        found.append(tuple(block))
    return found


def jointrank(n: int, k: int, window: int = 20, repeats: int = 4) -> Plan[list[int]]:
    """Order n candidates by PageRank over the pairs of all blocks (Dedov, ICTIR 2025).

    In a block each candidate that comes later gives its weight to those before it. A block
    without an answer tells nothing. Ties keep the first-stage order.
    """
    if n < 2:
        return list(range(n))
    answers = yield [Order(block) for block in blocks(n, window, repeats)]
    won: list[dict[int, int]] = [{} for _ in range(n)]
    for answer in answers:
        for place, loser in enumerate(answer or ()):
            for winner in answer[:place]:
                won[loser][winner] = won[loser].get(winner, 0) + 1
    weight = page_rank(won)
    # Rounding, so that sums of other orders of the same pairs tie.
    return sorted(range(n), key=lambda i: (-round(weight[i], 10), i))


def page_rank(links: Sequence[Mapping[int, int]]) -> list[float]:
    """The stationary weights of links from each of n to others, by counts; they sum to 1.

    One without links gives its weight to all alike (Page et al., 1999).
    """
    n = len(links)
    weight = [1 / n] * n
    totals = [sum(targets.values()) for targets in links]
    for _ in range(MOST_STEPS):
        spread = sum(weight[i] for i in range(n) if not totals[i])
        following = [(1 - DAMPING + DAMPING * spread) / n] * n
        for i, targets in enumerate(links):
            for j, count in targets.items():
                following[j] += DAMPING * weight[i] * count / totals[i]
        moved = sum(abs(new - old) for new, old in zip(following, weight, strict=True))
        weight = following
        if moved < TOLERANCE:
            break
    return weight


def _shuffled(candidates: Sequence[int], number: int) -> list[int]:
    order = list(candidates)
    random.Random(f"jointrank/{number}").shuffle(order)  # noqa: S311
    return order


def _bound(n: int, k: int, window: int = 20, repeats: int = 4) -> int:
    if n < 2:
        return 0
    return repeats if n <= window else -(-repeats * n // window)


JOINTRANK = Method(
    name="tournament.jointrank",
    plan=jointrank,
    parameters={"window": 20, "repeats": 4},
    calls="⌈repeats · n / window⌉, 20 for n = 100; repeats for n ≤ window",
    rounds="1",
    bound=_bound,
    exact=True,
    source="Dedov, ICTIR 2025 (JointRank)",
    summary="overlapping blocks are ordered at once; PageRank over their pairs makes the ranking",
)
