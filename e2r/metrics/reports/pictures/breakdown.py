"""Where the FLOPs go: the share of each operation in the cost of each run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from e2r.metrics.reports.pictures.quality import names
from e2r.metrics.reports.pictures.style import (
    HATCHES,
    OTHER,
    SERIES,
    THEMES,
    legend,
    new_figure,
    style,
)
from e2r.metrics.row import Row

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SHOWN = 6
_REST = "the rest"


def by_operation(rows: Sequence[Row], convention: str) -> Figure | None:
    """One bar a run, the smaller operations together; None where no run's calls have a price."""
    priced = [row for row in rows if row.cost.operations]
    if not priced:
        return None
    sums: dict[str, int] = {}
    for row in priced:
        for op in row.cost.operations:
            sums[op.name] = sums.get(op.name, 0) + op.flops
    shown = sorted(sums, key=lambda name: -sums[name])[:_SHOWN]
    parts = [*zip(shown, (colour for colour, _ in SERIES), HATCHES, strict=False)]
    parts.append((_REST, OTHER[0], HATCHES[-1]))
    theme = THEMES[0]
    size = (8.4, 1.4 + 0.42 * len(priced))
    with style(theme):
        figure, (axes,) = new_figure(theme, size=size)
        left = [0.0] * len(priced)
        for name, colour, hatch in parts:
            widths = [_share(row, name, shown) for row in priced]
            axes.barh(
                range(len(priced)),
                [100 * width for width in widths],
                left=[100 * start for start in left],
                color=colour,
                edgecolor=theme.paper,
                hatch=hatch,
                label=name,
                height=0.6,
            )
            left = [start + width for start, width in zip(left, widths, strict=True)]
        axes.set_yticks(range(len(priced)), names(priced))
        for text in axes.get_yticklabels():
            text.set_parse_math(False)
        axes.invert_yaxis()
        axes.grid(False)
        axes.set_xlim(0, 100)
        axes.set_xlabel(f"share of FLOPs, convention {convention} (%)")
        legend(axes, 4)
    return figure


def _share(row: Row, name: str, shown: Sequence[str]) -> float:
    total = sum(op.flops for op in row.cost.operations)
    wanted = (
        op.flops
        for op in row.cost.operations
        if op.name == name or (name == _REST and op.name not in shown)
    )
    return sum(wanted) / total
