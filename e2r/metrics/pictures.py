"""Figures as pictures by matplotlib, the same bytes from the same runs."""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from e2r.errors import UsageError
from e2r.metrics.evaluation import Evaluation, Row
from e2r.metrics.groups import competes, group_id

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Okabe and Ito's palette, told apart with any colour vision and in grey by the marker.
FAMILIES: Mapping[str, tuple[str, str]] = {
    "first_stage": ("#777777", "D"),
    "pointwise": ("#0072B2", "o"),
    "pairwise": ("#CC79A7", "v"),
    "setwise": ("#D55E00", "s"),
    "listwise": ("#009E73", "^"),
    "tournament": ("#E69F00", "P"),
    "attention": ("#56B4E9", "X"),
}
_OTHER = ("#999999", "h")
_MOST_LABELS = 14
_LONGEST_LABEL = 44
_OPERATIONS_SHOWN = 6


@dataclass(frozen=True)
class Theme:
    """Colours of a chart's paper and ink."""

    name: str
    ink: str
    faint: str
    paper: str


THEMES = (
    Theme("light", "#26241f", "#d9d5cb", "#fffefb"),
    Theme("dark", "#e8e4da", "#454139", "#1b1a17"),
)


def quality_against_cost(
    rows: Sequence[Row], measure: str, convention: str, theme: Theme = THEMES[0]
) -> bytes | None:
    """Runs of one group by PetaFLOPs with 95 % intervals and the frontier as a line, as an SVG.

    None where fewer than two runs have a quality and a cost above zero, as the logarithm needs.
    """
    label = f"PetaFLOPs per query, convention {convention} (log scale)"
    found = _scatter(rows, measure, lambda row: row.petaflops.value, label, theme, frontier=True)
    return None if found is None else _bytes(found, "svg")


def write_pictures(evaluation: Evaluation, folder: Path) -> list[Path]:
    """Write the pictures of an evaluation as SVG and PNG and return their paths.

    For each group of comparable runs: quality against PetaFLOPs and against calls, and the share
    of each operation in the cost. Raises UsageError where `folder` cannot be written.
    """
    groups: dict[str, list[Row]] = {}
    for row in evaluation.rows:
        groups.setdefault(group_id(row), []).append(row)
    measure = evaluation.measures[0]
    cost = f"PetaFLOPs per query, convention {evaluation.convention} (log scale)"
    calls = "calls per query (log scale)"
    written: list[Path] = []
    for key, rows in groups.items():
        figures = {
            "quality-cost": _scatter(
                rows, measure, lambda row: row.petaflops.value, cost, THEMES[0], frontier=True
            ),
            "quality-calls": _scatter(
                rows, measure, lambda row: row.work.calls_per_query, calls, THEMES[0]
            ),
            "cost-by-operation": _breakdown(rows, evaluation.convention),
        }
        for name, figure in figures.items():
            if figure is None:
                continue
            for form in ("svg", "png"):
                path = folder / f"{key}-{name}.{form}"
                try:
                    folder.mkdir(parents=True, exist_ok=True)
                    path.write_bytes(_bytes(figure, form))
                except OSError as error:
                    raise UsageError(f"{path}: cannot be written ({error.strerror})") from None
                written.append(path)
    return written


@contextmanager
def _style(theme: Theme) -> Iterator[None]:
    import matplotlib as mpl

    settings: Any = {
        "svg.hashsalt": "e2r",
        "svg.fonttype": "path",
        "font.family": "DejaVu Sans",
        "font.size": 9,
        "axes.edgecolor": theme.faint,
        "axes.labelcolor": theme.ink,
        "text.color": theme.ink,
        "xtick.color": theme.ink,
        "ytick.color": theme.ink,
    }
    with mpl.rc_context(settings), warnings.catch_warnings():
        # Names may hold characters that the font lacks; a box in their place is good enough.
        warnings.filterwarnings("ignore", message=r"Glyph .* missing")
        yield


def _figure(theme: Theme) -> tuple[Figure, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.4, 4.6), layout="constrained", facecolor=theme.paper)
    axes = figure.add_subplot(facecolor=theme.paper)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_axisbelow(True)
    return figure, axes


def _bytes(figure: Figure, form: str) -> bytes:
    stream = io.BytesIO()
    metadata: Any = {"Date": None, "Creator": "e2r"} if form == "svg" else {"Software": "e2r"}
    with _style(THEMES[0]):
        figure.savefig(stream, format=form, metadata=metadata, dpi=200)
    return stream.getvalue()


