"""The board: which rows rank against which, in what order, and which lie on the frontier."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import Literal

import numpy as np

from e2r.metrics.row import Row
from e2r.metrics.statistics.frontier import frontier, hypervolume
from e2r.metrics.statistics.intervals import Interval
from e2r.money.prices import CURRENCY, PriceList
from e2r.site.published import Publication, Published

State = Literal["ranked", "reference", "incomplete", "unverified"]
Kind = Literal[
    "made here", "priced exactly", "priced by estimate", "priced by means", "printed in a paper"
]
"""How a row came about: by `e2r run`, by `e2r price`, or out of a paper's tables."""
NOTHING = Interval(None)


@dataclass(frozen=True)
class Costs:
    """What a row costs under one convention, per query; `rpp` by measure."""

    petaflops: Interval
    qpp: Interval
    rpp: Mapping[str, Interval]


@dataclass(frozen=True, eq=False)
class Entry:
    """A row of the board: a recorded run, or a published row.

    `quality` is by measure and `costs` by convention; what is missing there cannot be had. `ranks`
    count from 1 within the group, by measure; only `ranked` rows have them, not references, which
    answer without a model, nor incomplete runs, nor those whose quality is their own word.
    `architecture` says who declared it. `frontiers` holds (measure, convention) where no
    row of the group is both cheaper and better. `place` is a run's folder seen from the folder of
    all runs; `page` its address seen from the board. `idle` rows follow from
    the first stage's order alone: their models answered every call alike.
    """

    id: str
    page: str
    label: str
    method: str
    dataset: str
    first_stage: str
    depth: int
    state: State
    quality: Mapping[str, Interval]
    costs: Mapping[str, Costs]
    calls: float | None
    rounds: float | None
    template: str | None = None
    queries: int | None = None
    parameters: int | None = None
    parse_failures: int | None = None
    architecture: str | None = None
    row: Row | None = None
    place: PurePosixPath | None = None
    published: Published | None = None
    kind: Kind = "made here"
    idle: bool = False
    ranks: Mapping[str, int] = field(default_factory=dict)
    frontiers: frozenset[tuple[str, str]] = frozenset()

    @property
    def family(self) -> str:
        """The first word of the method's name."""
        return self.method.partition(".")[0]

    def value(self, measure: str) -> float | None:
        """The mean of a measure, or None."""
        return self.quality.get(measure, NOTHING).value

    def petaflops(self, convention: str) -> float | None:
        """PetaFLOPs per query, or None."""
        costs = self.costs.get(convention)
        return None if costs is None else costs.petaflops.value


@dataclass(frozen=True, eq=False)
class Group:
    """Rows that may be compared: same source, dataset, first stage, depth, judgments and queries.

    `convention` is what the group's rows are priced by where they have no other price.
    """

    id: str
    dataset: str
    first_stage: str
    depth: int
    queries: int | None
    entries: tuple[Entry, ...]
    publication: Publication | None = None
    convention: str | None = None

    def frontier(self, measure: str, convention: str) -> tuple[Entry, ...]:
        """The rows that nothing beats in quality and cost at once, cheapest first."""
        key = (measure, self.convention or convention)
        marked = [entry for entry in self.entries if key in entry.frontiers]
        return tuple(sorted(marked, key=lambda entry: entry.petaflops(key[1]) or 0.0))

    def hypervolume(self, measure: str, convention: str) -> float:
        """Area under the frontier up to the group's dearest row, in PetaFLOPs times the measure."""
        points = [
            (cost, quality)
            for entry in self.entries
            if entry.state == "ranked"
            and (cost := entry.petaflops(self.convention or convention)) is not None
            and (quality := entry.value(measure)) is not None
        ]
        if not points:
            return 0.0
        costs, qualities = np.array(points).T
        return float(hypervolume(costs, qualities, costs.max()))


@dataclass(frozen=True, eq=False)
class Board:
    """All groups of complete rows, and apart from them the incomplete and unverified runs.

    The first of `measures` and of `conventions` are what the page shows at first.
    """

    groups: tuple[Group, ...]
    incomplete: tuple[Entry, ...]
    measures: tuple[str, ...]
    conventions: tuple[str, ...]

    @property
    def measure(self) -> str:
        """What rows are ranked by unless the reader chooses otherwise."""
        return self.measures[0]

    @property
    def convention(self) -> str:
        """How FLOPs are counted unless the reader chooses otherwise."""
        return self.conventions[0]

    @property
    def entries(self) -> tuple[Entry, ...]:
        """Every row, ranked ones first."""
        return (*(entry for group in self.groups for entry in group.entries), *self.incomplete)

    @property
    def runs(self) -> tuple[Entry, ...]:
        """Every recorded run."""
        return tuple(entry for entry in self.entries if entry.row is not None)

    @property
    def prices(self) -> tuple[PriceList, ...]:
        """The price lists by which rows have money, each once; none where none was given."""
        paid = [entry.row.paid for entry in self.runs if entry.row is not None]
        return tuple(dict.fromkeys(found.prices for found in paid if found is not None))

    @property
    def prices_told(self) -> str:
        """Their names and dates, for heads."""
        return "; ".join(
            each.word + (f", dated {each.dated}" if each.dated else "") for each in self.prices
        )

    @property
    def money_unit(self) -> str:
        """What money is told in: a tariff has one currency."""
        return f"{self.prices[0].currency if self.prices else CURRENCY} a thousand queries"


def standing(
    entries: Sequence[Entry], measures: Sequence[str], conventions: Sequence[str]
) -> tuple[Entry, ...]:
    """The rows of one group with their ranks and frontiers, in the order of the first measure."""
    competing = [entry for entry in entries if entry.state == "ranked"]
    ranks = {measure: _ranks([entry.value(measure) for entry in competing]) for measure in measures}
    marks = {
        (measure, convention): frontier(
            [(entry.petaflops(convention), entry.value(measure)) for entry in competing]
        )
        for measure in measures
        for convention in conventions
    }
    placed = [
        replace(
            entry,
            ranks={name: rank for name in measures if (rank := ranks[name][place]) is not None},
            frontiers=frozenset(key for key, found in marks.items() if found[place]),
        )
        for place, entry in enumerate(competing)
    ]
    placed += [entry for entry in entries if entry.state != "ranked"]
    placed.sort(key=lambda entry: _order(entry, measures[0], conventions[0]))
    return tuple(placed)


def _ranks(values: Sequence[float | None]) -> list[int | None]:
    """1 for the highest; equal values share a rank; None has none."""
    known = sorted((value for value in values if value is not None), reverse=True)
    first = {value: place for place, value in reversed([*enumerate(known, start=1)])}
    return [None if value is None else first[value] for value in values]


def _order(entry: Entry, measure: str, convention: str) -> tuple[float, float, str]:
    quality, cost = entry.value(measure), entry.petaflops(convention)
    return (
        float("inf") if quality is None else -quality,
        float("inf") if cost is None else cost,
        entry.page if entry.place is None else str(entry.place),
    )
