"""The plans of ielab/llm-rankers where they differ from the published methods, faults included.

They are for reproducing that project's figures (Zhuang et al., SIGIR 2024); docs/methods.md lists
what is at fault in each.
"""

from __future__ import annotations

from typing import Any

from e2r.ranking.heap import with_rest
from e2r.ranking.plan import Choose, Order, Plan, Prefer


def share(first: Any, second: Any) -> float:
    """The first of two candidates' share of a point, from the answers of both orders."""
    if first is True and second is False:
        return 1.0
    if first is False and second is True:
        return 0.0
    return 0.5


def setwise_bubblesort(n: int, k: int, set_size: int = 3) -> Plan[list[int]]:
    """Windows are skipped wrongly for larger sets, and k is not clamped to n.

    Prompts with one passage or none are made where the skipping runs out of the list.
    """
    stride = set_size - 1
    ranking = list(range(n))
    lowest = n - set_size
    for front in range(k):
        start, end = lowest, lowest + set_size
        changed = False
        while True:
            start = max(start, front)
            window = tuple(ranking[start:end])
            [chosen] = yield [Choose(window)]
            if chosen in window[1:]:
                best = window.index(chosen)
                ranking[start], ranking[start + best] = ranking[start + best], ranking[start]
                if not changed and lowest != n - set_size and best == len(window) - 1:
                    # A window that the front has shortened moves the grid off its places.
                    lowest += len(window) - 1
                changed = True
            if start == front:
                break
            if not changed:
                lowest -= stride
            start -= stride
            end -= stride
    return with_rest(ranking[:k], n)


def pairwise_allpair(n: int, k: int) -> Plan[list[int]]:
    """Ties go to whoever was given points first; only the top k are taken from the points."""
    pairs = [(i, j) for i in range(n) for j in range(i + 1, n)]
    points: dict[int, float] = {}
    if pairs:
        answers = yield [Prefer(*shown) for i, j in pairs for shown in ((i, j), (j, i))]
        for (i, j), first, second in zip(pairs, answers[::2], answers[1::2], strict=True):
            part = share(first, second)
            for candidate, gained in ((i, part), (j, 1 - part)):
                if gained:
                    points[candidate] = points.get(candidate, 0.0) + gained
    ranking = sorted(points, key=lambda i: -points[i])
    return with_rest(ranking[:k], n)


def sliding_window(
    n: int, k: int, window: int = 20, step: int = 10, repeats: int = 1
) -> Plan[list[int]]:
    """Windows that do not reach down from a whole place are left out, at the top as well.

    A list shorter than the window makes no call.
    """
    ranking = list(range(n))
    for _ in range(repeats):
        for start in range(n - window, -1, -step):
            [ordered] = yield [Order(tuple(ranking[start : start + window]))]
            if ordered is not None:
                ranking[start : start + window] = ordered
    return ranking
