"""Setwise methods: the most relevant of a small set is chosen, many times, to sort the top k."""

from __future__ import annotations

from e2r.ranking.method import Method
from e2r.ranking.plan import Choose, Plan, together


def _sift(heap: list[int], size: int, parent: int, children: int) -> Plan[None]:
    """Let the candidate at `parent` sink until it beats its children; a non-answer keeps it."""
    while (first := children * parent + 1) < size:
        places = [parent, *range(first, min(first + children, size))]
        [chosen] = yield [Choose(tuple(heap[place] for place in places))]
        best = next((place for place in places if heap[place] == chosen), parent)
        if best == parent:
            return
        heap[parent], heap[best] = heap[best], heap[parent]
        parent = best


def _levels(last: int, children: int) -> list[range]:
    """The heap's places 0 … last by level, the deepest first."""
    levels, first, width = [], 0, 1
    while first <= last:
        levels.append(range(first, min(first + width, last + 1)))
        first, width = first + width, width * children
    return levels[::-1]


def heapsort(n: int, k: int, set_size: int = 3) -> Plan[list[int]]:
    """Extract the k most relevant of n candidates from a heap of set_size − 1 children.

    The output is the top k, then the rest in first-stage order. Sub-heaps of one level do not
    touch one another, so they are built in shared rounds; the calls are those of the sequential
    algorithm (Zhuang et al., SIGIR 2024, Section 3.3).
    """
    children = set_size - 1
    heap = list(range(n))
    if n > 1:
        for level in _levels(n // children, children):
            yield from together([_sift(heap, n, place, children) for place in level])
    top: list[int] = []
    for size in range(n, 0, -1):
        top.append(heap[0])
        if len(top) >= k:
            break
        heap[0] = heap[size - 1]
        yield from _sift(heap, size - 1, 0, children)
    chosen = set(top)
    return top + [i for i in range(n) if i not in chosen]


HEAPSORT = Method(
    name="setwise.heapsort",
    plan=heapsort,
    parameters={"set_size": 3},
    calls="about 116–140 for set_size 3, 75–82 for 4 (n = 100, k = 10); it depends on the answers",
    rounds="below calls: sub-heaps of a level share a round",
    source="Zhuang et al., SIGIR 2024",
    summary="heap whose every comparison chooses among a parent and its children",
)
