"""Pointwise methods: every candidate is scored on its own, all in one round."""

from __future__ import annotations

import math

from e2r.ranking.method import Method
from e2r.ranking.plan import Plan, Score


def by_score(n: int, k: int) -> Plan[list[int]]:
    """Order n candidates by score; ties keep the first-stage order, the unscored come last."""
    if n == 0:
        return []
    scores = yield [Score(i) for i in range(n)]
    value = [-math.inf if score is None else score for score in scores]
    return sorted(range(n), key=lambda i: (-value[i], i))


QLM = Method(
    name="pointwise.qlm",
    plan=by_score,
    calls="n",
    rounds="1",
    source="Sachan et al., EMNLP 2022; Zhuang et al., SIGIR 2024",
    summary="log-likelihood of the query after the passage",
)

YES_NO = Method(
    name="pointwise.yes_no",
    plan=by_score,
    calls="n",
    rounds="1",
    source="Liang et al., TMLR 2023; Zhuang et al., SIGIR 2024",
    summary="probability of Yes against No to whether the passage answers the query",
)
