"""Listwise methods: a window of candidates is put in order, sliding from the bottom to the top."""

from __future__ import annotations

import math
from collections.abc import Iterator

from e2r.ranking import reference
from e2r.ranking.method import LABELLED, Method
from e2r.ranking.plan import Order, Plan, Rate


def windows(n: int, window: int, step: int) -> Iterator[range]:
    """Overlapping windows over n places from the bottom up, the last of which begins at the top."""
    end = n
    while n > 1:
        start = max(end - window, 0)
        yield range(start, end)
        if start == 0:
            break
        end -= step


def sliding_window(
    n: int, k: int, window: int = 20, step: int = 10, repeats: int = 1
) -> Plan[list[int]]:
    """Order n candidates by overlapping windows, the last of which always begins at the top.

    A window shorter than `window` at the top or over a short list is asked all the same, so that
    no candidate is left out (Sun et al., EMNLP 2023, Section 3.2).
    """
    ranking = list(range(n))
    for _ in range(repeats):
        for places in windows(n, window, step):
            inside = slice(places.start, places.stop)
            [ordered] = yield [Order(tuple(ranking[inside]))]
            if ordered is not None:
                ranking[inside] = ordered
    return ranking


def rated(n: int, k: int, window: int = 64) -> Plan[list[int]]:
    """Order n candidates by what each is rated among up to `window` others, all in one round.

    The unrated come last. Ratings of different windows are compared as they are.
    """
    if n == 0:
        return []
    shown = [tuple(range(start, min(start + window, n))) for start in range(0, n, window)]
    answers = yield [Rate(candidates) for candidates in shown]
    value = [-math.inf] * n
    for candidates, ratings in zip(shown, answers, strict=True):
        for candidate, rating in zip(candidates, ratings or (), strict=False):
            value[candidate] = rating
    return sorted(range(n), key=lambda i: (-value[i], i))


def window_count(n: int, window: int, step: int) -> int:
    """How many windows cover n candidates; a single candidate needs none."""
    return 0 if n < 2 else max(0, math.ceil((n - window) / step)) + 1


def _bound(n: int, k: int, window: int = 20, step: int = 10, repeats: int = 1) -> int:
    return repeats * window_count(n, window, step)


CALLS = "repeats · (⌈(n − window) / step⌉ + 1); repeats for n ≤ window"

GENERATION = Method(
    name="listwise.generation",
    plan=sliding_window,
    parameters={"window": 20, "step": 10, "repeats": 1},
    calls=CALLS,
    rounds="as calls",
    bound=_bound,
    exact=True,
    told="exact",
    source="Sun et al., EMNLP 2023 (RankGPT)",
    summary="the window's identifiers are generated in order of relevance",
    llm_rankers=reference.sliding_window,
)

LIKELIHOOD = Method(
    name="listwise.likelihood",
    plan=sliding_window,
    parameters={"window": 20, "step": 10, "repeats": 1},
    calls=CALLS,
    rounds="as calls",
    bound=_bound,
    exact=True,
    told="exact",
    source="Zhuang et al., SIGIR 2024",
    summary="the window's labels are sorted by their logits at one position",
    most={"window": LABELLED},
    llm_rankers=reference.sliding_window,
)

FIRST = Method(
    name="listwise.first",
    plan=sliding_window,
    parameters={"window": 20, "step": 10, "repeats": 1},
    calls=CALLS,
    rounds="as calls",
    bound=_bound,
    exact=True,
    told="exact",
    source="Reddy et al., EMNLP 2024 (FIRST)",
    summary="the window's identifiers are sorted by the first generated token's logits",
    trained=("First_Model",),
    most={"window": 26},
)

REASONING = Method(
    name="listwise.reasoning",
    plan=sliding_window,
    parameters={"window": 20, "step": 10, "repeats": 1},
    calls=CALLS,
    rounds="as calls",
    bound=_bound,
    exact=True,
    source="Liu et al., arXiv 2508.07050 (ReasonRank); Zhang et al., EMNLP 2025 (Rearank)",
    summary="a thought, then the window's identifiers in order; its tokens are paid for",
    trained=("reasonrank", "rearank", "rank-k"),
)

EMBEDDING = Method(
    name="listwise.embedding",
    plan=rated,
    parameters={"window": 64},
    calls="⌈n / window⌉",
    rounds="1",
    bound=lambda n, k, window=64: -(-n // window),
    exact=True,
    told="exact",
    source="Wang et al., arXiv 2509.25085 (jina-reranker-v3)",
    summary="one pass over up to 64 passages; the cosine of each one's state with the query's",
    trained=("jina-reranker-v3",),
    unrun="its scores come from a projector that the checkpoint's own code brings "
    "(JinaForRanking), which e2r does not run",
)

FID = Method(
    name="listwise.fid",
    plan=sliding_window,
    parameters={"window": 20, "step": 10, "repeats": 1},
    calls=CALLS,
    rounds="as calls",
    bound=_bound,
    exact=True,
    told="exact",
    source="Tamber et al., arXiv 2312.16098 (LiT5)",
    summary="an encoder pass for each passage of a window, one decoder over all of them",
    trained=("lit5",),
    unrun="its checkpoints fuse encoder passes in the decoder by code of their own, which e2r does "
    "not run",
)
