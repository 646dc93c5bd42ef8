"""evaluate(runs, measures, convention): run folders → a table of quality, cost, RPP and QPP."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from e2r.errors import DataError, E2RError, UsageError
from e2r.flops.conventions import convention as find_convention
from e2r.forecast.clock import Clock
from e2r.metrics.columns import flat, kinds_of, sheet
from e2r.metrics.cost import PETA, Cost, matched, price
from e2r.metrics.effectiveness import Scores, parse_measures
from e2r.metrics.efficiency import Rpp, figures
from e2r.metrics.groups import group_id
from e2r.metrics.money import Told, paid, recorded_tariff
from e2r.metrics.placing import standings
from e2r.metrics.reports.tables import Report, Sheet
from e2r.metrics.row import Row
from e2r.metrics.runs.foreign import Foreign, read_foreign
from e2r.metrics.runs.judging import Judge, Judged
from e2r.metrics.runs.priced import read_priced
from e2r.metrics.runs.recorded import Place, Recorded, find_runs
from e2r.metrics.runs.result import Result
from e2r.metrics.standing import Standing
from e2r.metrics.statistics.intervals import Interval
from e2r.metrics.timing import Predicted, predicted
from e2r.metrics.work import counts, work
from e2r.money.prices import Tariff
from e2r.records.manifest import UNKNOWN, Manifest
from e2r.records.priced import PRICED

DEFAULT_MEASURES = "nDCG@10"
FEW_QUERIES = 20
"""Below, a BCa interval covers visibly less than it says (docs/measurement.md)."""
CACHING = {
    "shared": "cached tokens depend on what the server was asked before this run, and the price "
    "with them: another run of the same calls may cost otherwise",
    "unknown": "the server does not report cached tokens: priced as if none were, an upper bound",
}


@dataclass(frozen=True, eq=False)
class Evaluation(Report):
    """The figures of several runs under one convention, in the order in which they were given."""

    rows: tuple[Row, ...]
    measures: tuple[str, ...]
    convention: str

    def __repr__(self) -> str:
        measures = " ".join(self.measures)
        return f"<Evaluation of {len(self.rows)} runs: {measures}, FLOPs by {self.convention}>"

    def sheets(self, columns: str | None = None) -> tuple[Sheet, ...]:
        """One sheet of SHEETS (`headline` is the default), or `all` of them.

        Raises UsageError for another word.
        """
        kinds = list(kinds_of(self.rows)) if columns == "all" else [columns or "headline"]
        return tuple(sheet(self.rows, self.measures, kind) for kind in kinds)

    def flat(self) -> list[dict[str, Any]]:
        """One line a run; nested keys joined by a space, as in `nDCG@10 low` and `RPP nDCG@10`."""
        return [flat(row) for row in self.rows]

    def to_json(self) -> list[dict[str, Any]]:
        """One object a run, ready for json.dumps: no NaN, no infinity."""
        return [row.to_json() for row in self.rows]


def evaluate(
    runs: Iterable[str | Path] | str | Path,
    measures: str | Iterable[str] = DEFAULT_MEASURES,
    convention: str = "ideal",
    *,
    qrels: str | None = None,
    foreign: Sequence[Foreign] = (),
    dataset: str | None = None,
    save: bool = False,
    offered: Mapping[str, Any] | None = None,
    rankings: Mapping[str, Path] | None = None,
    also: Sequence[str] = (),
    own: Mapping[str, str] | None = None,
    lenient: bool = False,
    note: Callable[[str], None] | None = None,
    clock: Clock | None = None,
    tariff: Tariff | None = None,
) -> Evaluation:
    """Evaluate run folders, all run folders inside folders, and runs made elsewhere.

    A file among `runs` is a run made elsewhere: calls if it is a .csv or .csv.gz, else a ranking in
    TREC's format. `foreign` are pairs of both. `dataset` names what such files rerank, by default
    the judgments' file. Rankings made elsewhere need `qrels`.

    `measures` are names as ir-measures spells them, in a list or separated by spaces. FLOPs are
    priced from the ledgers under `convention`. Judgments are those that each run's spec names,
    unless `qrels` names others; where they are not at hand, the per-query values in the run's
    result.json are used if they fit its files. `save` writes result.json.
    `rankings` are published ones by their hash, which a board holds priced rows against.
    `offered` are further measures by name, for the runs where they can be had; `also` are further
    conventions, for `Row.prices`. With `own`, judgments by the dataset's name, no spec is followed;
    `lenient` leaves out a run that is not as it should be, and tells why. `note` is told what the
    user should know of; without it that is a Python warning. With a `clock` each row says what it
    predicts of the run's seconds, with a `tariff` what it costs in money; without one, by the list
    that the run itself recorded, where it did.
    Raises UsageError for unknown measures or conventions and DataError for runs and judgments that
    are not as they should be.
    """
    tell = note or warnings.warn
    parsed = parse_measures(measures)
    find_convention(convention)
    asked = [Path(run) for run in ([runs] if isinstance(runs, str | Path) else runs)]
    name = Path(qrels).name.partition(".")[0] if qrels else UNKNOWN
    files = [Foreign.of(path, dataset) for path in asked if path.is_file()]
    elsewhere = [*files, *(replace(run, dataset=dataset or run.dataset) for run in foreign)]
    for named in elsewhere:
        if named.ranking is not None and qrels is None:
            raise UsageError(f"{named.ranking}: pass the judgments of runs made elsewhere: --qrels")
    judge = Judge(parsed, qrels, own, offered or {}, rankings or {})
    places = find_runs(path for path in asked if not path.is_file())
    rows: list[Row] = []
    for place in places:
        try:
            if (run := _read(place, tell)) is not None:
                judged = _judged(run, judge, save, tell)
                rows.append(_row(run, judged, judge, convention, also, clock, tariff))
        except (E2RError, ArithmeticError, ValueError, TypeError, LookupError) as error:
            if not lenient:
                raise
            tell(f"{place.path}: left out: {error}")
    for named in elsewhere:
        run = read_foreign(named, name)
        judged = _judged(run, judge, False, tell)
        rows.append(_row(run, judged, judge, convention, tariff=tariff))
    for stray in tariff.strays(row.manifest.model.name for row in rows) if tariff else ():
        tell(f"--price {stray}@…: no run here is of that model, so that its list was not used")
    if not rows:
        raise DataError("none of the runs has finished; go on with one by e2r run --resume")
    return Evaluation(_placed(_of_one_currency(rows, tell)), tuple(parsed), convention)


def _of_one_currency(rows: list[Row], tell: Callable[[str], None]) -> list[Row]:
    """The rows, without money where runs recorded lists in several currencies."""
    found = sorted({row.paid.prices.currency for row in rows if row.paid is not None})
    if len(found) < 2:
        return rows
    tell(
        f"the runs recorded prices in {' and '.join(found)}, which nothing here compares: no money "
        "is shown; name one list for all by --price"
    )
    return [replace(row, paid=None) for row in rows]


def _placed(rows: Sequence[Row]) -> tuple[Row, ...]:
    """The rows, each with its standing among the given runs of its group."""
    places: dict[str, list[int]] = {}
    for place, row in enumerate(rows):
        places.setdefault(group_id(row), []).append(place)
    placed = list(rows)
    for members in places.values():
        found = standings([rows[place] for place in members])
        for place, standing in zip(members, found, strict=True):
            placed[place] = replace(rows[place], standing=standing)
    return tuple(placed)


def _read(place: Place, tell: Callable[[str], None]) -> Recorded | None:
    """The run at a place; None for one under way that nobody asked for by name."""
    if (place.path / PRICED).is_file():
        return read_priced(place.path)
    if not place.named and Manifest.load(place.path / "manifest.json").status == "started":
        tell(f"{place.path}: this run has not finished and is left out")
        return None
    return Recorded.load(place.path)


def _judged(run: Recorded, judge: Judge, save: bool, tell: Callable[[str], None]) -> Judged:
    """The run's scores, told of and kept beside it where that is asked."""
    judged = judge.judge(run)
    for note in (judged.note, judged.ties and f"{run.folder.path}: {judged.ties}"):
        if note:
            tell(note)
    if save and judged.judgments_sha256 is not None:
        try:
            Result.of(judged.scores, run.manifest, judged.judgments_sha256).save(
                run.folder.result_path
            )
        except OSError as error:
            tell(f"{run.folder.result_path}: cannot be written ({error.strerror})")
        except UsageError as error:
            tell(str(error))
    return judged


