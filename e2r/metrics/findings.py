"""What the priced field says: per group the frontier, its steps, and pointwise against listwise."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from pathlib import Path

from e2r.errors import DataError
from e2r.flops.reproduce import TableRow, paper
from e2r.metrics.comparison import against
from e2r.metrics.contrast import Contrast
from e2r.metrics.evaluation import Evaluation, evaluate
from e2r.metrics.frontiers import Frontier, frontiers
from e2r.metrics.groups import competes, group_id
from e2r.metrics.row import Row
from e2r.metrics.runs.judging import own_judgments
from e2r.metrics.runs.priced import rankings_in
from e2r.metrics.statistics.intervals import Interval

MEASURE = "nDCG@10"
_FEWEST = 5
"""Rows that make a field."""


@dataclass(frozen=True, eq=False)
class Step:
    """Two neighbours on a frontier: what the dearer one adds to the cheaper one."""

    cheaper: Row
    dearer: Row
    contrast: Contrast

    @property
    def point(self) -> Interval:
        """PetaFLOPs per query for 0.01 of the measure; no value where the gain may be none."""
        gain = self.contrast.gain_per_petaflop
        least = self.contrast.difference.low
        if gain.value is None or gain.low is None or gain.high is None or not least or least <= 0:
            return Interval(None, note="the gain may be none")
        return Interval(0.01 / gain.value, 0.01 / gain.high, 0.01 / gain.low)


@dataclass(frozen=True, eq=False)
class Field:
    """The rows of one group, its frontier, and what of each model's methods stands against which.

    `rows` left the first stage's order; `duels` are each model's listwise rows against its best
    pointwise one, at equal cost too.
    """

    rows: tuple[Row, ...]
    idle: tuple[Row, ...]
    frontier: Frontier
    steps: tuple[Step, ...]
    duels: tuple[Contrast, ...]

    @property
    def name(self) -> str:
        """The collection and what was reranked."""
        dataset = self.rows[0].manifest.dataset
        return f"{dataset.id}, {dataset.first_stage} top {dataset.depth}"

    @property
    def key(self) -> str:
        """The name as part of a file's name."""
        dataset = self.rows[0].manifest.dataset
        return f"{dataset.id}-{dataset.depth}"


@dataclass(frozen=True, eq=False)
class Found:
    """Everything that the report tells of: the fields, and the paper's table priced exactly."""

    fields: tuple[Field, ...]
    paper: Sequence[TableRow]


def find(data: Path, runs: Path) -> Found:
    """Evaluate the rows under `runs` by the judgments and rankings under `data`.

    Raises DataError where no group of rows is large enough to be called a field.
    """
    judged = [f"{path.parent.name}={path}" for path in sorted(data.glob("*/qrels.txt"))]
    every, own = own_judgments(judged)
    evaluation = evaluate(
        runs,
        MEASURE,
        "ideal",
        qrels=every,
        own=own,
        rankings=rankings_in([data / "published"]),
        note=lambda words: None,
    )
    fields = tuple(_fields(evaluation))
    if not fields:
        raise DataError(f"{runs}: no {_FEWEST} rows that rerank the same and can be verified")
    return Found(fields, paper(data))


def _fields(evaluation: Evaluation) -> Iterator[Field]:
    groups: dict[str, list[Row]] = {}
    for row in evaluation.rows:
        if competes(row) and row.cost.per_query is not None:
            groups.setdefault(group_id(row), []).append(row)
    for rows in sorted(groups.values(), key=lambda rows: (_name(rows[0]), -len(rows))):
        if sum(row.priced is not None for row in rows) >= _FEWEST:
            yield _field_of(rows, evaluation)


def _name(row: Row) -> tuple[str, int]:
    dataset = row.manifest.dataset
    return dataset.id, -dataset.depth


def _field_of(rows: Sequence[Row], evaluation: Evaluation) -> Field:
    active = [row for row in rows if row.priced is None or row.priced.idle is None]
    part = Evaluation(tuple(active), evaluation.measures, evaluation.convention)
    (frontier,) = (each for each in frontiers(part).found if each.cost_kind == "petaflops")
    first = [row for row in active if row.family == "first_stage"]
    line = [
        row
        for row, membership in zip(frontier.rows, frontier.memberships, strict=True)
        if membership.on
    ]
    steps = [
        Step(one, other, against(one, [other], [MEASURE], first)[0])
        for one, other in pairwise(line)
    ]
    return Field(
        rows=tuple(active),
        idle=tuple(row for row in rows if row not in active),
        frontier=frontier,
        steps=tuple(steps),
        duels=tuple(_duels(active, first)),
    )


def _duels(rows: Sequence[Row], first: Sequence[Row]) -> Iterator[Contrast]:
    by_model = sorted(rows, key=lambda row: row.label)
    for _, group in groupby(by_model, key=lambda row: row.label):
        members = list(group)
        pointwise = [row for row in members if row.family == "pointwise"]
        listwise = [row for row in members if row.family == "listwise"]
        if pointwise and listwise:
            best = max(pointwise, key=_quality)
            yield from against(best, sorted(listwise, key=_quality), [MEASURE], first)


def _quality(row: Row) -> float:
    return row.measures[MEASURE].value or 0.0
