"""The report on the priced field: what the committed rows say, each sentence with its interval."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from pathlib import Path
from statistics import median

from e2r.borders.writing import write_below
from e2r.errors import DataError, UsageError
from e2r.flops.reproduce import TableRow, paper
from e2r.metrics.comparison import against
from e2r.metrics.contrast import ALPHA, Contrast, p_value
from e2r.metrics.evaluation import Evaluation, evaluate
from e2r.metrics.frontiers import Frontier, frontiers
from e2r.metrics.groups import competes, group_id
from e2r.metrics.reports.markdown import point, table, text
from e2r.metrics.reports.pictures.quality import against_petaflops
from e2r.metrics.reports.pictures.style import save
from e2r.metrics.reports.reproduction import turned_pairs
from e2r.metrics.reports.tables import fixed, ranged
from e2r.metrics.row import Row
from e2r.metrics.runs.judging import own_judgments
from e2r.metrics.runs.priced import rankings_in
from e2r.metrics.statistics.intervals import Interval
from e2r.records.priced import Known

COMMAND = "e2r reproduce findings --data ../shared/data --runs runs --write docs/findings.md"
IMAGES = "images/findings"
MEASURE = "nDCG@10"
_KNOWN: Mapping[Known, str] = {
    "logged": "exactly, from logged calls",
    "replayed": "exactly, by replay",
    "estimate": "as an estimate",
    "means": "by the printed means of their calls and tokens",
}
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


def write(found: Found, path: Path) -> list[Path]:
    """Write the report to `path` and its pictures into images/findings beside it.

    Returns the paths. Raises UsageError where they cannot be written.
    """
    figures = {field.key: against_petaflops(field.rows, MEASURE, "ideal") for field in found.fields}
    try:
        write_below(path.parent, path.name, report(found).encode())
        return [path, *save(figures, path.parent / IMAGES)]
    except OSError as error:
        raise UsageError(f"{path}: cannot be written ({error.strerror})") from None


def report(found: Found) -> str:
    """The report in Markdown; the same text from the same rows."""
    lines = _summary(found)
    for field in found.fields:
        lines += _field(field)
    return "\n".join([*lines, *_paper(found.paper), *_limits()])


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


def _summary(found: Found) -> list[str]:
    rows = [row for field in found.fields for row in field.rows]
    priced = [row for row in rows if row.priced is not None]
    idle = sum(len(field.idle) for field in found.fields)
    models = sorted({row.label for row in priced})
    kinds = Counter(row.priced.known for row in priced if row.priced is not None)
    said = ", ".join(f"{kinds[kind]} {words}" for kind, words in _KNOWN.items() if kinds[kind])
    return [
        "# What the priced field says",
        "",
        *text(
            "Rankings that others published, priced call by call or by their printed means, beside "
            "the runs made here. This page is generated; a test keeps it true wherever the data is "
            "at hand:"
        ),
        f"    {COMMAND}",
        "",
        *text(
            f"It speaks of {len(priced)} published rankings by {len(models)} models "
            f"({', '.join(models)}) and {len(rows) - len(priced)} runs made here. How the prices "
            f"are known: {said}. {idle} more rankings follow from the first stage's order alone: "
            "their models answered nothing that could be read. They are on the board and not here."
        ),
        *text(
            "Quality is nDCG@10, computed again from each ranking. Costs are PetaFLOPs a query "
            "under `ideal`, the matrix products that the mathematics asks for. Brackets hold 95 % "
            "intervals over queries (BCa; of costs, only where each call is known), P(on) is the "
            "share of 10,000 resamples in which a row is on the frontier, and p is the paired "
            "randomisation test's."
        ),
    ]


def _field(field: Field) -> list[str]:
    return [
        f"## {field.name}: {len(field.rows)} rows",
        "",
        *_frontier(field),
        *_steps(field),
        *_equal_cost(field),
    ]


def _frontier(field: Field) -> list[str]:
    lines = [
        (row, [row.label, _what(row), fixed(quality), ranged(cost), f"{chance.probability:.3f}"])
        for row, quality, cost, chance in zip(
            field.frontier.rows,
            field.frontier.quality,
            field.frontier.cost,
            field.frontier.memberships,
            strict=True,
        )
        if chance.on
    ]
    families = Counter(row.family for row, _ in lines if row.family != "first_stage")
    sizes = Counter(row.label for row, _ in lines if row.family != "first_stage")
    sure = [row for row, line in lines if float(line[-1]) >= 0.5 and row.family != "first_stage"]
    reach = field.frontier.reaches[0]
    cheapest = field.frontier.rows[reach.run]
    return [
        "### Which methods and sizes are on the frontier",
        "",
        f"![Quality against PetaFLOPs on {field.name}]({IMAGES}/{field.key}.svg)",
        "",
        *text(
            f"{len(lines)} rows are on it, the first stage among them: by method "
            f"{_counted(families)}, by model {_counted(sizes)}. {len(sure)} of the rerankers stay "
            "on it in at least half of the resamples. "
            f"{100 * reach.share:g} % of the best quality ({reach.level:.4f}) costs "
            f"{ranged(reach.cost)} PetaFLOPs a query, by {cheapest.label} {_what(cheapest)}, which "
            f"is the cheapest to reach it in {100 * reach.probability:.0f} % of the resamples."
        ),
        *table(["model", "method", MEASURE, "PFLOPs/query", "P(on)"], [line for _, line in lines]),
    ]


def _steps(field: Field) -> list[str]:
    lines = [
        [
            f"{step.cheaper.label} {_what(step.cheaper)}",
            f"{step.dearer.label} {_what(step.dearer)}",
            fixed(step.contrast.difference),
            p_value(step.contrast.tests.p_randomisation),
            ranged(step.contrast.cost_ratio),
            "–" if step.point.value is None else ranged(step.point),
        ]
        for step in field.steps
    ]
    known = [step for step in field.steps if step.point.value is not None]
    return [
        "### What a point of nDCG costs along it",
        "",
        *text(
            "From each row of the frontier to the next: the gain, the test of it (not corrected: a "
            "step is no hypothesis of its own), how many times dearer, and the PetaFLOPs for 0.01 "
            "of nDCG@10. That last figure is given where the interval of the gain is above 0: in "
            f"{len(known)} of {len(field.steps)} steps. Everywhere else the frontier is a line "
            "through noise, and what a point costs there is not known from these queries."
        ),
        *table(
            ["from", "to", "gain", "p", "times dearer", "PFLOPs for 0.01"],
            lines,
        ),
    ]


def _equal_cost(field: Field) -> list[str]:
    if not field.duels:
        return []
    equal = [duel for duel in field.duels if duel.at_equal_cost.value is not None]
    above = sum((duel.at_equal_cost.low or 0) > 0 for duel in equal)
    below = sum((duel.at_equal_cost.high or 0) < 0 for duel in equal)
    whole = [duel for duel in field.duels if duel.p < ALPHA]
    better = sum((duel.difference.value or 0) > 0 for duel in whole)
    shown = []
    for model, group in groupby(field.duels, key=lambda duel: duel.run.label):
        duels = list(group)
        # The listwise rows come by rising quality.
        best, cheapest = duels[-1], min(duels, key=lambda duel: duel.cost_ratio.value or 0.0)
        for duel in dict.fromkeys([best, cheapest]):
            shown.append(
                [
                    model,
                    _what(duel.baseline),
                    f"{_what(duel.run)} ({'best' if duel is best else 'cheapest'})",
                    fixed(duel.difference),
                    p_value(duel.p),
                    ranged(duel.cost_ratio),
                    fixed(duel.at_equal_cost),
                ]
            )
    return [
        "### Where pointwise beats listwise at equal cost",
        "",
        *text(
            f"{len(field.duels)} listwise rows stand against the best pointwise row of their own "
            "model (chosen on the same queries, which favours it). Queries reranked in full: "
            f"{better} listwise rows are better and {len(whole) - better} worse (p < {ALPHA:g}, "
            "Holm within the model). **At equal cost**, where the dearer of the two reranks only "
            "as many queries as the cheaper one's cost pays for and leaves the others to the first "
            f"stage, pointwise is better in {below} of {len(equal)} and listwise in {above}: the "
            "interval of the difference is on that side of 0. In the table a difference is "
            "listwise − pointwise."
        ),
        *table(
            ["model", "pointwise", "listwise", "difference", "p", "FLOPs ratio", "at equal cost"],
            shown,
        ),
    ]


def _paper(rows: Sequence[TableRow]) -> list[str]:
    factors: dict[str, list[float]] = {}
    for row in rows:
        factors.setdefault(row.model, []).append(row.ideal / row.petaflops)
    every = [factor for each in factors.values() for factor in each]
    _, turned, pairs = turned_pairs(
        rows, lambda row: row.cells[1].computed, lambda row: row.ndcg / row.ideal
    )
    return [
        "## How far the paper's own table moves when counted exactly",
        "",
        *text(
            f"All {len(rows)} rows of Tables 2 and 3 under `ideal` instead of the paper's "
            f"equations: the cost is {median(every):.3f} times theirs in the median, from "
            f"{min(every):.3f} to {max(every):.3f}, and {turned} of {pairs} pairs of methods on "
            "the same model and dataset change their order in RPP. These are computed, not "
            "sampled, so that they have a range and no interval; cell by cell they are in "
            "[the reproduction](reproduction.md)."
        ),
        *table(
            ["model", "rows", "`ideal` over `paper`, median", "least", "most"],
            [
                [
                    model,
                    str(len(each)),
                    *(f"{value:.3f}" for value in (median(each), min(each), max(each))),
                ]
                for model, each in factors.items()
            ],
        ),
    ]


def _limits() -> list[str]:
    return [
        "## What this cannot say",
        "",
        *point(
            "The rankings were made by several programs, at several truncations; a difference "
            "between rows of two sources is one of programs too."
        ),
        *point(
            "Rows by means share one cost among all queries: their quality has an interval, their "
            "cost has none, and P(on) takes it as it is."
        ),
        *point(
            "Two collections of 43 and 54 queries in English, one first stage: the intervals say "
            "how little that decides."
        ),
        *point("Arithmetic is not time; [what a FLOP takes](measurement.md) is another page."),
        "",
    ]


def _what(row: Row) -> str:
    facts = row.manifest.method_parameters
    told = ", ".join(f"{name} {value}" for name, value in sorted(facts.items()))
    return f"`{row.manifest.method}`" + (f" ({told})" if told else "")


def _counted(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.most_common())
