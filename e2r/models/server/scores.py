"""Asks an endpoint for a list's scores in each shape that is known, and reads them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from e2r.borders.figures import MOST_TOKENS
from e2r.borders.reading import LONGEST_NAME
from e2r.models.server.http import Post
from e2r.models.server.openai_calls import count


@dataclass(frozen=True)
class Shape:
    """One way to ask: the path, the body of a query and its passages, and where its scores lie.

    `raw` says that scores are asked for as the model makes them, before any sigmoid.
    """

    name: str
    path: str
    body: Callable[[str, str, list[str]], dict[str, Any]]
    rows: str
    score: str
    raw: bool


SHAPES = (
    Shape(
        "score, raw",
        "score",
        lambda model, query, texts: {
            "model": model,
            "text_1": query,
            "text_2": texts,
            "use_activation": False,
        },
        "data",
        "score",
        True,
    ),
    Shape(
        "rerank",
        "rerank",
        lambda model, query, texts: {
            "model": model,
            "query": query,
            "documents": texts,
            "top_n": len(texts),
            "return_documents": False,
        },
        "results",
        "relevance_score",
        False,
    ),
    Shape(
        "rerank of texts, raw",
        "rerank",
        lambda model, query, texts: {"query": query, "texts": texts, "raw_scores": True},
        "results",
        "score",
        True,
    ),
)
"""vLLM's /score; /rerank as Cohere, Jina, vLLM, SGLang, llama.cpp and Infinity have it; TEI's."""
SCORES = ("relevance_score", "score")


@dataclass(frozen=True)
class Scored:
    """The scores of one list, in the order asked, and the tokens that the server counted of it.

    `answered_by` is the model that the server names, where that is another than was asked.
    """

    scores: tuple[float, ...]
    tokens: int | None
    answered_by: str | None = None


def post_of(shape: Shape, model: str, query: str, texts: list[str]) -> Post[Scored]:
    """The call that asks for a list's scores, and how its reply is read."""

    def read(data: dict[str, Any]) -> Scored:
        named = data.get("model")
        other = isinstance(named, str) and named != model
        found = _scored(data, shape, len(texts))
        return replace(found, answered_by=str(named)[:LONGEST_NAME]) if other else found

    return Post(shape.path, shape.body(model, query, texts), read)


def _scored(data: Mapping[str, Any], shape: Shape, passages: int) -> Scored:
    """The scores of a reply, each passage's by its index. Raises ValueError for any other."""
    rows = data[shape.rows]
    found: dict[int, float] = {}
    for row in rows:
        place = row["index"]
        score = next(row[name] for name in (shape.score, *SCORES) if name in row)
        if type(place) is not int or isinstance(score, bool) or not math.isfinite(score):
            raise ValueError(f"{row!r} is no score of a passage")
        found[place] = float(score)
    if sorted(found) != list(range(passages)) or len(rows) != passages:
        raise ValueError(f"it scores {len(rows)} passages of {passages}")
    return Scored(tuple(found[place] for place in range(passages)), _tokens(data, rows))


def _tokens(data: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> int | None:
    """The prompt's tokens as the server tells them: of the whole list, or passage by passage.

    Some servers tell 0 where they do not count. Raises ValueError for counts that cannot be.
    """
    usage = data.get("usage")
    if isinstance(usage, Mapping):
        for name in ("prompt_tokens", "total_tokens"):
            if usage.get(name) not in (None, 0):
                return count(usage[name], name, len(rows), MOST_TOKENS * len(rows))
    infos = [row.get("meta_info") for row in rows]
    each = [info.get("prompt_tokens") for info in infos if isinstance(info, Mapping)]
    if len(each) < len(rows) or None in each or 0 in each:
        return None
    return sum(count(tokens, "prompt_tokens", 1, MOST_TOKENS) for tokens in each)
