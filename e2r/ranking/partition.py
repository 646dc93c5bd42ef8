"""Partitioning from the top: what beats a pivot of the first window is ordered once more."""

from __future__ import annotations

import math

from e2r.ranking.method import Method
from e2r.ranking.plan import Order, Plan


def tdpart(n: int, k: int, window: int = 20, pivot: int = 10) -> Plan[list[int]]:
    """Order n candidates by one pivot (Parry et al., arXiv 2405.14589, Algorithm 1).

    The first window is ordered, and its `pivot`-th candidate is shown in front of each further
    chunk, all in one round. Those that came before it, as many as a window holds, are ordered
    again, unless none did beyond the first window. A call without an answer keeps its order, in
    which nothing beats the pivot.
    """
    ranking = list(range(n))
    if n < 2:
        return ranking
    [first] = yield [Order(tuple(ranking[:window]))]
    head = list(ranking[:window] if first is None else first)
    if n <= window:
        return head
    [chosen], better, worse = head[pivot - 1 : pivot], head[: pivot - 1], head[pivot:]
    chunks = [ranking[start : start + window - 1] for start in range(window, n, window - 1)]
    answers = yield [Order((chosen, *chunk)) for chunk in chunks]
    beaten = 0
    for chunk, answer in zip(chunks, answers, strict=True):
        order = [chosen, *chunk] if answer is None else list(answer)
        place = order.index(chosen)
        better += order[:place]
        worse += order[place + 1 :]
        beaten += place
    again = better[:window]
    if beaten and len(again) > 1:
        [last] = yield [Order(tuple(again))]
        again = again if last is None else list(last)
    return [*again, *better[window:], chosen, *worse]


def _bound(n: int, k: int, window: int = 20, pivot: int = 10) -> int:
    if n <= window:
        return int(n > 1)
    return 2 + math.ceil((n - window) / (window - 1))


TDPART = Method(
    name="partition.tdpart",
    plan=tdpart,
    parameters={"window": 20, "pivot": 10},
    calls="⌈(n − window) / (window − 1)⌉ + 2; one less where nothing beats the pivot; 1 for "
    "n ≤ window",
    rounds="3: the first window, all chunks, what beat the pivot",
    bound=_bound,
    source="Parry et al., arXiv 2405.14589 (TDPart)",
    summary="each chunk is ordered with the first window's pivot; what beats it is ordered again",
)
