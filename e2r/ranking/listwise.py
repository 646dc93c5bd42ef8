"""Listwise methods: a window of candidates is put in order, sliding from the bottom to the top."""

from __future__ import annotations

from e2r.ranking.method import Method
from e2r.ranking.plan import Order, Plan


def sliding_window(
    n: int, k: int, window: int = 20, step: int = 10, repeats: int = 1
) -> Plan[list[int]]:
    """Order n candidates by overlapping windows, the last of which always begins at the top.

    A window shorter than `window` at the top or over a short list is asked all the same, so that
    no candidate is left out (Sun et al., EMNLP 2023, Section 3.2).
    """
    ranking = list(range(n))
    if n < 2:
        return ranking
    for _ in range(repeats):
        end = n
        while True:
            start = max(end - window, 0)
            [ordered] = yield [Order(tuple(ranking[start:end]))]
            if ordered is not None:
                ranking[start:end] = ordered
            if start == 0:
                break
            end -= step
    return ranking


GENERATION = Method(
    name="listwise.generation",
    plan=sliding_window,
    parameters={"window": 20, "step": 10, "repeats": 1},
    calls="repeats · (⌈(n − window) / step⌉ + 1); repeats for n ≤ window",
    rounds="as calls",
    source="Sun et al., EMNLP 2023 (RankGPT)",
    summary="the window's identifiers are generated in order of relevance",
)