def _row(
    run: Recorded,
    judged: Judged,
    judge: Judge,
    convention: str,
    also: Sequence[str] = (),
    clock: Clock | None = None,
    tariff: Tariff | None = None,
) -> Row:
    scores = judged.scores
    run = run.with_absent(scores.missing)
    cost = price(run, convention)
    skipped = set(scores.unjudged)
    records = tuple(row for row in run.records if row.qid not in skipped)
    qids = tuple(record.qid for record in records)
    values = {name: [of[qid] for qid in qids] for name, of in scores.values.items()}
    unranked = Interval(None, note="no ranking is known")
    flops = None if cost.per_query is None else _of(cost.per_query, qids)
    counted = counts(run, skipped)
    found = figures(values, flops, counted)
    if "spread" in run.unknown:
        found = found.without_spread()
    seconds = Predicted(None) if clock is None else predicted(run, clock)
    listed, recorded = (tariff, None) if tariff is not None else recorded_tariff(run)
    money = Told(None) if listed is None else paid(run, listed, qids, seconds.timed)
    return Row(
        path=run.folder.path,
        manifest=_judged_by(run.manifest, judged.judgments_sha256),
        qids=qids,
        records=records,
        scores=scores,
        cost=cost,
        work=work(counted, found.work),
        measures={**dict.fromkeys(judge.measures, unranked), **found.measures},
        petaflops=found.petaflops,
        first_stage_petaflops=_mean(cost.first_stage, qids),
        matched_petaflops=_mean(matched(records), qids),
        qpp=found.qpp,
        rpp={**dict.fromkeys(judge.measures, Rpp(unranked, unranked)), **found.rpp},
        notes=(
            *_notes(run, scores, cost),
            *(text for text in (judged.ties, seconds.note, recorded, *money.notes) if text),
        ),
        timed=seconds.timed,
        paid=money.paid,
        standing=Standing(),
        prices={name: _price(run, name) for name in also},
        priced=run.priced,
        verified=judged.verified,
    )


