"""compare(runs): is one run better than another, at what cost, and how sure is that?"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from e2r.data.findings import some
from e2r.errors import DataError, UsageError
from e2r.metrics.contrast import Chances, Contrast, money_ratio, p_value
from e2r.metrics.cost import PETA
from e2r.metrics.evaluation import DEFAULT_MEASURES, Evaluation, evaluate
from e2r.metrics.naming import methods
from e2r.metrics.reports.tables import UNDEFINED, Report, Sheet, fixed, ranged
from e2r.metrics.row import Row
from e2r.metrics.statistics.intervals import Floats, Interval, intervals, resampled_means
from e2r.metrics.statistics.significance import holm, paired_tests
from e2r.money.prices import Tariff
from e2r.records.manifest import UNKNOWN

_UNPRICED = Interval(None, note="one of the runs has no price")
# What is equal in exact arithmetic may differ in its last bits.
_TIE = 1e-12
# Columns of a contrast's sample, as far as they can be had.
_BETTER, _COST, _BASE_COST, _GAIN, _BASE_GAIN = range(5)


_DROP = (
    "p (t)",
    "effect",
    "P(cheaper)",
    "P(better)",
    "at equal cost",
    "gain/PFLOP",
    "queries",
    "won/tied/lost",
)


@dataclass(frozen=True, eq=False)
class Comparison(Report):
    """All contrasts with one baseline, and the runs that they are between."""

    evaluation: Evaluation
    baseline: Row
    contrasts: tuple[Contrast, ...]

    def __repr__(self) -> str:
        return f"<Comparison of {len(self.contrasts)} contrasts with {self.baseline!r}>"

    def sheets(self, columns: str | None = None) -> tuple[Sheet, ...]:
        """One sheet, a line a contrast."""
        head = [
            "model",
            "method",
            "measure",
            "queries",
            "difference",
            "p",
            "p (t)",
            "effect",
            "won/tied/lost",
            "FLOPs ratio",
            *(["money ratio"] if any(of.money_ratio for of in self.contrasts) else []),
            "gain/PFLOP",
            "at equal cost",
            "P(better)",
            "P(cheaper)",
            "P(better buy)",
        ]
        named = methods([of.run for of in self.contrasts])
        lines = [
            _cells(of, name, bought="money ratio" in head)
            for of, name in zip(self.contrasts, named, strict=True)
        ]
        return (Sheet(head, lines, 3, _DROP),)

    def flat(self) -> list[dict[str, Any]]:
        """One line a contrast, as in `difference low` and `probability better`."""
        return [contrast.flat() for contrast in self.contrasts]

    def to_json(self) -> list[dict[str, Any]]:
        """One object a contrast."""
        return [contrast.to_json() for contrast in self.contrasts]


def compare(
    runs: Iterable[str | Path],
    measures: str | Iterable[str] = DEFAULT_MEASURES,
    convention: str = "ideal",
    *,
    baseline: str | Path | None = None,
    first_stage: str | Path | None = None,
    qrels: str | None = None,
    note: Callable[[str], None] | None = None,
    tariff: Tariff | None = None,
) -> Comparison:
    """Compare runs with a baseline (the first run unless named), query by query.

    Differences at equal cost need the first stage's own run, from `first_stage` or among `runs`.
    Runs must be of one dataset and one set of judgments; where they hold different queries, the
    common ones are compared and the contrast says so. Raises UsageError for fewer than two runs,
    and DataError for runs that cannot be compared.
    """
    places = [str(run) for run in runs]
    if baseline is not None:
        places = [str(baseline), *places]
    table = evaluate(places, measures, convention, qrels=qrels, note=note, tariff=tariff)
    if len(table.rows) < 2:
        raise UsageError("a comparison needs at least two runs; name another run folder")
    base = table.rows[0]
    first = _first_stages(table.rows)
    if first_stage is not None:
        first = _first_stages(evaluate(first_stage, measures, convention, qrels=qrels).rows)
        if not first:
            raise UsageError(f"{first_stage}: is no run of first_stage; name one by --first-stage")
    return Comparison(table, base, against(base, table.rows[1:], table.measures, first))


def against(
    baseline: Row, rows: Sequence[Row], measures: Sequence[str], first_stages: Sequence[Row]
) -> tuple[Contrast, ...]:
    """Each row against the baseline in each measure, with p-values corrected over all of them.

    Raises DataError for rows that cannot be compared.
    """
    pairs = [(row, name) for row in rows for name in measures]
    contrasts = [_contrast(row, baseline, name, first_stages) for row, name in pairs]
    corrected = holm([found.tests.p_randomisation for found in contrasts])
    known = [place for place, found in enumerate(contrasts) if found.tests.p_t is not None]
    by_t = holm([contrasts[place].tests.p_t or 0.0 for place in known])
    t_values: dict[int, float] = dict(zip(known, by_t, strict=True))
    return tuple(
        replace(found, p=p, p_t=t_values.get(place))
        for place, (found, p) in enumerate(zip(contrasts, corrected, strict=True))
    )


def _contrast(row: Row, base: Row, measure: str, first_stages: Sequence[Row]) -> Contrast:
    _refuse_other_data(row, base)
    shared = set(row.qids)
    common = [qid for qid in base.qids if qid in shared]
    if not common:
        raise DataError(f"{row.path} and {base.path} have no judged query in common")
    difference = _values(row, measure, common) - _values(base, measure, common)
    tests = paired_tests(difference)
    cost, base_cost = _petaflops(row, common), _petaflops(base, common)
    priced = cost is not None and base_cost is not None
    first = _first_stage_of(row, base, first_stages, common)
    columns = [difference]
    if cost is not None and base_cost is not None:
        columns += [cost, base_cost]
        if first is not None:
            at_start = _values(first, measure, common)
            columns += [_values(side, measure, common) - at_start for side in (row, base)]
    sample = np.column_stack(columns)
    ratio, gain, equal = _against_cost(sample) if priced else [_UNPRICED] * 3
    if priced and sample[:, _COST].mean() <= sample[:, _BASE_COST].mean():
        gain = Interval(None, note="the run spends no more than the baseline")
    if priced and first is None:
        equal = Interval(None, note=_no_equal_cost(row, base))
    return Contrast(
        run=row,
        baseline=base,
        measure=measure,
        queries=len(common),
        difference=intervals(sample, {"difference": lambda means: means[..., _BETTER]})[
            "difference"
        ],
        tests=tests,
        p=tests.p_randomisation,
        p_t=tests.p_t,
        cost_ratio=ratio,
        gain_per_petaflop=gain,
        at_equal_cost=equal,
        chances=_chances(resampled_means(sample), priced, equal.value is not None),
        notes=tuple(_notes(row, base, len(common))),
        money_ratio=money_ratio(row, base, common),
    )


def _against_cost(sample: Floats) -> list[Interval]:
    """Ratio of costs, gain per PetaFLOP beyond the baseline, difference at equal cost."""
    found = intervals(
        sample,
        {
            "ratio": lambda means: means[..., _COST] / means[..., _BASE_COST],
            "gain": lambda means: (
                means[..., _BETTER] / (means[..., _COST] - means[..., _BASE_COST])
            ),
            "equal": _at_equal_cost,
        },
    )
    return [found[name] for name in ("ratio", "gain", "equal")]


def _at_equal_cost(means: Floats) -> Floats:
    """The difference of both gains over the first stage, each scaled to the cheaper one's cost."""
    if means.shape[-1] <= _GAIN:
        return np.full(means.shape[:-1], np.nan)
    least = np.minimum(means[..., _COST], means[..., _BASE_COST])
    of_run = means[..., _GAIN] * (least / means[..., _COST])
    of_base = means[..., _BASE_GAIN] * (least / means[..., _BASE_COST])
    difference: Floats = of_run - of_base
    return difference


