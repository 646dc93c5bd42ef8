"""Effectiveness: any measure of ir-measures, query by query."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from e2r.data.collection import Judgments
from e2r.errors import DataError, UsageError, unknown

_BETWEEN_MEASURES = re.compile(r"[,\s]+(?![^()]*\))")

Ranking = Mapping[str, Sequence[tuple[str, float]]]
"""Scored documents by query, best first."""


@dataclass(frozen=True)
class Scores:
    """values[measure][qid] of every counted query: those of the run that have judgments.

    `missing` are counted queries that the ranking does not hold; they score 0. `unjudged` are the
    run's queries without judgments, which do not count.
    """

    values: Mapping[str, Mapping[str, float]]
    missing: tuple[str, ...]
    unjudged: tuple[str, ...]


def parse_measures(words: str | Iterable[str]) -> dict[str, Any]:
    """Measures by their canonical name, from "nDCG@10 RR(rel=2)@10" or a list of such words.

    Raises UsageError with the nearest names for one that ir-measures does not know or cannot
    compute as written.
    """
    import ir_measures

    texts = [words] if isinstance(words, str) else list(words)
    names = [name for text in texts for name in _BETWEEN_MEASURES.split(text.strip()) if name]
    if not names:
        raise UsageError("no measure is named; give some, as in --measures 'nDCG@10 RR(rel=2)@10'")
    measures: dict[str, Any] = {}
    for name in names:
        try:
            measure = ir_measures.parse_measure(name)
            ir_measures.evaluator([measure], {"q": {"d": 1}})
            measures[str(measure)] = measure
        except NameError:
            raise _unknown(name, ir_measures.measures.registry) from None
        except KeyError as error:
            raise UsageError(f"measure {name!r} has no parameter {error}") from None
        except (ValueError, AssertionError) as error:
            raise UsageError(
                f"measure {name!r} cannot be computed: {error}; write it as Name(parameter=value)"
                "@cutoff, as in RR(rel=2)@10"
            ) from None
    return measures


def _refuse_unreachable(measures: Mapping[str, Any], highest: int) -> None:
    """Raise DataError for a measure whose grade of relevance no judgment reaches: it says nothing.

    Where no document is relevant at all, every measure is 0, and that is the truth.
    """
    for name, measure in measures.items():
        wanted = measure.params.get("rel")
        if isinstance(wanted, int) and 1 <= highest < wanted:
            raise DataError(
                f"{name} counts grades from {wanted} up, but the highest judgment is {highest}; "
                f"ask for rel={highest} or a measure of another kind"
            )


def _unknown(name: str, known: Iterable[str]) -> UsageError:
    """Names differ in case more often than in letters, which a similarity of letters misses."""
    stem = re.split(r"[@(]", name)[0]
    same = [other for other in known if other.casefold() == stem.casefold()]
    if same:
        return UsageError(f"unknown measure {stem!r}; did you mean {' or '.join(sorted(same))}?")
    return unknown("measure", stem, known)


def score(
    measures: Mapping[str, Any], ranking: Ranking, judgments: Judgments, queries: Sequence[str]
) -> Scores:
    """Score a ranking query by query over those of `queries` that have judgments.

    Raises DataError where none of them has, or where a measure fails on these judgments.
    """
    import ir_measures

    counted = [qid for qid in queries if qid in judgments]
    if not counted:
        raise DataError(
            "none of the run's queries has a judgment; are these the judgments of another "
            "collection? pass the right ones with --qrels"
        )
    _refuse_unreachable(measures, max(max(judgments[qid].values(), default=0) for qid in counted))
    values: dict[str, dict[str, float]] = {name: dict.fromkeys(counted, 0.0) for name in measures}
    names = {measure: name for name, measure in measures.items()}
    qrels = {qid: dict(judgments[qid]) for qid in counted}
    run = {qid: dict(ranking[qid]) for qid in counted if qid in ranking}
    if run:
        try:
            for metric in ir_measures.iter_calc(list(measures.values()), qrels, run):
                values[names[metric.measure]][metric.query_id] = float(metric.value)
        except Exception as error:  # providers fail in their own ways, some by a failed subprocess
            raise DataError(
                f"{', '.join(measures)} cannot be computed on these judgments: {error}"
            ) from error
    for name, by_query in values.items():
        for qid, value in by_query.items():
            if not math.isfinite(value):
                raise DataError(f"{name} of query {qid} is {value}: the judgments do not define it")
    return Scores(
        values,
        missing=tuple(qid for qid in counted if qid not in run),
        unjudged=tuple(qid for qid in queries if qid not in judgments),
    )
