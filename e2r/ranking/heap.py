"""A heap over candidate places: its levels, its height, and the calls that sorting by it can take.

The heap is 0-based; the children of place p are c·p + 1 … c·p + c. Sub-heaps of one level do not
touch one another, so they are built in shared rounds; the calls are those of the sequential
algorithm, which builds them one by one.
"""

from __future__ import annotations

from collections.abc import Callable

from e2r.ranking.plan import Plan, together

Sift = Callable[[list[int], int, int], Plan[None]]
"""`sift(heap, size, place)` lets the candidate at a place sink until it beats its children."""


def levels(last: int, children: int) -> list[range]:
    """The heap's places 0 … last by level, the deepest first."""
    found, first, width = [], 0, 1
    while first <= last:
        found.append(range(first, min(first + width, last + 1)))
        first, width = first + width, width * children
    return found[::-1]


def extract_top(n: int, k: int, children: int, sift: Sift) -> Plan[list[int]]:
    """The k most relevant of n candidates, then the rest in first-stage order.

    The heap is not put in order again after the k-th extraction (Zhuang et al., SIGIR 2024,
    Section 3.3).
    """
    heap = list(range(n))
    if n > 1:
        for level in levels(n // children, children):
            yield from together([sift(heap, n, place) for place in level])
    top: list[int] = []
    for size in range(n, 0, -1):
        top.append(heap[0])
        if len(top) >= k:
            break
        heap[0] = heap[size - 1]
        yield from sift(heap, size - 1, 0)
    return with_rest(top, n)


def with_rest(top: list[int], n: int) -> list[int]:
    """The candidates at the top, then all others of n in first-stage order."""
    chosen = set(top)
    return top + [i for i in range(n) if i not in chosen]


def most_sifts(n: int, k: int, children: int) -> int:
    """Steps of sinking that building a heap of n and extracting k can take at most."""
    build = sum(_height(place, n, children) for place in range(n))
    return build + sum(_height(0, n - taken, children) for taken in range(1, min(k, n)))


def _height(place: int, size: int, children: int) -> int:
    """Levels below a place of a heap of that size."""
    height = 0
    while (place := children * place + 1) < size:
        height += 1
    return height
