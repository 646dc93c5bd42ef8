"""compare(runs): is one run better than another, at what cost, and how sure is that?"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from e2r.errors import DataError, UsageError
from e2r.metrics.cost import PETA
from e2r.metrics.evaluation import DEFAULT_MEASURES, Evaluation, Row, evaluate
from e2r.metrics.intervals import Floats, Interval, intervals, resampled_means
from e2r.metrics.significance import Paired, holm, paired_tests

ALPHA = 0.05


@dataclass(frozen=True)
class Contrast:
    """A run against the baseline in one measure, over the queries that both have.

    `difference` is run − baseline. `p` is the randomisation test's p-value after Holm's correction
    over all contrasts of the comparison, `p_t` the t test's likewise. `cost_ratio` is the run's
    mean FLOPs over the baseline's. `gain_per_petaflop` is the difference divided by the PetaFLOPs
    that the run spends per query beyond the baseline; None where it spends no more.
    `better`, `cheaper` and `better_and_cheaper` are shares of bootstrap resamples of the queries.
    """

    run: Row
    baseline: Row
    measure: str
    queries: int
    difference: Interval
    tests: Paired
    p: float
    p_t: float | None
    cost_ratio: Interval
    gain_per_petaflop: Interval
    better: float
    cheaper: float | None
    better_and_cheaper: float | None
    notes: tuple[str, ...]

    @property
    def verdict(self) -> str:
        """One sentence: which is better, how sure that is, and at what cost."""
        ratio = self.cost_ratio.value
        cost = "" if ratio is None else f" at {_times(ratio)} the FLOPs"
        if self.p >= ALPHA:
            return f"no difference in {self.measure} is shown ({_p(self.p)}){cost}"
        word = "better" if self.tests.difference > 0 else "worse"
        by = f"{abs(self.tests.difference):.4f} {self.measure}"
        return f"{word} by {by} ({_p(self.p)}){cost}"

    def to_json(self) -> dict[str, Any]:
        """The contrast as `e2r compare --json` prints it."""
        return {
            "run": str(self.run.path),
            "baseline": str(self.baseline.path),
            "measure": self.measure,
            "queries": self.queries,
            "difference": self.difference.to_json(),
            "p_randomisation": self.tests.p_randomisation,
            "p_randomisation_holm": self.p,
            "p_t": self.tests.p_t,
            "p_t_holm": self.p_t,
            "effect_size": self.tests.effect,
            "wins": self.tests.wins,
            "ties": self.tests.ties,
            "losses": self.tests.losses,
            "cost_ratio": self.cost_ratio.to_json(),
            "gain_per_petaflop": self.gain_per_petaflop.to_json(),
            "probability": {
                "better": self.better,
                "cheaper": self.cheaper,
                "better_and_cheaper": self.better_and_cheaper,
            },
            "verdict": self.verdict,
            "notes": list(self.notes),
        }


@dataclass(frozen=True, eq=False)
class Comparison:
    """All contrasts with one baseline, and the runs that they are between."""

    evaluation: Evaluation
    baseline: Row
    contrasts: tuple[Contrast, ...]

    def to_json(self) -> list[dict[str, Any]]:
        """One object a contrast."""
        return [contrast.to_json() for contrast in self.contrasts]


def compare(
    runs: Iterable[str | Path],
    measures: str | Iterable[str] = DEFAULT_MEASURES,
    convention: str = "ideal",
    *,
    baseline: str | Path | None = None,
    qrels: str | None = None,
    note: Callable[[str], None] | None = None,
) -> Comparison:
    """Compare runs with a baseline (the first run unless named), query by query.

    Runs must be of one dataset and one set of judgments; where they hold different queries, the
    common ones are compared and the contrast says so. Raises UsageError for fewer than two runs,
    and DataError for runs that cannot be compared.
    """
    places = [str(run) for run in runs]
    if baseline is not None:
        places = [str(baseline), *places]
    table = evaluate(places, measures, convention, qrels=qrels, note=note)
    if len(table.rows) < 2:
        raise UsageError("a comparison needs at least two runs; name another run folder")
    base = table.rows[0]
    pairs = [(row, name) for row in table.rows[1:] for name in table.measures]
    contrasts = [_contrast(row, base, name) for row, name in pairs]
    corrected = holm([contrast.tests.p_randomisation for contrast in contrasts])
    known = [place for place, contrast in enumerate(contrasts) if contrast.tests.p_t is not None]
    by_t = holm([contrasts[place].tests.p_t or 0.0 for place in known])
    t_values: dict[int, float] = dict(zip(known, by_t, strict=True))
    return Comparison(
        table,
        base,
        tuple(
            replace(contrast, p=p, p_t=t_values.get(place))
            for place, (contrast, p) in enumerate(zip(contrasts, corrected, strict=True))
        ),
    )


def _contrast(row: Row, base: Row, measure: str) -> Contrast:
    _refuse_other_data(row, base)
    shared = set(row.qids)
    common = [qid for qid in base.qids if qid in shared]
    if not common:
        raise DataError(f"{row.path} and {base.path} have no judged query in common")
    difference = _values(row, measure, common) - _values(base, measure, common)
    tests = paired_tests(difference)
    cost, base_cost = _petaflops(row, common), _petaflops(base, common)
    if cost is None or base_cost is None:
        unpriced = Interval(None, note="one of the runs has no price")
        columns = difference[:, None]
        found = {"ratio": unpriced, "gain": unpriced}
    else:
        columns = np.column_stack([difference, cost, base_cost])
        found = intervals(
            columns,
            {
                "ratio": lambda means: means[..., 1] / means[..., 2],
                "gain": lambda means: means[..., 0] / (means[..., 1] - means[..., 2]),
            },
        )
        if cost.mean() <= base_cost.mean():
            found["gain"] = Interval(None, note="the run spends no more than the baseline")
    found |= intervals(columns, {"difference": lambda means: means[..., 0]})
    resampled = resampled_means(columns)
    better = resampled[:, 0] > 0
    cheaper = None if len(columns[0]) == 1 else resampled[:, 1] < resampled[:, 2]
    return Contrast(
        run=row,
        baseline=base,
        measure=measure,
        queries=len(common),
        difference=found["difference"],
        tests=tests,
        p=tests.p_randomisation,
        p_t=tests.p_t,
        cost_ratio=found["ratio"],
        gain_per_petaflop=found["gain"],
        better=float(better.mean()),
        cheaper=None if cheaper is None else float(cheaper.mean()),
        better_and_cheaper=None if cheaper is None else float((better & cheaper).mean()),
        notes=tuple(_notes(row, base, len(common))),
    )


def _refuse_other_data(row: Row, base: Row) -> None:
    for side in (row, base):
        if not side.scores.values:
            raise DataError(f"{side.path}: holds no ranking, so that it has no quality to compare")
    one, other = row.manifest.dataset, base.manifest.dataset
    if one.id != other.id:
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
    return notes


def _values(row: Row, measure: str, qids: list[str]) -> Floats:
    values = row.scores.values[measure]
    return np.array([values[qid] for qid in qids])


def _petaflops(row: Row, qids: list[str]) -> Floats | None:
    per_query = row.cost.per_query
    return None if per_query is None else np.array([per_query[qid] / PETA for qid in qids])


def _times(ratio: float) -> str:
    from e2r.metrics.tables import short

    return f"{short(ratio, 3)} times"


def _p(value: float) -> str:
    return "p < 0.0001" if value < 0.0001 else f"p = {value:.4f}"
