"""The board: which runs rank against which, in what order, and which lie on the frontier."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from e2r.metrics.evaluation import Evaluation, Row
from e2r.metrics.frontier import hypervolume
from e2r.metrics.groups import group_id, is_reference

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_LONGEST_SLUG = 80


@dataclass(frozen=True, eq=False)
class Entry:
    """A run on the board.

    `rank` counts from 1 within the run's group; it is None for incomplete runs, and for answerers
    without a model (oracle, random), which are references. `place` is the run folder seen from the
    folder of all runs.
    """

    row: Row
    place: PurePosixPath
    page: str
    rank: int | None = None

    @property
    def on_frontier(self) -> bool:
        """Whether no run of the group is both cheaper, in FLOPs, and better."""
        return self.row.on_frontier

    @property
    def label(self) -> str:
        """Who ranked."""
        return self.row.label

    @property
    def family(self) -> str:
        """The first word of the method's name."""
        return self.row.family

    @property
    def is_reference(self) -> bool:
        """Whether nothing was computed to answer, so that the run is no competitor."""
        return is_reference(self.row)

    def quality(self, measure: str) -> float | None:
        """The mean of a measure."""
        return self.row.measures[measure].value


@dataclass(frozen=True, eq=False)
class Group:
    """Runs that may be compared: same dataset, first stage, depth, judgments and query set."""

    id: str
    dataset: str
    first_stage: str
    depth: int
    queries: int
    entries: tuple[Entry, ...]

    @property
    def best_for_budget(self) -> tuple[Entry, ...]:
        """The frontier, cheapest first."""
        marked = [entry for entry in self.entries if entry.on_frontier]
        return tuple(sorted(marked, key=lambda entry: entry.row.petaflops.value or 0.0))

    def hypervolume(self, measure: str) -> float:
        """Area under the frontier up to the group's dearest run, in PetaFLOPs times the measure."""
        points = [
            (cost, quality)
            for entry in self.entries
            if entry.rank is not None
            and (cost := entry.row.petaflops.value) is not None
            and (quality := entry.quality(measure)) is not None
        ]
        return hypervolume(points, max((cost for cost, _ in points), default=0.0))


@dataclass(frozen=True, eq=False)
class Board:
    """All groups of complete runs, and apart from them the incomplete ones."""

    groups: tuple[Group, ...]
    incomplete: tuple[Entry, ...]
    measure: str
    convention: str

    @property
    def entries(self) -> tuple[Entry, ...]:
        """Every run, ranked ones first."""
        return (*(entry for group in self.groups for entry in group.entries), *self.incomplete)


def make_board(evaluation: Evaluation, runs: Path) -> Board:
    """Sort the runs found under `runs` into groups, by the first measure of the evaluation."""
    measure = evaluation.measures[0]
    groups: dict[str, list[Entry]] = {}
    incomplete: list[Entry] = []
    for row in evaluation.rows:
        place = PurePosixPath(row.path.resolve().relative_to(runs.resolve()).as_posix())
        entry = Entry(row, place, f"runs/{_slug(place)}.html")
        if row.complete:
            groups.setdefault(group_id(row), []).append(entry)
        else:
            incomplete.append(entry)
    made = [_group(key, entries, measure) for key, entries in groups.items()]
    made.sort(key=lambda group: (group.dataset, group.depth, group.first_stage, group.id))
    incomplete.sort(key=lambda entry: str(entry.place))
    return Board(tuple(made), tuple(incomplete), measure, evaluation.convention)


def _group(key: str, entries: list[Entry], measure: str) -> Group:
    competing = [entry for entry in entries if not entry.is_reference]
    ranks = _ranks([entry.quality(measure) for entry in competing])
    placed = [
        Entry(entry.row, entry.place, entry.page, rank)
        for entry, rank in zip(competing, ranks, strict=True)
    ]
    placed += [entry for entry in entries if entry.is_reference]
    placed.sort(key=lambda entry: _order(entry, measure))
    dataset = placed[0].row.manifest.dataset
    return Group(
        id=key,
        dataset=dataset.id,
        first_stage=dataset.first_stage,
        depth=dataset.depth,
        queries=len(placed[0].row.qids),
        entries=tuple(placed),
    )


def _ranks(values: Iterable[float | None]) -> list[int]:
    """1 for the highest; equal values share a rank."""
    known = [float("-inf") if value is None else value for value in values]
    return [1 + sum(other > value for other in known) for value in known]


def _order(entry: Entry, measure: str) -> tuple[float, float, str]:
    cost = entry.row.petaflops.value
    quality = entry.quality(measure)
    return (
        float("inf") if quality is None else -quality,
        float("inf") if cost is None else cost,
        str(entry.place),
    )


def _slug(place: PurePosixPath) -> str:
    """A file name that no run can choose: plain characters, and a hash of the whole place."""
    digest = hashlib.sha256(str(place).encode()).hexdigest()[:8]
    plain = _UNSAFE.sub("-", "-".join(place.parts)).strip(".-")[:_LONGEST_SLUG].rstrip(".-")
    return f"{plain}-{digest}" if plain else digest