def _chances(resampled: Floats, priced: bool, equal: bool) -> Chances:
    better, worse = resampled[:, _BETTER] > _TIE, resampled[:, _BETTER] < -_TIE
    if not priced:
        return Chances(float(better.mean()), None, None, None, None, None)
    base = resampled[:, _BASE_COST]
    beyond = resampled[:, _COST] - base
    cheaper, dearer = beyond < -_TIE * base, beyond > _TIE * base
    return Chances(
        better=float(better.mean()),
        cheaper=float(cheaper.mean()),
        better_and_cheaper=float((better & cheaper).mean()),
        dominates=float((~worse & ~dearer).mean()),
        dominated=float((~better & ~cheaper).mean()),
        better_at_equal_cost=float((_at_equal_cost(resampled) > _TIE).mean()) if equal else None,
    )


def _first_stages(rows: Iterable[Row]) -> list[Row]:
    return [row for row in rows if row.manifest.method == "first_stage" and row.complete]


def _first_stage_of(
    row: Row, base: Row, first_stages: Sequence[Row], common: list[str]
) -> Row | None:
    """The run of the first stage whose candidates both runs reranked, or None.

    None too where one of the two is the first stage: what the other spends comes on top of it.
    """
    if "first_stage" in (row.manifest.method, base.manifest.method):
        return None
    for first in first_stages:
        same = all(_candidates(first) == _candidates(side) for side in (row, base))
        if same and set(common) <= set(first.qids):
            return first
    return None