def _scatter(
    rows: Sequence[Row],
    measure: str,
    cost: Callable[[Row], float | None],
    label: str,
    theme: Theme,
    frontier: bool = False,
) -> Figure | None:
    points = [
        (x, y, row)
        for row in rows
        if competes(row) and (x := cost(row)) and (y := row.measures[measure].value) is not None
    ]
    if len(points) < 2:
        return None
    with _style(theme):
        figure, axes = _figure(theme)
        axes.set_xscale("log")
        axes.grid(True, which="major", color=theme.faint, linewidth=0.6)
        axes.margins(x=0.12, y=0.12)
        axes.set_xlabel(label)
        axes.set_ylabel(measure, parse_math=False)
        if frontier:
            line = sorted((x, y) for x, y, row in points if row.on_frontier)
            axes.plot(
                [x for x, _ in line],
                [y for _, y in line],
                drawstyle="steps-post",
                color=theme.ink,
                linewidth=1,
                alpha=0.55,
                zorder=2,
            )
        _points(axes, points, measure, theme)
        _legend(axes, 7)
    return figure


def _points(
    axes: Any, points: Sequence[tuple[float, float, Row]], measure: str, theme: Theme
) -> None:
    middle = math.sqrt(min(x for x, _, _ in points) * max(x for x, _, _ in points))
    named: set[str] = set()
    for x, y, row in points:
        colour, marker = FAMILIES.get(row.family, _OTHER)
        found = row.measures[measure]
        if found.low is not None and found.high is not None:
            axes.plot([x, x], [found.low, found.high], color=colour, alpha=0.35, zorder=3)
        axes.plot(
            [x],
            [y],
            marker=marker,
            color=colour,
            markersize=8 if row.on_frontier else 6,
            markeredgecolor=theme.ink if row.on_frontier else theme.paper,
            linestyle="none",
            label=None if row.family in named else row.family,
            zorder=4,
        )
        named.add(row.family)
        if len(points) <= _MOST_LABELS or row.on_frontier:
            axes.annotate(
                _label(row),
                (x, y),
                xytext=(7, 5) if x <= middle else (-7, 5),
                textcoords="offset points",
                horizontalalignment="left" if x <= middle else "right",
                fontsize=7.5,
                zorder=5,
                parse_math=False,
                in_layout=False,
            )


def _breakdown(rows: Sequence[Row], convention: str) -> Figure | None:
    """One bar a run: the share of each operation, small ones together."""
    priced = [row for row in rows if row.cost.operations]
    if not priced:
        return None
    sums: dict[str, int] = {}
    for row in priced:
        for op in row.cost.operations:
            sums[op.name] = sums.get(op.name, 0) + op.flops
    shown = sorted(sums, key=lambda name: -sums[name])[:_OPERATIONS_SHOWN]
    palette = [colour for colour, _ in [*FAMILIES.values()][1:]]
    theme = THEMES[0]
    with _style(theme):
        figure, axes = _figure(theme)
        left = [0.0] * len(priced)
        for name, colour in [*zip(shown, palette, strict=False), ("the rest", _OTHER[0])]:
            widths = [_share(row, name, shown) for row in priced]
            axes.barh(
                range(len(priced)),
                widths,
                left=left,
                color=colour,
                edgecolor=theme.paper,
                label=name,
                height=0.6,
            )
            left = [start + width for start, width in zip(left, widths, strict=True)]
        axes.set_yticks(range(len(priced)), [_label(row) for row in priced])
        for text in axes.get_yticklabels():
            text.set_parse_math(False)
        axes.invert_yaxis()
        axes.set_xlabel(f"share of FLOPs, convention {convention}")
        _legend(axes, 4)
    return figure


def _legend(axes: Any, columns: int) -> None:
    """Above the axes, where it hides nothing."""
    legend = axes.legend(
        loc="lower center", bbox_to_anchor=(0.5, 1), ncols=columns, frameon=False, fontsize=8
    )
    for text in legend.get_texts():
        text.set_parse_math(False)


def _share(row: Row, name: str, shown: Sequence[str]) -> float:
    total = sum(op.flops for op in row.cost.operations)
    wanted = (
        op.flops
        for op in row.cost.operations
        if op.name == name or (name == "the rest" and op.name not in shown)
    )
    return sum(wanted) / total


def _label(row: Row) -> str:
    text = row.label if row.family == "first_stage" else f"{row.manifest.method} · {row.label}"
    return text if len(text) <= _LONGEST_LABEL else f"{text[: _LONGEST_LABEL - 1]}…"
