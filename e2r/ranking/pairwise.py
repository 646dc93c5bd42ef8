"""Pairwise methods: two candidates are compared in both orders, to sort or to count wins."""

from __future__ import annotations

from collections.abc import Sequence

from e2r.ranking import heap as heaps
from e2r.ranking import reference
from e2r.ranking.method import Method
from e2r.ranking.plan import Duel, Plan, Prefer


def _beats(candidate: int, other: int) -> Plan[bool]:
    """Whether a candidate is preferred whichever of the two is shown first."""
    shown_first, shown_second = yield [Prefer(candidate, other), Prefer(other, candidate)]
    return shown_first is True and shown_second is False


def _wins_duel(candidate: int, other: int) -> Plan[bool]:
    """Whether a candidate is the more probable one when shown first than the other is."""
    ours, theirs = yield [Duel(candidate, other), Duel(other, candidate)]
    return ours is not None and theirs is not None and ours > theirs


def _sift(heap: list[int], size: int, parent: int) -> Plan[None]:
    return _sink(heap, size, parent, duel=False)


def _sift_by_duels(heap: list[int], size: int, parent: int) -> Plan[None]:
    return _sink(heap, size, parent, duel=True)


def _sink(heap: list[int], size: int, parent: int, *, duel: bool) -> Plan[None]:
    """Let the candidate at `parent` sink in a binary heap, one comparison a child."""
    beats = _wins_duel if duel else _beats
    while True:
        best = parent
        for child in range(2 * parent + 1, min(2 * parent + 3, size)):
            if (yield from beats(heap[child], heap[best])):
                best = child
        if best == parent:
            return
        heap[parent], heap[best] = heap[best], heap[parent]
        parent = best


def heapsort(n: int, k: int) -> Plan[list[int]]:
    """Extract the k most relevant of n candidates from a binary heap (Qin et al., 2024)."""
    return heaps.extract_top(n, k, 2, _sift)


def heapsort_by_duels(n: int, k: int) -> Plan[list[int]]:
    """The same, each comparison by the probabilities of both orders (Pradeep et al., 2021)."""
    return heaps.extract_top(n, k, 2, _sift_by_duels)


def bubblesort(n: int, k: int) -> Plan[list[int]]:
    """Bring the k most relevant of n candidates to the front, one pass each (Qin et al., 2024).

    A pass starts at the lowest pair that the pass before it can have changed.
    """
    ranking = list(range(n))
    lowest = n - 1
    for front in range(min(k, n - 1)):
        changed = None
        for i in range(lowest, front, -1):
            if (yield from _beats(ranking[i], ranking[i - 1])):
                ranking[i - 1], ranking[i] = ranking[i], ranking[i - 1]
                changed = changed or i
        if changed is None:
            break
        lowest = min(changed + 1, n - 1)
    return heaps.with_rest(ranking[:k], n)


def allpair(n: int, k: int) -> Plan[list[int]]:
    """Order n candidates by wins over all others, ½ each where the two orders disagree.

    Ties keep first-stage order (Qin et al., 2024).
    """
    pairs = [(i, j) for i in range(n) for j in range(i + 1, n)]
    points = [0.0] * n
    if pairs:
        answers = yield [Prefer(*shown) for i, j in pairs for shown in ((i, j), (j, i))]
        for (i, j), first, second in zip(pairs, answers[::2], answers[1::2], strict=True):
            share = reference.share(first, second)
            points[i] += share
            points[j] += 1 - share
    return by_points(points)


def allpair_by_duels(n: int, k: int) -> Plan[list[int]]:
    """Order n candidates by the sum of their probabilities over all others in both orders.

    A missing answer counts ½ (SYM-SUM of Pradeep et al., 2021).
    """
    pairs = [(i, j) for i in range(n) for j in range(n) if i != j]
    points = [0.0] * n
    if pairs:
        answers = yield [Duel(i, j) for i, j in pairs]
        for (i, j), answer in zip(pairs, answers, strict=True):
            chance = 0.5 if answer is None else answer
            points[i] += chance
            points[j] += 1 - chance
    return by_points(points)


def by_points(points: Sequence[float]) -> list[int]:
    """Candidates by points, ties in first-stage order."""
    return sorted(range(len(points)), key=lambda i: (-points[i], i))


def _heapsort_bound(n: int, k: int) -> int:
    return 4 * heaps.most_sifts(n, k, 2)


def _bubblesort_bound(n: int, k: int) -> int:
    passes = min(k, max(n - 1, 0))
    return passes * (2 * n - passes - 1)


def _allpair_bound(n: int, k: int) -> int:
    return n * (n - 1)


QIN = "Qin et al., NAACL Findings 2024 (PRP); Zhuang et al., SIGIR 2024"
DUO = "Pradeep et al., arXiv 2101.05667 (duoT5)"

ALLPAIR = Method(
    name="pairwise.allpair",
    plan=allpair,
    calls="n · (n − 1)",
    rounds="1",
    bound=_allpair_bound,
    exact=True,
    told="exact",
    source=QIN,
    summary="every pair in both orders; a consistent win counts 1, anything else ½ each",
    llm_rankers=reference.pairwise_allpair,
)

HEAPSORT = Method(
    name="pairwise.heapsort",
    plan=heapsort,
    calls="two a comparison, about 230–280 comparisons (n = 100, k = 10); it depends on the "
    "answers",
    rounds="below half the calls: both orders and the sub-heaps of a level share a round",
    bound=_heapsort_bound,
    told="estimate",
    source=QIN,
    summary="binary heap whose comparisons ask both orders; a win must hold in both",
    llm_rankers=heapsort,
)

BUBBLESORT = Method(
    name="pairwise.bubblesort",
    plan=bubblesort,
    calls="two a comparison, at most k · (2n − k − 1) calls; it depends on the answers",
    rounds="half the calls",
    bound=_bubblesort_bound,
    source=QIN,
    summary="k passes from the bottom; pairs known to be unchanged are skipped",
    llm_rankers=bubblesort,
)

DUOT5 = Method(
    name="pairwise.duot5",
    plan=heapsort_by_duels,
    calls=HEAPSORT.calls,
    rounds=HEAPSORT.rounds,
    bound=_heapsort_bound,
    source=DUO,
    summary="heapsort by the probability of true against false in both orders",
    llm_rankers=heapsort_by_duels,
    trained=("duoT5",),
)

DUOT5_ALLPAIR = Method(
    name="pairwise.duot5.allpair",
    plan=allpair_by_duels,
    calls="n · (n − 1)",
    rounds="1",
    bound=_allpair_bound,
    exact=True,
    told="exact",
    source=DUO,
    summary="every pair in both orders; the probabilities of true are added up",
    trained=("duoT5",),
)