def _price(run: Recorded, convention: str) -> Cost:
    """The price under a further convention, which need not know every model."""
    try:
        return price(run, convention)
    except DataError as error:
        return Cost(None, None, note=str(error))


def _judged_by(manifest: Manifest, sha256: str | None) -> Manifest:
    """A run is known by the judgments that it is judged by, whatever it was made with."""
    if sha256 is None:
        return manifest
    dataset = manifest.dataset.model_copy(update={"judgments_sha256": sha256})
    return manifest.model_copy(update={"dataset": dataset})


def _of(amounts: Mapping[str, int], qids: Sequence[str]) -> list[int]:
    return [amounts[qid] for qid in qids]


def _mean(amounts: Mapping[str, int] | None, qids: Sequence[str]) -> float | None:
    if amounts is None or not qids:
        return None
    return sum(_of(amounts, qids)) / (len(qids) * PETA)


def _notes(run: Recorded, scores: Scores, cost: Cost) -> list[str]:
    notes = []
    if "ranking" in run.unknown:
        notes.append("no ranking is known, so that there is no quality and no RPP")
    failed = [record.qid for record in run.records if record.status == "failed"]
    if failed:
        notes.append(f"incomplete: {len(failed)} queries failed ({_some(failed)})")
    recorded = sum(record.status != "absent" for record in run.records)
    absent = run.manifest.dataset.queries - recorded
    if absent:
        notes.append(f"incomplete: {absent} of its queries are not on record")
    if scores.missing:
        missing = _some(scores.missing)
        notes.append(f"{len(scores.missing)} queries have no ranking and score 0 ({missing})")
    if scores.unjudged:
        notes.append(
            f"{len(scores.unjudged)} queries without judgments do not count "
            f"({_some(scores.unjudged)})"
        )
    notes.extend(run.manifest.contradictions)
    if cost.note:
        notes.append(cost.note)
    elif run.caching != "own":
        notes.append(CACHING[run.caching])
    notes += [f"its cost is at least this, because {text}" for text in run.missing]
    if run.dealt:
        notes.append(
            f"{run.dealt} of {len(run.query_of_call)} calls name no query and are shared out among "
            "all: means over all queries are exact, and what a single query took is not known"
        )
    if run.declared.note:
        notes.append(run.declared.note)
    counted = len(next(iter(scores.values.values()), ()))
    if 1 < counted < FEW_QUERIES:
        notes.append(
            f"{counted} queries are few: 95 % intervals of fewer than {FEW_QUERIES} are too narrow "
            "(those of RPP hold the truth 83 times of 100 at 5 queries, 88 at 10, 91 at 15)"
        )
    return notes


def _some(names: Sequence[str], most: int = 5) -> str:
    return ", ".join(names[:most]) + (" …" if len(names) > most else "")
