"""Recorded runs and published rows → the board's groups."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path, PurePosixPath

from e2r.errors import DataError
from e2r.flops.architecture import Architecture
from e2r.metrics.efficiency import figures
from e2r.metrics.evaluation import Evaluation
from e2r.metrics.groups import group_id, is_reference
from e2r.metrics.row import Row
from e2r.metrics.runs.declared import declared
from e2r.metrics.statistics.intervals import Interval
from e2r.site.board import Board, Costs, Entry, Group, Kind, State, standing
from e2r.site.published import CONVENTION, Publication, Published

PUBLISHED_PAGE = "published.html"
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_LONGEST_SLUG = 80
_LONGEST_NAME = 300


def make_board(
    evaluation: Evaluation,
    runs: Path,
    measures: Sequence[str],
    conventions: Sequence[str],
    publication: Publication | None = None,
) -> Board:
    """Sort the runs found under `runs`, and published rows, into groups.

    The evaluation is by the first of `measures` and `conventions`, and has prices by the others.
    """
    groups: dict[str, list[Entry]] = {}
    incomplete: list[Entry] = []
    for row in evaluation.rows:
        entry = _run(row, runs, evaluation.convention)
        if entry.state in ("incomplete", "unverified"):
            incomplete.append(entry)
        else:
            groups.setdefault(group_id(row), []).append(entry)
    made = [_group(key, standing(rows, measures, conventions)) for key, rows in groups.items()]
    # The collection with the most rows comes first: the page opens on it.
    made.sort(
        key=lambda g: (-len(g.entries), g.dataset, g.depth, g.first_stage, g.id),
    )
    incomplete.sort(key=lambda entry: str(entry.place))
    if publication is not None:
        made += _published(publication, measures)
    return Board(tuple(made), tuple(incomplete), tuple(measures), tuple(conventions))


def _run(row: Row, runs: Path, convention: str) -> Entry:
    place = PurePosixPath(row.path.resolve().relative_to(runs.resolve()).as_posix())
    digest = hashlib.sha256(str(place).encode()).hexdigest()[:8]
    dataset, work = row.manifest.dataset, row.work
    state: State = "ranked" if row.complete else "incomplete"
    if row.complete and not row.verified:
        state = "unverified"
    elif row.complete and is_reference(row):
        state = "reference"
    architecture = declared(row.manifest.model)
    facts = None if architecture.facts is None else dict(architecture.facts)
    return Entry(
        id=digest,
        page=f"runs/{_slug(place, digest)}.html",
        label=_cut(row.label),
        method=_cut(row.manifest.method),
        dataset=_cut(dataset.id),
        first_stage=_cut(dataset.first_stage),
        depth=dataset.depth,
        state=state,
        quality=row.measures,
        costs=_costs(row, convention),
        calls=work.calls_per_query,
        rounds=work.rounds_per_query,
        template=_cut(_told_apart(row)) or None,
        kind=_kind(row),
        idle=row.priced is not None and row.priced.idle is not None,
        queries=len(row.qids),
        parameters=None if facts is None else _parameters(json.dumps(facts, sort_keys=True)),
        parse_failures=work.parse_failures,
        architecture=architecture.by,
        row=row,
        place=place,
    )


def _told_apart(row: Row) -> str:
    """What tells a row from others of its model and method: its prompt, or its parameters."""
    if row.priced is None:
        return ", ".join(row.manifest.prompts)
    return ", ".join(f"{name} {value}" for name, value in row.priced.parameters.items())


def _kind(row: Row) -> Kind:
    if row.priced is None:
        return "made here"
    kinds: dict[str, Kind] = {"estimate": "priced by estimate", "means": "priced by means"}
    return kinds.get(row.priced.known, "priced exactly")


def _costs(row: Row, convention: str) -> Mapping[str, Costs]:
    """The row's costs by convention, where it has a price."""
    found: dict[str, Costs] = {}
    if row.cost.per_query is not None:
        rpp = {name: ratio.ratio for name, ratio in row.rpp.items()}
        found[convention] = Costs(row.petaflops, row.qpp, rpp)
    values = {name: [of[qid] for qid in row.qids] for name, of in row.scores.values.items()}
    for name, cost in row.prices.items():
        if cost.per_query is not None:
            other = figures(values, [cost.per_query[qid] for qid in row.qids])
            rpp = {measure: ratio.ratio for measure, ratio in other.rpp.items()}
            found[name] = Costs(other.petaflops, other.qpp, rpp)
    return found


@cache
def _parameters(facts: str) -> int | None:
    """Stored weights of a model, None for one that the estimator does not know.

    Runs share models, and JSON can be a key where a dict cannot.
    """
    try:
        return Architecture.load(json.loads(facts)).parameters.total
    except DataError:
        return None


def _group(key: str, entries: tuple[Entry, ...]) -> Group:
    first = entries[0]
    return Group(key, first.dataset, first.first_stage, first.depth, first.queries, entries)


def _published(publication: Publication, measures: Sequence[str]) -> list[Group]:
    by_dataset: dict[str, list[Entry]] = {}
    for row in publication.rows:
        by_dataset.setdefault(row.dataset, []).append(_published_row(row, publication))
    measure = publication.measure
    return [
        Group(
            id=f"paper-{_UNSAFE.sub('-', dataset).lower()}",
            dataset=dataset,
            first_stage=publication.first_stage,
            depth=publication.depth,
            queries=None,
            entries=standing(rows, (measure,), (CONVENTION,)),
            publication=publication,
            convention=CONVENTION,
        )
        for dataset, rows in by_dataset.items()
    ]


def _published_row(row: Published, publication: Publication) -> Entry:
    measure = publication.measure
    costs = Costs(Interval(row.petaflops), Interval(row.qpp), {measure: Interval(row.rpp)})
    return Entry(
        id=row.id,
        page=f"{PUBLISHED_PAGE}#{row.id}",
        label=row.label,
        method=row.method,
        dataset=row.dataset,
        first_stage=publication.first_stage,
        depth=publication.depth,
        state="ranked",
        quality={measure: Interval(row.quality)},
        costs={CONVENTION: costs},
        calls=row.calls,
        rounds=None,
        parameters=row.parameters,
        published=row,
        kind="printed in a paper",
    )


def _cut(name: str) -> str:
    """A name that a table can show; the run's manifest holds it whole."""
    return name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]}…"


def _slug(place: PurePosixPath, digest: str) -> str:
    """A file name that no run can choose: plain characters, and a hash of the whole place."""
    plain = _UNSAFE.sub("-", "-".join(place.parts)).strip(".-")[:_LONGEST_SLUG].rstrip(".-")
    return f"{plain}-{digest}" if plain else digest
