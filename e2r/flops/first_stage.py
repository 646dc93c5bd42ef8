"""What finding the candidates costs: BM25, learned sparse, dense and late-interaction retrieval.

All figures are FLOPs for one query; encoding the query with a model is priced by `estimate` and
added by `pipeline`. Documents are encoded once, at indexing time, and are not part of a query.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, fsum

from e2r.errors import DataError
from e2r.flops.expression import Expression, Variable
from e2r.flops.traffic import VALUE

BM25_PER_MATCH = 11
"""Additions, multiplications and divisions of one BM25 summand (arXiv 2507.06223v2, Eq. 17)."""
_DOCUMENTS, _VISITED = Variable("documents"), Variable("visited")
_QUERY, _VECTOR, _LENGTH = (
    Variable("query_tokens"),
    Variable("dimensions"),
    Variable("document_tokens"),
)
SEARCH: Mapping[str, Expression] = {
    "bm25": _QUERY * _DOCUMENTS * Variable("posting_share") * BM25_PER_MATCH,
    "sparse": Variable("overlap") * _DOCUMENTS * 2,
    "dense": _VECTOR * _VISITED * 2,
    "late": _VISITED * (_VECTOR * _QUERY * _LENGTH * 2 + _QUERY),
}
"""FLOPs of a search as expressions, which the functions below and a page's script evaluate.

Every query token stands for a term of its own in `bm25`; `posting_share` is the share of documents
that hold a term. `visited` documents are compared with the query.
"""
INDEX: Mapping[str, Expression] = {
    "dense": _VECTOR * _VISITED * VALUE,
    "late": _VECTOR * _VISITED * _LENGTH * VALUE,
}
"""Bytes of vectors that a search has to read, in 16 bits; of other searches nothing is claimed."""


@dataclass(frozen=True)
class Stage:
    """One stage of a pipeline: its FLOPs for a query, and the bytes of index it has to read."""

    name: str
    flops: int
    bytes: int = 0


def pipeline(stages: Iterable[Stage]) -> int:
    """FLOPs of a query through all stages: their sum."""
    return sum(stage.flops for stage in stages)


def bm25(query_terms: int, documents: int) -> int:
    """Upper bound of scoring a query: every term occurs in every document (Eq. 17)."""
    return _found("bm25", query_tokens=query_terms, documents=documents, posting_share=1)


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
    whole = _whole("documents", documents)
    flops: float = SEARCH["sparse"].evaluate({"overlap": overlap, "documents": whole})
    return ceil(flops)


def dense_exact(dimensions: int, documents: int) -> int:
    """A dot product with every document vector: 2 · dimensions each."""
    return _found("dense", dimensions=dimensions, visited=documents)


def dense_hnsw(dimensions: int, visited: int) -> int:
    """A dot product with every graph node that the search visits (Malkov & Yashunin, 2020)."""
    return _found("dense", dimensions=dimensions, visited=visited)


def late_interaction(
    dimensions: int, query_tokens: int, document_tokens: int, documents: int
) -> int:
    """Every query token against every token of `documents` documents, then the sum of the maxima.

    `document_tokens` is their mean length (Khattab & Zaharia, 2020). Taking a maximum is a
    comparison, not a FLOP.
    """
    return _found(
        "late",
        dimensions=dimensions,
        query_tokens=query_tokens,
        document_tokens=document_tokens,
        visited=documents,
    )


def _found(kind: str, **counts: int) -> int:
    return int(SEARCH[kind].evaluate({name: _whole(name, n) for name, n in counts.items()}))


def _whole(name: str, value: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise DataError(f"{name} is {value!r}; it has to be a whole number of at least 0")
    return value