def _candidates(row: Row) -> tuple[str, str, int, str | None]:
    dataset = row.manifest.dataset
    return dataset.id, dataset.first_stage, dataset.depth, dataset.judgments_sha256


def _no_equal_cost(row: Row, base: Row) -> str:
    if "first_stage" in (row.manifest.method, base.manifest.method):
        return "every reranker pays for the first stage as well: no equal cost"
    return "needs the first stage's own run (--first-stage)"


def _refuse_other_data(row: Row, base: Row) -> None:
    for side in (row, base):
        if not side.scores.values:
            raise DataError(f"{side.path}: holds no ranking, so that it has no quality to compare")
    one, other = row.manifest.dataset, base.manifest.dataset
    # How the dataset of a run made elsewhere is called here nobody knows: its judgments tell.
    elsewhere = UNKNOWN in (one.first_stage, other.first_stage)
    alike = one.judgments_sha256 is not None and one.judgments_sha256 == other.judgments_sha256
    if one.id != other.id and not (elsewhere and alike):
        raise DataError(
            f"{row.path} is a run on {one.id} and {base.path} one on {other.id}; "
            "compare runs on the same dataset"
        )
    if one.judgments_sha256 != other.judgments_sha256:
        raise DataError(
            f"{row.path} and {base.path} were judged by different judgments; "
            "compare runs that share theirs"
        )


def _notes(row: Row, base: Row, common: int) -> list[str]:
    notes = []
    if not len(row.qids) == len(base.qids) == common:
        notes.append(
            f"only the {common} common queries are compared "
            f"(the run has {len(row.qids)}, the baseline {len(base.qids)})"
        )
    one, other = row.manifest.dataset, base.manifest.dataset
    same_queries = set(row.qids) == set(base.qids)
    one_stage, other_stage = (one.first_stage, one.depth), (other.first_stage, other.depth)
    if one_stage != other_stage or (
        same_queries and one.candidates_sha256 != other.candidates_sha256
    ):
        notes.append(
            f"they rerank different candidates ({one.first_stage} top {one.depth}, "
            f"{other.first_stage} top {other.depth})"
        )
    for side in (row, base):
        if not side.complete:
            notes.append(f"{side.path} is incomplete: its failed queries score 0")
        missing = side.scores.missing
        if missing:
            notes.append(
                f"{side.path}: {len(missing)} queries have no ranking and score 0 ({some(missing)})"
            )
    return notes


def _values(row: Row, measure: str, qids: list[str]) -> Floats:
    values = row.scores.values[measure]
    return np.array([values[qid] for qid in qids])


def _petaflops(row: Row, qids: list[str]) -> Floats | None:
    per_query = row.cost.per_query
    if per_query is None:
        return None
    found = np.array([per_query[qid] / PETA for qid in qids])
    # A row by means has one cost: what varies is only how whole calls were shared out.
    means = row.priced is not None and row.priced.known == "means"
    return np.full(len(qids), found.mean()) if means else found


def _cells(contrast: Contrast, method: str, *, bought: bool) -> list[str]:
    tests, chances = contrast.tests, contrast.chances
    return [
        contrast.run.label,
        method,
        contrast.measure,
        str(contrast.queries),
        fixed(contrast.difference),
        p_value(contrast.p),
        UNDEFINED if contrast.p_t is None else p_value(contrast.p_t),
        UNDEFINED if tests.effect is None else f"{tests.effect:.2f}",
        f"{tests.wins}/{tests.ties}/{tests.losses}",
        ranged(contrast.cost_ratio),
        *([ranged(contrast.money_ratio or Interval(None))] if bought else []),
        ranged(contrast.gain_per_petaflop),
        fixed(contrast.at_equal_cost),
        _chance(chances.better),
        _chance(chances.cheaper),
        _chance(chances.dominates),
    ]


def _chance(share: float | None) -> str:
    return UNDEFINED if share is None else f"{share:.3f}"
