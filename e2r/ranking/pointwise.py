"""Pointwise methods: every candidate is scored on its own, all in one round."""

from __future__ import annotations

import math
from functools import partial

from e2r.ranking.method import Method
from e2r.ranking.plan import Plan, Score


def by_score(n: int, k: int) -> Plan[list[int]]:
    """Order n candidates by score; ties keep the first-stage order, the unscored come last."""
    if n == 0:
        return []
    scores = yield [Score(i) for i in range(n)]
    value = [-math.inf if score is None else score for score in scores]
    return sorted(range(n), key=lambda i: (-value[i], i))


def _bound(n: int, k: int) -> int:
    return n


_pointwise = partial(
    Method, plan=by_score, calls="n", rounds="1", bound=_bound, exact=True, told="exact"
)

QLM = _pointwise(
    name="pointwise.qlm",
    source="Sachan et al., EMNLP 2022; Zhuang et al., SIGIR 2024",
    summary="log-likelihood of the query after the passage",
    llm_rankers=by_score,
)

YES_NO = _pointwise(
    name="pointwise.yes_no",
    source="Liang et al., TMLR 2023; Zhuang et al., SIGIR 2024",
    summary="probability of Yes against No to whether the passage answers the query",
    llm_rankers=by_score,
)

MONOT5 = _pointwise(
    name="pointwise.monot5",
    source="Nogueira et al., EMNLP Findings 2020 (monoT5)",
    summary="probability of true against false after query and document",
    llm_rankers=by_score,
    trained=("monoT5",),
)

CROSS_ENCODER = _pointwise(
    name="pointwise.cross_encoder",
    source="Nogueira and Cho, arXiv 1901.04085",
    summary="the logit of a sequence classifier for query and passage",
)

QWEN3 = _pointwise(
    name="pointwise.qwen3",
    source="Zhang et al., arXiv 2506.05176 (Qwen3-Reranker)",
    summary="probability of yes against no in the chat format of Qwen3-Reranker",
    trained=("Qwen3-Reranker",),
)

GRADED = _pointwise(
    name="pointwise.graded",
    source="Zhuang et al., NAACL 2024 (fine-grained relevance labels)",
    summary="the expected grade on a scale from 0 to 4, over the labels' likelihoods",
)

REASONING = _pointwise(
    name="pointwise.reasoning",
    told=None,
    source="Weller et al., COLM 2025 (Rank1)",
    summary="a thought, then the probability of true against false; its tokens are paid for",
    trained=("rank1",),
)
