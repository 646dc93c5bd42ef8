"""Quality against a cost: one point a run, with intervals, names and the frontier."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from e2r.metrics.groups import competes
from e2r.metrics.reports.pictures.labels import Label, place
from e2r.metrics.reports.pictures.style import (
    FAMILIES,
    OTHER,
    THEMES,
    Theme,
    as_bytes,
    legend,
    new_figure,
    plain_ticks,
    style,
)
from e2r.metrics.row import Row

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MOST_LABELS = 14
_LONGEST_LABEL = 44


def quality_against_cost(
    rows: Sequence[Row], measure: str, convention: str, theme: Theme = THEMES[0]
) -> bytes | None:
    """Runs of one group by PetaFLOPs with 95 % intervals and the frontier as a line, as an SVG.

    None where fewer than two runs have a quality and a cost above zero, as the logarithm needs.
    """
    found = against_petaflops(rows, measure, convention, theme)
    return None if found is None else as_bytes(found, "svg")


def against_petaflops(
    rows: Sequence[Row], measure: str, convention: str, theme: Theme = THEMES[0]
) -> Figure | None:
    """The same as a figure."""
    label = f"PetaFLOPs per query, convention {convention} (log scale)"
    return _scatter(rows, measure, lambda row: row.petaflops.value, label, theme, frontier=True)


def against_calls(rows: Sequence[Row], measure: str, theme: Theme = THEMES[0]) -> Figure | None:
    """Runs of one group by calls per query; None where fewer than two have made any."""
    label = "calls per query (log scale)"
    return _scatter(
        rows, measure, lambda row: row.work.calls_per_query, label, theme, few_decades=True
    )


def names(rows: Sequence[Row]) -> list[str]:
    """What to call each run: its method, and its model where they do not all share it."""
    models = {row.label for row in rows if row.family != "first_stage"}
    return [_short(row, alone=len(models) == 1) for row in rows]


def _scatter(
    rows: Sequence[Row],
    measure: str,
    cost: Callable[[Row], float | None],
    label: str,
    theme: Theme,
    frontier: bool = False,
    few_decades: bool = False,
) -> Figure | None:
    points = [
        (x, y, row)
        for row in rows
        if competes(row) and (x := cost(row)) and (y := row.measures[measure].value) is not None
    ]
    if len(points) < 2:
        return None
    # The first stage costs next to nothing: seven empty decades would lie between it and the rest.
    margin = [row for _, _, row in points if row.family == "first_stage"]
    if len(margin) < len(points):
        points = [point for point in points if point[2].family != "first_stage"]
    else:
        margin = []
    with style(theme):
        figure, (axes,) = new_figure(theme)
        axes.set_xscale("log")
        axes.margins(x=0.12, y=0.12)
        axes.set_title(_data(points[0][2]), loc="left", fontsize=9, pad=22, parse_math=False)
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
        for row in margin:
            _at_the_margin(axes, row, measure, theme)
        if frontier and any(row.on_frontier for _, _, row in points):
            axes.plot(
                [],
                [],
                marker="o",
                color=theme.paper,
                markeredgecolor=theme.ink,
                markersize=8,
                linestyle="none",
                label="outlined: on the frontier",
            )
        if few_decades:
            plain_ticks(axes.xaxis)
        legend(axes, 7)
        shown = [row for _, _, row in points]
        labels = [
            Label(name, x, y)
            for (x, y, row), name in zip(points, names(shown), strict=True)
            if len(points) <= _MOST_LABELS or row.on_frontier
        ]
        # A logarithm needs two different costs to choose its ends by.
        if len({x for x, _, _ in points}) == 1:
            axes.set_xlim(points[0][0] / 3, points[0][0] * 3)
        bars = [(x, y, y) for x, y, _ in points]
        for x, y, row in points:
            found = row.measures[measure]
            bars.append((x, y if found.low is None else found.low, found.high or y))
        place(figure, axes, labels, bars, theme.ink)
    return figure


def _data(row: Row) -> str:
    """What all runs of a picture were made on."""
    dataset = row.manifest.dataset
    return (
        f"{dataset.id}, {dataset.first_stage} top {dataset.depth}, {len(row.qids)} judged queries"
    )


def _at_the_margin(axes: Any, row: Row, measure: str, theme: Theme) -> None:
    value = row.measures[measure].value
    colour, _ = FAMILIES["first_stage"]
    axes.axhline(value, color=colour, linewidth=0.9, linestyle="--", zorder=1)
    axes.annotate(
        f"{row.label} {value:.4f}",
        (0, value),
        xycoords=("axes fraction", "data"),
        xytext=(3, 3),
        textcoords="offset points",
        fontsize=7.5,
        color=theme.ink,
        parse_math=False,
    )


def _points(
    axes: Any, points: Sequence[tuple[float, float, Row]], measure: str, theme: Theme
) -> None:
    named: set[str] = set()
    for x, y, row in points:
        colour, marker = FAMILIES.get(row.family, OTHER)
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


def _short(row: Row, alone: bool) -> str:
    if row.family == "first_stage":
        text = row.label
    else:
        text = row.manifest.method if alone else f"{row.manifest.method} · {row.label}"
    return text if len(text) <= _LONGEST_LABEL else f"{text[: _LONGEST_LABEL - 1]}…"
