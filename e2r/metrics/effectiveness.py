"""Effectiveness: any measure of ir-measures, query by query."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from subprocess import CalledProcessError
from typing import Any

from e2r.data.collection import Judgments
from e2r.errors import DataError, UsageError, unknown

_BETWEEN_MEASURES = re.compile(r"[,\s]+(?![^()]*\))")
# How ir-measures prints a parameter that has no default.
_NOT_GIVEN = re.compile(r"=<object object at \w+>")
# gdeval, which computes ERR for ir-measures, takes every judgment as a grade of 0 to 4.
_GDEVAL_SCALE = 4

QUERIES_AT_ONCE = 250
"""Queries whose rankings and judgments the library holds in its own forms at a time."""

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

    def __repr__(self) -> str:
        queries = max(map(len, self.values.values()), default=0)
        return f"<Scores: {' '.join(self.values)} of {queries} queries>"


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
            _refuse_below_one(name, measure)
            _try(measure)
            measures[str(measure)] = measure
        except NameError:
            raise _unknown(name, ir_measures.measures.registry) from None
        except KeyError as error:
            raise UsageError(f"measure {name!r} has no parameter {error}") from None
        except (ValueError, AssertionError) as error:
            reason = _NOT_GIVEN.sub(" is missing", " ".join(str(error).split())).rstrip(".")
            raise UsageError(
                f"measure {name!r} cannot be computed: {reason}; {_hint(name)}"
            ) from None
    return measures


def _refuse_below_one(name: str, measure: Any) -> None:
    """A cutoff or a least grade of 0 ends some providers' processes."""
    for parameter in ("cutoff", "rel"):
        value = measure.params.get(parameter)
        if isinstance(value, int) and value < 1:
            raise UsageError(f"measure {name!r}: {parameter} is {value}; give at least 1")


def _try(measure: Any) -> None:
    """Raise what ir-measures raises for a measure that it cannot compute as written."""
    import ir_measures

    # Judgments of every grade on the measure's scale; for others its providers log warnings.
    scale = measure.params.get("max_rel")
    grades = range(1 + (scale if isinstance(scale, int) else 1))
    ir_measures.evaluator([measure], {"q": {f"d{grade}": grade for grade in grades}})


def _hint(name: str) -> str:
    """A way to write a measure so that it can be computed."""
    import ir_measures

    stem = re.split(r"[@(]", name)[0]
    for ending in ("@10", "(rel=1)", "(rel=1)@10"):
        try:
            _try(ir_measures.parse_measure(stem + ending))
        except (ValueError, AssertionError, KeyError, NameError):
            continue
        return f"write {stem + ending}, for instance"
    return "write it as Name(parameter=value)@cutoff, as in RR(rel=2)@10"


def _refuse_unreachable(measures: Mapping[str, Any], judgments: Judgments) -> None:
    """Raise DataError for a measure whose grades these judgments do not have: it would mislead.

    Where no document is relevant at all, every measure is 0, and that is the truth.
    """
    least = {name: measure.params.get("rel") for name, measure in measures.items()}
    scales = {
        name: _GDEVAL_SCALE if measure.NAME == "ERR" else measure.params.get("max_rel")
        for name, measure in measures.items()
    }
    if not any(isinstance(grade, int) for grade in (*least.values(), *scales.values())):
        return
    highest = max((max(grades.values(), default=0) for grades in judgments.values()), default=0)
    for name in measures:
        wanted, scale = least[name], scales[name]
        if isinstance(wanted, int) and 1 <= highest < wanted:
            raise DataError(
                f"{name} counts grades from {wanted} up, but the highest judgment is {highest}; "
                f"ask for rel={highest} or a measure of another kind"
            )
        if isinstance(scale, int) and highest == 1 < scale:
            raise DataError(
                f"{name} weighs grades on a scale up to {scale}, but these judgments are binary; "
                "ask for a measure of binary relevance, as nDCG, RR or AP"
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
    _refuse_unreachable(measures, judgments)
    values: dict[str, dict[str, float]] = {name: dict.fromkeys(counted, 0.0) for name in measures}
    names = {measure: name for name, measure in measures.items()}
    ranked = [qid for qid in counted if qid in ranking]
    missing = [qid for qid in counted if qid not in ranking]
    for start in range(0, len(ranked), QUERIES_AT_ONCE):
        # The library is never given a share without a ranking: it has words of its own for that.
        share = ranked[start : start + QUERIES_AT_ONCE] + ([] if start else missing)
        # trec_eval takes -2 for a mark of its own, and dies of a query that has nothing above it.
        qrels = {
            qid: {docid: max(grade, -1) for docid, grade in judgments[qid].items()} for qid in share
        }
        run = {qid: dict(ranking[qid]) for qid in share if qid in ranking}
        try:
            for metric in ir_measures.iter_calc(list(measures.values()), qrels, run):
                values[names[metric.measure]][metric.query_id] = float(metric.value)
        except Exception as error:  # providers fail in their own ways, some by a failed subprocess
            why = f"{error}"
            if isinstance(error, CalledProcessError):
                why = f"an outside program that does it ended with status {error.returncode}"
            raise DataError(
                f"{', '.join(measures)} cannot be computed on these judgments: {why}"
            ) from error
    for name, by_query in values.items():
        for qid, value in by_query.items():
            if not math.isfinite(value):
                raise DataError(f"{name} of query {qid} is {value}: the judgments do not define it")
    return Scores(
        values,
        missing=tuple(missing),
        unjudged=tuple(qid for qid in queries if qid not in judgments),
    )
