"""frontiers(evaluation): which runs are worth their cost, and what most of the quality costs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from e2r.errors import UsageError
from e2r.metrics.evaluation import DEFAULT_MEASURES, Evaluation, evaluate
from e2r.metrics.groups import group_id
from e2r.metrics.naming import methods
from e2r.metrics.placing import comparable, sample
from e2r.metrics.reports.tables import Report, Sheet, fixed, ranged, short, spread
from e2r.metrics.row import Row
from e2r.metrics.standing import UNITS, Membership
from e2r.metrics.statistics.frontier import cheapest_reaching, hypervolume, members, probability
from e2r.metrics.statistics.intervals import Floats, Interval, percentiles, resampled_means

SHARES = (0.9, 0.95, 0.99)
_BLOCK_ENTRIES = 2**21


@dataclass(frozen=True, eq=False)
class Reach:
    """What `share` of the best run's quality costs: the cost of the cheapest run that has it.

    `level` is that quality, `run` the place of the run. `cost` has a percentile interval over
    resamples of the queries, in each of which the best and the cheapest are found anew.
    `probability` is the share of resamples in which `run` is the cheapest.
    """

    share: float
    level: float
    run: int
    cost: Interval
    probability: float


@dataclass(frozen=True, eq=False)
class Frontier:
    """Runs of one group against one kind of cost, cheapest first.

    `quality` and `cost` are means per query. `hypervolume` is the area that the runs dominate up
    to the reference point (`dearest`, quality 0); its interval keeps that point. `scale` says what
    makes the costs comparable: the machine for seconds, nothing for counts.
    """

    group: str
    measure: str
    cost_kind: str
    scale: str
    rows: tuple[Row, ...]
    quality: tuple[Interval, ...]
    cost: tuple[Interval, ...]
    memberships: tuple[Membership, ...]
    best: int
    dearest: float
    hypervolume: Interval
    reaches: tuple[Reach, ...]

    def __repr__(self) -> str:
        on = sum(membership.on for membership in self.memberships)
        dataset = self.rows[0].manifest.dataset.id
        return f"<Frontier of {dataset} in {self.cost_kind}: {on} of {len(self.rows)} runs>"

    def to_json(self) -> dict[str, Any]:
        """The frontier as `e2r frontier --json` prints it."""
        dataset = self.rows[0].manifest.dataset
        return {
            "group": self.group,
            "dataset": dataset.id,
            "first_stage": dataset.first_stage,
            "depth": dataset.depth or None,
            "queries": len(self.rows[0].qids),
            "measure": self.measure,
            "cost": self.cost_kind,
            "unit": UNITS[self.cost_kind],
            "scale": self.scale or None,
            "best": str(self.rows[self.best].path),
            "hypervolume": self.hypervolume.to_json(),
            "reference_point": {"cost": self.dearest, "quality": 0.0},
            "cost_to_reach": [
                {
                    "share": reach.share,
                    "quality": reach.level,
                    "run": str(self.rows[reach.run].path),
                    **reach.cost.to_json(),
                    "probability": reach.probability,
                }
                for reach in self.reaches
            ],
            "runs": [
                {
                    "run": str(row.path),
                    "model": row.manifest.model.name,
                    "method": row.manifest.method,
                    "quality": quality.to_json(),
                    "share_of_best": self._share(quality),
                    "cost": cost.to_json(),
                    **membership.to_json(),
                }
                for row, quality, cost, membership in self._lines()
            ],
        }

    def flat(self) -> list[dict[str, Any]]:
        """One line a run, with what is true of the whole frontier on each."""
        whole = self.to_json()
        shared: dict[str, Any] = {
            key: value for key, value in whole.items() if not isinstance(value, dict | list)
        }
        spread(shared, "hypervolume", whole["hypervolume"])
        spread(shared, "reference", whole["reference_point"])
        for reach in whole["cost_to_reach"]:
            name = f"cost to reach {reach.pop('share'):g}"
            shared[f"{name} run"] = reach.pop("run")
            spread(shared, name, reach)
        lines = []
        for run in whole["runs"]:
            line = {**shared, **run}
            line["cost"] = shared["cost"]
            del line["quality"]
            spread(line, self.measure, run["quality"])
            spread(line, "cost per query", run["cost"])
            lines.append(line)
        return lines

    def _lines(self) -> list[tuple[Row, Interval, Interval, Membership]]:
        return list(zip(self.rows, self.quality, self.cost, self.memberships, strict=True))

    def _share(self, quality: Interval) -> float | None:
        best = self.quality[self.best].value
        return quality.value / best if quality.value is not None and best else None


@dataclass(frozen=True, eq=False)
class Frontiers(Report):
    """All frontiers of an evaluation: by group, then by kind of cost."""

    found: tuple[Frontier, ...]

    def __repr__(self) -> str:
        return f"<Frontiers: {', '.join(map(repr, self.found))}>"

    def sheets(self, columns: str | None = None) -> tuple[Sheet, ...]:
        """The runs of each frontier, cheapest first; then what shares of the best quality cost."""
        rows = {row.path: row for frontier in self.found for row in frontier.rows}
        method = dict(zip(rows, methods(list(rows.values())), strict=True))
        runs = [
            [
                frontier.rows[0].manifest.dataset.id,
                frontier.cost_kind,
                row.label,
                method[row.path],
                fixed(quality),
                _percent(frontier._share(quality)),
                ranged(cost),
                "yes" if membership.on else "no",
                f"{membership.probability:.3f}",
            ]
            for frontier in self.found
            for row, quality, cost, membership in frontier._lines()
        ]
        reaches = [
            [
                frontier.rows[0].manifest.dataset.id,
                frontier.cost_kind,
                frontier.rows[reach.run].label,
                method[frontier.rows[reach.run].path],
                f"{100 * reach.share:g} %",
                f"{reach.level:.4f}",
                ranged(reach.cost),
                f"{reach.probability:.3f}",
                ranged(frontier.hypervolume),
                f"({short(frontier.dearest)}, 0)",
            ]
            for frontier in self.found
            for reach in frontier.reaches
        ]
        measure = self.found[0].measure
        words = ["dataset", "cost"]
        return (
            Sheet(
                [*words, "model", "method", measure, "of the best", "per query", "on", "P(on)"],
                runs,
                words=4,
                drop=("P(on)", "of the best"),
            ),
            Sheet(
                [
                    *words,
                    "cheapest that reaches",
                    "method",
                    "share of best",
                    measure,
                    "cost to reach",
                    "P(cheapest)",
                    "hypervolume",
                    "reference",
                ],
                reaches,
                words=4,
            ),
        )

    def flat(self) -> list[dict[str, Any]]:
        """One line a run and frontier."""
        return [line for frontier in self.found for line in frontier.flat()]

    def to_json(self) -> list[dict[str, Any]]:
        """One object a frontier."""
        return [frontier.to_json() for frontier in self.found]


def frontiers(evaluation: Evaluation, shares: Sequence[float] = SHARES) -> Frontiers:
    """The frontiers of an evaluation, by its first measure; `shares` are of the best quality, 0–1.

    Only complete runs that computed something compete, each with its equals: same data, first
    stage, depth, judgments and queries; seconds compare on the same machine only. Raises
    UsageError for a share outside of (0, 1], and where no run competes.
    """
    for share in shares:
        if not 0 < share <= 1:
            raise UsageError(f"{share:g} is no share of the best quality; give one from 0 to 1")
    groups: dict[str, list[Row]] = {}
    for row in evaluation.rows:
        groups.setdefault(group_id(row), []).append(row)
    measure = evaluation.measures[0]
    found = [
        _frontier(key, measure, cost, scale, [rows[place] for place in places], shares)
        for key, rows in groups.items()
        for cost in UNITS
        for scale, places in comparable(rows, cost).items()
    ]
    if not found:
        doubted = sum(not row.verified for row in evaluation.rows)
        more = f"; {doubted} are unverified: give their judgments by --qrels" if doubted else ""
        raise UsageError(
            f"no run is complete, ranked by a model and has a cost: nothing competes{more}"
        )
    return Frontiers(tuple(found))


def frontier(
    runs: str | Path | Iterable[str | Path],
    measures: str | Sequence[str] = DEFAULT_MEASURES,
    convention: str = "ideal",
    *,
    qrels: str | None = None,
    shares: Sequence[float] = SHARES,
    note: Callable[[str], None] | None = None,
) -> Frontiers:
    """Evaluate runs and return their frontiers: `evaluate`, then `frontiers`; raises as both do."""
    return frontiers(evaluate(runs, measures, convention, qrels=qrels, note=note), shares)


def _frontier(
    group: str, measure: str, kind: str, scale: str, rows: Sequence[Row], shares: Sequence[float]
) -> Frontier:
    cost, quality = sample(rows, kind)
    order = np.lexsort((-quality.mean(axis=0), cost.mean(axis=0)))
    rows, cost, quality = [rows[place] for place in order], cost[:, order], quality[:, order]
    mean_cost, mean_quality = cost.mean(axis=0), quality.mean(axis=0)
    costs, qualities = resampled_means(cost), resampled_means(quality)
    dearest = float(mean_cost.max())
    on = members(mean_cost, mean_quality)
    chances = probability(costs, qualities)
    area = float(hypervolume(mean_cost, mean_quality, dearest))
    spent = tuple(_cost(row, kind) for row in rows)
    return Frontier(
        group=group,
        measure=measure,
        cost_kind=kind,
        scale=scale,
        rows=tuple(rows),
        quality=tuple(row.measures[measure] for row in rows),
        cost=spent,
        memberships=tuple(
            Membership(bool(mark), float(chance)) for mark, chance in zip(on, chances, strict=True)
        ),
        best=int(mean_quality.argmax()),
        dearest=dearest,
        hypervolume=percentiles(area, hypervolume(costs, qualities, dearest)),
        reaches=tuple(
            _reach(share, spent, mean_cost, mean_quality, costs, qualities) for share in shares
        ),
    )


def _reach(
    share: float,
    found: Sequence[Interval],
    mean_cost: Floats,
    mean_quality: Floats,
    costs: Floats,
    qualities: Floats,
) -> Reach:
    run = int(cheapest_reaching(mean_cost, mean_quality, share))
    places = cheapest_reaching(costs, qualities, share)
    spent = np.take_along_axis(costs, places[:, None], axis=1)[:, 0]
    return Reach(
        share=share,
        level=share * float(mean_quality.max()),
        run=run,
        cost=percentiles(found[run].value or 0.0, spent),
        probability=float((places == run).mean()),
    )


def _cost(row: Row, kind: str) -> Interval:
    if kind == "money" and row.paid is not None:
        return row.paid.total
    return row.petaflops if kind == "petaflops" else row.work.figures[f"{kind}_per_query"]


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f} %"
