"""Many pairs of runs at once: the tests of `compare`, each resample and each flip drawn once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from e2r.metrics.cost import PETA
from e2r.metrics.row import Row
from e2r.metrics.statistics.intervals import Floats, Interval, Statistic, intervals
from e2r.metrics.statistics.significance import Paired, paired_tests, randomisations

Pair = tuple[int, int]
"""Two places in a list of runs: first − second is what a difference means."""


@dataclass(frozen=True)
class Duel:
    """A run against another in one measure; p-values are not corrected for the number of duels."""

    difference: Interval
    tests: Paired


def duels(rows: Sequence[Row], pairs: Sequence[Pair], measure: str) -> list[Duel | None]:
    """The duel of each pair of runs of one group, None where one has no such measure.

    As `compare` finds it for two runs, but for the correction of p-values.
    """
    qids = rows[0].qids
    known = [place for place, row in enumerate(rows) if measure in row.scores.values]
    column = {place: number for number, place in enumerate(known)}
    columns = np.array(
        [[rows[place].scores.values[measure][qid] for place in known] for qid in qids]
    )
    fought = [pair for pair in pairs if pair[0] in column and pair[1] in column]
    if not fought:
        return [None] * len(pairs)
    places = [(column[one], column[other]) for one, other in fought]
    spans = intervals(columns, {str(pair): _difference(*pair) for pair in places})
    ps = randomisations(columns, places)
    found = {
        pair: Duel(
            spans[str(place)],
            paired_tests(columns[:, place[0]] - columns[:, place[1]], p),
        )
        for pair, place, p in zip(fought, places, ps, strict=True)
    }
    return [found.get(pair) for pair in pairs]


def cost_ratios(rows: Sequence[Row], pairs: Sequence[Pair]) -> list[Interval]:
    """Mean FLOPs of the first of each pair over the second's; a note where one has no price."""
    qids = rows[0].qids
    known = [place for place, row in enumerate(rows) if row.cost.per_query is not None]
    column = {place: number for number, place in enumerate(known)}
    columns = np.array(
        [[(rows[place].cost.per_query or {})[qid] / PETA for place in known] for qid in qids]
    )
    priced = {
        pair: _ratio(column[pair[0]], column[pair[1]])
        for pair in pairs
        if pair[0] in column and pair[1] in column
    }
    found = intervals(columns, {str(pair): ratio for pair, ratio in priced.items()})
    unpriced = Interval(None, note="one of the runs has no price")
    return [found.get(str(pair), unpriced) for pair in pairs]


def _difference(one: int, other: int) -> Statistic:
    def difference(means: Floats) -> Floats:
        return means[..., one] - means[..., other]

    return difference


def _ratio(above: int, below: int) -> Statistic:
    def ratio(means: Floats) -> Floats:
        return means[..., above] / means[..., below]

    return ratio
