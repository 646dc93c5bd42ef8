"""The method that asks nothing: the first stage's own order, which others are held against."""

from __future__ import annotations

from e2r.ranking.method import Method
from e2r.ranking.plan import Plan


def keep(n: int, k: int) -> Plan[list[int]]:
    """Keep n candidates in first-stage order; no call is made."""
    return list(range(n))
    yield


def _bound(n: int, k: int) -> int:
    return 0


FIRST_STAGE = Method(
    name="first_stage",
    plan=keep,
    calls="0",
    rounds="0",
    bound=_bound,
    exact=True,
    source="the candidates as they came",
    summary="no reranking",
)
