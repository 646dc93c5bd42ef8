"""What finding the candidates costs: BM25, learned sparse, dense and late-interaction retrieval.

All figures are FLOPs for one query; encoding the query with a model is priced by `estimate` and
added by `pipeline`. Documents are encoded once, at indexing time, and are not part of a query.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil, fsum

from e2r.errors import DataError

BM25_PER_MATCH = 11
"""Additions, multiplications and divisions of one BM25 summand (arXiv 2507.06223v2, Eq. 17)."""


@dataclass(frozen=True)
class Stage:
    """One stage of a pipeline and its FLOPs for a query."""

    name: str
    flops: int


def pipeline(stages: Iterable[Stage]) -> int:
    """FLOPs of a query through all stages: their sum."""
    return sum(stage.flops for stage in stages)


def bm25(query_terms: int, documents: int) -> int:
    """Upper bound of scoring a query: every term occurs in every document (Eq. 17)."""
    return BM25_PER_MATCH * _whole("query_terms", query_terms) * _whole("documents", documents)


def bm25_matched(postings: int) -> int:
    """Scoring the documents that hold a term, and no others: one summand a posting.

    `postings` are those of the query's distinct terms. What an index that skips documents leaves
    out (block-max WAND) is counted still.
    """
    return BM25_PER_MATCH * _whole("postings", postings)


def expected_overlap(query: Sequence[float], document: Sequence[float]) -> float:
    """Expected number of vocabulary entries that are non-zero in both a query and a document.

    The arguments hold, for each entry of the vocabulary, the share of queries and of documents
    in which it is non-zero. This is the quantity that FLOPs-regularised sparse representations
    minimise (Paria et al., ICLR 2020). Raises DataError for shares outside 0..1 or of unequal
    lengths.
    """
    if len(query) != len(document):
        raise DataError(f"query has {len(query)} shares and document {len(document)}; one a term")
    for name, shares in (("query", query), ("document", document)):
        if any(not 0 <= share <= 1 for share in shares):
            raise DataError(f"{name} shares have to lie between 0 and 1")
    return fsum(q * d for q, d in zip(query, document, strict=True))


def learned_sparse(overlap: float, documents: int) -> int:
    """One multiplication and one addition for each expected common non-zero of each document."""
    if not overlap >= 0:
        raise DataError(f"overlap is {overlap}; the expected number of common terms is at least 0")
    return ceil(2 * overlap * _whole("documents", documents))


def dense_exact(dimensions: int, documents: int) -> int:
    """A dot product with every document vector: 2 · dimensions each."""
    return 2 * _whole("dimensions", dimensions) * _whole("documents", documents)


def dense_hnsw(dimensions: int, visited: int) -> int:
    """A dot product with every graph node that the search visits (Malkov & Yashunin, 2020)."""
    return 2 * _whole("dimensions", dimensions) * _whole("visited", visited)


def late_interaction(
    dimensions: int, query_tokens: int, document_tokens: int, documents: int
) -> int:
    """Every query token against every token of `documents` documents, then the sum of the maxima.

    `document_tokens` is their mean length (Khattab & Zaharia, 2020). Taking a maximum is a
    comparison, not a FLOP.
    """
    queries = _whole("query_tokens", query_tokens)
    products = 2 * _whole("dimensions", dimensions) * queries
    return _whole("documents", documents) * (
        products * _whole("document_tokens", document_tokens) + queries
    )


def _whole(name: str, value: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise DataError(f"{name} is {value!r}; it has to be a whole number of at least 0")
    return value
