"""In-context reranking: candidates by the attention that the query pays to their tokens."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from e2r.ranking.listwise import window_count, windows
from e2r.ranking.method import Method
from e2r.ranking.plan import Attend, Calibrate, Plan


def icr(n: int, k: int, window: int = 100, step: int = 50) -> Plan[list[int]]:
    """Order n candidates by calibrated attention, in windows from the bottom to the top.

    Each window is asked about twice in one round, once for the query and once for a query without
    content (Chen et al., ICLR 2025). The authors advise a window that holds all candidates. A
    window without both answers keeps its order.
    """
    ranking = list(range(n))
    for places in windows(n, window, step):
        inside = slice(places.start, places.stop)
        shown = tuple(ranking[inside])
        attended, idle = yield [Attend(shown), Calibrate(shown)]
        if attended is not None and idle is not None:
            scores = [calibrated(*tokens) for tokens in zip(attended, idle, strict=True)]
            order = sorted(range(len(shown)), key=lambda i: (-scores[i], i))
            ranking[inside] = [shown[i] for i in order]
    return ranking


def calibrated(attended: Sequence[float], idle: Sequence[float]) -> float:
    """A document's attention beyond what it gets without a query, by token, outliers left out.

    Tokens more than two standard deviations below the document's mean are dropped (Chen et al.,
    ICLR 2025, Section 3.2).
    """
    gained = [ours - theirs for ours, theirs in zip(attended, idle, strict=True)]
    if len(gained) < 2:
        return sum(gained)
    least = statistics.fmean(gained) - 2 * statistics.stdev(gained)
    return sum(gain for gain in gained if gain >= least)


def _bound(n: int, k: int, window: int = 100, step: int = 50) -> int:
    return 2 * window_count(n, window, step)


ICR = Method(
    name="attention.icr",
    plan=icr,
    parameters={"window": 100, "step": 50},
    calls="2 · (⌈(n − window) / step⌉ + 1); 2 for n ≤ window",
    rounds="half the calls: a window is asked about with and without the query in one round",
    bound=_bound,
    exact=True,
    told="exact",
    source="Chen et al., ICLR 2025 (in-context reranking)",
    summary="attention from query to documents, less what a query without content gets",
)
