"""The report on the paper's reproduction: what matches, what rounding changes, what is off."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations, groupby
from pathlib import Path

from e2r.borders.writing import write_below
from e2r.errors import UsageError
from e2r.flops.agreement import Agreement, Spread, agreements, profile
from e2r.flops.conventions import CONVENTIONS
from e2r.flops.measured import Measured, read_all
from e2r.flops.reproduce import VERDICTS, Cell, TableRow, paper
from e2r.metrics.reports.markdown import point, table, text
from e2r.metrics.reports.tables import short

COMMAND = "e2r reproduce paper --data ../shared/data --write docs/reproduction.md"
IMAGES = "images/reproduction"


@dataclass(frozen=True)
class Found:
    """Everything that the report tells of."""

    rows: Sequence[TableRow]
    files: Sequence[Measured]
    agreements: Sequence[Agreement]
    exact: int

    @property
    def calls(self) -> int:
        """Profiled calls, all models together."""
        return self.agreements[-1].calls


def find(data: Path) -> Found:
    """Compute the tables and the profiled calls under `data` again."""
    files = read_all(data)
    exact = sum(file.exact for file in profile(files))
    return Found(paper(data), files, agreements(files), exact)


def write(found: Found, path: Path) -> list[Path]:
    """Write the report to `path` and its figures into images/reproduction beside it.

    Returns the paths. Raises UsageError where they cannot be written.
    """
    from e2r.metrics.reports.pictures import measured

    folder = path.parent / IMAGES
    try:
        write_below(path.parent, path.name, report(found).encode())
        return [path, *measured.write(found.files, found.agreements, folder)]
    except OSError as error:
        raise UsageError(f"{path}: cannot be written ({error.strerror})") from None


def report(found: Found) -> str:
    """The report in Markdown; the same text from the same data."""
    return "\n".join([*_summary(found), *_rounding(found), *_calls(found), *_tables(found)])


def _summary(found: Found) -> list[str]:
    rows = found.rows
    good = sum(row.reproduced for row in rows)
    worst = max(rows, key=lambda row: row.difference)
    off = sum(row.cells[0].verdict == "differs" for row in rows)
    medians = [entry.errors["paper"].median for entry in found.agreements[:-1]]
    least, most = -100 * max(medians), -100 * min(medians)
    return [
        "# The paper, computed again",
        "",
        *text(
            "Peng et al., *Efficiency-Effectiveness Reranking FLOPs for LLM-based Rerankers*, "
            "EMNLP 2025 industry track ([arXiv 2507.06223v2](https://arxiv.org/abs/2507.06223)). "
            "This page is generated; a test keeps it true wherever the paper's data is at hand:"
        ),
        f"    {COMMAND}",
        "",
        *text(
            "What the paper prints is not repeated here. The same command shows it on the "
            "terminal, beside our figures, cell by cell. NDCG and token counts are given; the rest "
            "is computed."
        ),
        *point(
            f"**{good} of {len(rows)} rows of Tables 2 and 3 are reproduced**: PetaFLOPs within "
            "0.0011 or 0.02 %, RPP and QPP within one unit of the last printed digit. The largest "
            f"difference is {worst.difference:.4f} PetaFLOPs of {worst.printed_petaflops:.3f} "
            f"({worst.model}, {worst.method}, {worst.dataset})."
        ),
        *point(
            f"{off} of {len(rows)} PetaFLOPs are further off than the rounding of their printed "
            "inputs explains."
        ),
        *point(
            f"**{found.exact:,} of {found.calls:,} profiled calls are reproduced to the integer** "
            "by the convention `deepspeed`."
        ),
        *point(
            f"**The paper's calculator is {least:.1f} to {most:.1f} % below the authors' own "
            "profiler** (medians by model): its tables understate every cost."
        ),
        "",
    ]


def _rounding(found: Found) -> list[str]:
    rows = found.rows
    names = [cell.name for cell in rows[0].cells]
    counts = [
        [
            f"`{verdict}`: {words}",
            *(
                str(sum(row.cells[place].verdict == verdict for row in rows))
                for place in range(len(names))
            ),
        ]
        for verdict, words in VERDICTS.items()
    ]
    off = [
        [
            row.dataset,
            row.model,
            f"`{row.method}`",
            _range(row.cells[0], 6),
            f"{row.printed_petaflops - row.petaflops:+.4f}",
        ]
        for row in rows
        if row.cells[0].verdict == "differs"
    ]
    rpp = sum(_rounds(row.rpp, row.cells[1]) for row in rows)
    qpp = sum(_rounds(row.qpp, row.cells[2]) for row in rows)
    # A tenth of an RPP of 0.03 is one printed digit, and no finding.
    most = max(rows, key=lambda row: abs(row.cells[1].change) if row.cells[1].computed > 1 else 0)
    split, turned, pairs = turned_pairs(rows, lambda row: float(row.cells[1].printed), _unrounded)
    return [
        "## What matches, and what the paper's rounding changes",
        "",
        *table(["cells of both tables", *names], counts),
        *text(
            "Ours are computed from the printed tokens without rounding anything on the way. Some "
            "PetaFLOPs are cut where most are rounded. These stay off, why is not known:"
        ),
        *table(["dataset", "model", "method", "ours, by rounded inputs", "printed − ours"], off),
        *text(
            "The paper divides by its *printed* PetaFLOPs: NDCG over them rounds to the printed "
            f"RPP in {rpp} of {len(rows)} rows, and 1 over them to the printed QPP in {qpp} (in "
            "the others it is cut). One or two digits of PetaFLOPs make the small models' RPP "
            f"coarse: without that rounding it changes by up to "
            f"{100 * abs(most.cells[1].change):.1f} % ({most.model}, {most.method}, "
            f"{most.dataset}: {most.cells[1].computed:.2f}). Of the {pairs} pairs of methods on "
            f"the same model and dataset, {split} tied in printed RPP no longer is, and {turned} "
            "changes its order."
        ),
    ]


def _calls(found: Found) -> list[str]:
    errors = [
        [entry.model, f"{entry.calls:,}", *(_percent(entry.errors[name]) for name in CONVENTIONS)]
        for entry in found.agreements
    ]
    correlations = [
        [
            entry.model,
            f"{entry.seconds_r:.3f}",
            f"{entry.prompt_r:.3f}",
            *(short(value / 1e12, 3) for value in _three(entry.flops_per_second)),
        ]
        for entry in found.agreements
    ]
    return [
        "## The calculator against its own profiled calls",
        "",
        *text(
            "Estimated over measured FLOPs, minus 1, in per cent: the median and the range over "
            "calls. The calculator is given the decoder prompt as output, as the tables' Out holds "
            "it."
        ),
        *table(["model", "calls", *(f"`{name}`" for name in CONVENTIONS)], errors),
        *text(
            "`paper` leaves out the third matrix of gated feed-forward blocks and the output head, "
            "and divides attention by the sharing of keys. The profiler counts the first two, but "
            "no attention scores where the kernel is fused (Qwen2.5), which is why `torch` and "
            "`ideal` lie above it there."
        ),
        f"![Estimated against measured FLOPs]({IMAGES}/estimated-measured.svg)",
        "",
        *text(
            "**Figure 1, redrawn.** Left: FLOPs by the paper's calculator against the profiler's; "
            "the line is equality. Right: the distance of each convention. All three figures show "
            "calls of each model drawn by lot (1,500, in figure 3 150); the numbers are over all "
            "calls."
        ),
        f"![Latency against FLOPs]({IMAGES}/latency-flops.svg)",
        "",
        *text(
            "**Figure 2, redrawn.** Seconds of each call against its measured FLOPs; the highest "
            "0.1 % of the seconds may lie outside the picture and count in r."
        ),
        f"![FLOPs against prompt length]({IMAGES}/flops-prompt.svg)",
        "",
        *text("**Figure 3, redrawn.** Measured FLOPs against the prompt's tokens."),
        *table(
            ["model", "r with seconds", "r with prompt tokens", "TFLOP/s, median", "least", "most"],
            correlations,
        ),
        *text(
            "Pearson's r of measured FLOPs depends on what is pooled. The seconds of Qwen2.5-3B "
            "and flan-t5-large hardly move with length at all; those of Qwen2.5-7B rise in steps. "
            f"Over all models together r is {found.agreements[-1].seconds_r:.2f}: the "
            "encoder–decoders do fewer FLOPs and take longer. FLOPs are not seconds. The r that "
            "the paper prints is not among the data at hand and not compared here."
        ),
    ]


def _tables(found: Found) -> list[str]:
    rows = found.rows
    _, turned, pairs = turned_pairs(rows, _unrounded, lambda row: row.ndcg / row.ideal)
    cells = [
        "## Every cell",
        "",
        *text(
            "Ours, in brackets what the rounding of the printed inputs allows, and the verdict; "
            "where rounding makes the difference, how far ours is from the printed figure. Models: "
            "L, XL, XXL are google/flan-t5-large, -xl and -xxl, 8B is "
            "meta-llama/Llama-3.1-8B-Instruct."
        ),
    ]
    ideal = [
        "## The same tables under `ideal`",
        "",
        *text(
            "The matrix products that the mathematics asks for (see [the README](../README.md)). "
            "Out is read like this: a Flan-T5's holds the decoder prompt, three tokens of five, "
            "else one; 10 is a comparison in both orders, two calls of half the tokens; 0 reads "
            "one score. Query likelihood's decoder is priced for its start token alone, because "
            "the tables do not say how long the queries are. "
            f"{turned} of {pairs} pairs of methods on the same model and dataset change their "
            "order in RPP."
        ),
    ]
    for number, group in groupby(rows, key=lambda row: row.table):
        members = list(group)
        cells += [f"### Table {number}", ""]
        cells += table(
            ["dataset", "model", "method", "PFLOPs", "RPP", "QPP"],
            [[*_words(row), *map(_cell, row.cells)] for row in members],
        )
        ideal += [f"### Table {number} under `ideal`", ""]
        ideal += table(
            ["dataset", "model", "method", "PFLOPs", "over `paper`", "RPP", "QPP"],
            [
                [
                    *_words(row),
                    short(row.ideal),
                    f"{row.ideal / row.petaflops:.3f}",
                    short(row.ndcg / row.ideal),
                    short(1 / row.ideal),
                ]
                for row in members
            ],
        )
    return [*cells, *ideal]


def _words(row: TableRow) -> list[str]:
    size = "8B" if "8B" in row.model else row.model.rpartition("-")[2]
    return [row.dataset, "L" if size == "large" else size.upper(), f"`{row.method}`"]


def _cell(cell: Cell) -> str:
    change = f", {100 * cell.change:+.1f} %" if cell.verdict == "rounding" else ""
    return f"{_range(cell)} {cell.verdict}{change}"


def _range(cell: Cell, digits: int = 4) -> str:
    value, low, high = (short(each, digits) for each in (cell.computed, cell.low, cell.high))
    return f"{value} [{low}, {high}]"


def _rounds(value: float, cell: Cell) -> bool:
    digits = len(cell.printed.partition(".")[2])
    return bool(abs(value - float(cell.printed)) <= 0.5 * 0.1**digits + 1e-12)


def _unrounded(row: TableRow) -> float:
    return row.cells[1].computed


def turned_pairs(
    rows: Iterable[TableRow],
    before: Callable[[TableRow], float],
    after: Callable[[TableRow], float],
) -> tuple[int, int, int]:
    """Pairs of one model and dataset: ties that are split, orders that turn, and all of them."""
    split = turned = pairs = 0
    groups: dict[tuple[str, str], list[TableRow]] = {}
    for row in rows:
        groups.setdefault((row.dataset, row.model), []).append(row)
    for group in groups.values():
        for one, other in combinations(group, 2):
            pairs += 1
            was, is_now = before(one) - before(other), after(one) - after(other)
            split += was == 0 and is_now != 0
            turned += was * is_now < 0
    return split, turned, pairs


def _percent(spread: Spread) -> str:
    if spread.low == spread.high == 0:
        return "exact"
    low, high = 100 * spread.low, 100 * spread.high
    return f"{100 * spread.median:+.2f} [{low:+.2f}, {high:+.2f}]"


def _three(spread: Spread) -> tuple[float, float, float]:
    return spread.median, spread.low, spread.high
