"""One line of per_query.jsonl: a query that finished, well or not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from e2r.borders.figures import fault
from e2r.borders.reading import JSON_LINE_BYTES, LONGEST_NAME, json_value


@dataclass(frozen=True)
class QueryRecord:
    """One line of per_query.jsonl: a query that finished, well (`ok`) or not (`failed`).

    `truncated` counts the calls that had text cut away. `query_terms` counts the query's words,
    which the first stage's price needs; where e2r searched itself, `searched_terms` and `postings`
    are the distinct terms that were looked up and the documents that hold them, summed over terms.
    `ranking` holds the reranked docids, best first; it is
    empty for a failed query.
    """

    qid: str
    status: str
    calls: int
    rounds: int
    prompt_tokens: int
    generated_tokens: int
    parse_failures: int
    truncated: int
    seconds: float
    query_terms: int
    ranking: tuple[str, ...]
    error: str | None = None
    searched_terms: int | None = None
    postings: int | None = None

    @property
    def unanswered_rounds(self) -> int:
        """Rounds of which no call need be left: the one in which a query failed."""
        return int(self.status == "failed")


LONGEST_ERROR = 300
"""Characters of a failed query's error: more could be a passage."""
WORDS = {"qid", "status", "ranking", "error"}
STATUSES = ("ok", "failed")
OF_A_QUERY = {
    name: f"query.{name}" for name in ("prompt_tokens", "generated_tokens", "truncated", "seconds")
}
"""Figures of a query that sum up those of its calls, and so have ranges of their own."""


def query_record(line: bytes) -> QueryRecord:
    """A line of per_query.jsonl. Raises ValueError for anything but names and possible figures."""
    if len(line) > JSON_LINE_BYTES:
        raise ValueError(f"a line of more than {JSON_LINE_BYTES >> 20} MiB")
    values = json_value(line)
    names = {field.name for field in fields(QueryRecord)}
    optional = {"error", "searched_terms", "postings"}
    if not isinstance(values, dict) or not names - optional <= values.keys() <= names:
        raise ValueError("its fields are not those of a query")
    for field, value in values.items():
        name = str(field)
        if name in WORDS or (value is None and name in optional):
            continue
        if (why := fault(OF_A_QUERY.get(name, name), value)) is not None:
            raise ValueError(f"{name} {why}")
    ranking, error = values["ranking"], values.get("error")
    if not isinstance(ranking, list) or not set(map(type, ranking)) <= {str}:
        raise ValueError("ranking is no list of document ids")
    if not _are_ids(words := [values["qid"], *ranking]):
        wrong = next(word for word in words if not _are_ids([word]))
        raise ValueError(f"{str(wrong)[:40]!r} is no id")
    if values["status"] not in STATUSES:
        raise ValueError(f"status is {str(values['status'])[:40]!r}; ok or failed is wanted")
    if error is not None and not isinstance(error, str):
        raise ValueError("error is no text")
    return QueryRecord(**{**values, "ranking": tuple(ranking)})


def _are_ids(words: Sequence[Any]) -> bool:
    """Whether all are words of a possible length, without white space."""
    if set(map(type, words)) != {str}:
        return False
    return " ".join(words).split() == words and max(map(len, words)) <= LONGEST_NAME
