"""Setwise methods: the most relevant of a small set is chosen, many times, to sort the top k."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial

from e2r.ranking import heap as heaps
from e2r.ranking import reference
from e2r.ranking.method import LABELLED, Method
from e2r.ranking.plan import Choose, Plan


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


def heapsort(n: int, k: int, set_size: int = 3) -> Plan[list[int]]:
    """Extract the k most relevant of n candidates from a heap of set_size − 1 children.

    The output is the top k, then the rest in first-stage order (Zhuang et al., SIGIR 2024,
    Section 3.3).
    """
    children = set_size - 1
    return heaps.extract_top(n, k, children, partial(_sift, children=children))


def bubblesort(n: int, k: int, set_size: int = 3) -> Plan[list[int]]:
    """Bring the k most relevant of n candidates to the front, one pass of windows each.

    Windows of set_size overlap by one and step up from the bottom; the chosen candidate changes
    places with the window's first. A window is asked again in a later pass only if a candidate
    of it has moved or its first has been taken to the front (Zhuang et al., SIGIR 2024, Section
    3.3, where skipping goes wrong for larger sets).
    """
    stride = set_size - 1
    ranking = list(range(n))
    lowest = n - set_size
    for front in range(min(k, n - 1)):
        # The lowest of the aligned windows that hold the front and at least one more.
        top = n - set_size - stride * ((n - front - 2) // stride)
        start = max(lowest, top)
        lowest = top
        while True:
            first = max(start, front)
            window = tuple(ranking[first : start + set_size])
            [chosen] = yield [Choose(window)]
            if chosen in window[1:]:
                best = first + window.index(chosen)
                ranking[first], ranking[best] = ranking[best], ranking[first]
                # What sank to the window's end is the first of the window below.
                sank = start + stride if best == start + stride else start
                lowest = max(lowest, min(sank, n - set_size))
            if start <= front:
                break
            start -= stride
    return heaps.with_rest(ranking[:k], n)


def insertion(n: int, k: int, set_size: int = 3) -> Plan[list[int]]:
    """Sort the first k of n candidates, then let others in where they beat the last of those.

    The rest is taken set_size − 1 at a time and shown behind the k-th; where none of them is
    chosen, all are passed over by that one call. A chosen one is inserted by halving, and the
    k-th drops out. Taking the first stage's order as a prior is Podolak et al., SIGIR 2025.
    """
    size = min(k, n)
    top = yield from heapsort(size, size, set_size)
    stride = set_size - 1
    for start in range(size, n, stride):
        chunk = list(range(start, min(start + stride, n)))
        while chunk:
            last = top[-1]
            [chosen] = yield [Choose((last, *chunk))]
            if chosen not in chunk:
                break
            chunk.remove(chosen)
            low, high = 0, size - 1
            while low < high:
                middle = (low + high) // 2
                [better] = yield [Choose((top[middle], chosen))]
                low, high = (low, middle) if better == chosen else (middle + 1, high)
            top.insert(low, chosen)
            top.pop()
    return heaps.with_rest(top, n)


def _heapsort_bound(n: int, k: int, set_size: int = 3) -> int:
    return heaps.most_sifts(n, k, set_size - 1)


def _bubblesort_bound(n: int, k: int, set_size: int = 3) -> int:
    return sum(math.ceil((n - 1 - front) / (set_size - 1)) for front in range(min(k, n - 1)))


def _insertion_bound(n: int, k: int, set_size: int = 3) -> int:
    size = min(k, n)
    halvings = math.ceil(math.log2(size)) if size else 0
    rest = n - size
    passed_over = math.ceil(rest / (set_size - 1))
    return _heapsort_bound(size, size, set_size) + rest * (1 + halvings) + passed_over


ZHUANG = "Zhuang et al., SIGIR 2024"

HEAPSORT = Method(
    name="setwise.heapsort",
    plan=heapsort,
    parameters={"set_size": 3},
    most={"set_size": LABELLED},
    calls="about 116–140 for set_size 3, 75–82 for 4 (n = 100, k = 10); it depends on the answers",
    rounds="below calls: sub-heaps of a level share a round",
    bound=_heapsort_bound,
    told="estimate",
    source=ZHUANG,
    summary="heap whose every comparison chooses among a parent and its children",
    llm_rankers=heapsort,
)

BUBBLESORT = Method(
    name="setwise.bubblesort",
    plan=bubblesort,
    parameters={"set_size": 3},
    most={"set_size": LABELLED},
    calls="at most k · ⌈(n − 1) / (set_size − 1)⌉; it depends on the answers",
    rounds="as calls",
    bound=_bubblesort_bound,
    source=ZHUANG,
    summary="k passes of overlapping windows, each bringing its best to its front",
    llm_rankers=reference.setwise_bubblesort,
)

INSERTION = Method(
    name="setwise.insertion",
    plan=insertion,
    parameters={"set_size": 3},
    most={"set_size": LABELLED},
    calls="those of setwise.heapsort over k, then at least ⌈(n − k) / (set_size − 1)⌉; fewer the "
    "better the first stage",
    rounds="below calls: only the first k are sorted in shared rounds",
    bound=_insertion_bound,
    source="Podolak et al., SIGIR 2025 (Setwise Insertion)",
    summary="the first k are sorted; others enter where they beat the k-th",
)

_LIKELIHOOD = "; the label of the highest logit at one position"
HEAPSORT_LIKELIHOOD, BUBBLESORT_LIKELIHOOD, INSERTION_LIKELIHOOD = (
    replace(sort, name=f"{sort.name}.likelihood", summary=sort.summary + _LIKELIHOOD)
    for sort in (HEAPSORT, BUBBLESORT, INSERTION)
)

HEAPSORT_REASONING = replace(
    HEAPSORT,
    name="setwise.heapsort.reasoning",
    source="Zhuang et al., arXiv 2503.06034 (Rank-R1)",
    summary="setwise.heapsort with a thought before each choice, whose tokens are paid for",
    llm_rankers=None,
    told=None,
    trained=("Rank-R1",),
    most={},
)
