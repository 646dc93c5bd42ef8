"""Quality against PetaFLOPs as an SVG, the same bytes from the same runs."""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from e2r.site.board import Entry, Group

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


def chart(group: Group, measure: str, convention: str, theme: Theme) -> bytes | None:
    """The runs of a group as an SVG with 95 % intervals and the frontier as a line.

    None where fewer than two runs have a quality and a cost above zero, as the logarithm needs.
    """
    shown = [entry for entry in group.entries if _point(entry, measure) is not None]
    if len(shown) < 2:
        return None
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

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
        figure = Figure(figsize=(8.4, 4.6), layout="constrained", facecolor=theme.paper)
        FigureCanvasSVG(figure)
        axes = figure.add_subplot(facecolor=theme.paper)
        _draw(axes, shown, measure, theme)
        axes.set_xlabel(f"PetaFLOPs per query, convention {convention} (log scale)")
        axes.set_ylabel(measure, parse_math=False)
        stream = io.BytesIO()
        metadata: dict[str, Any] = {"Date": None, "Creator": "e2r"}
        figure.savefig(stream, format="svg", metadata=metadata)
    return stream.getvalue()


def _draw(axes: Any, shown: Sequence[Entry], measure: str, theme: Theme) -> None:
    axes.set_xscale("log")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(True, which="major", color=theme.faint, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.margins(x=0.12, y=0.12)
    line = sorted(_point(entry, measure) or (0, 0) for entry in shown if entry.on_frontier)
    axes.plot(
        [cost for cost, _ in line],
        [quality for _, quality in line],
        drawstyle="steps-post",
        color=theme.ink,
        linewidth=1,
        alpha=0.55,
        zorder=2,
    )
    costs = [cost for cost, _ in (_point(entry, measure) or (1, 0) for entry in shown)]
    middle = math.sqrt(min(costs) * max(costs))
    named: set[str] = set()
    for entry in shown:
        cost, quality = _point(entry, measure) or (0, 0)
        colour, marker = FAMILIES.get(entry.family, _OTHER)
        found = entry.row.measures[measure]
        if found.low is not None and found.high is not None:
            axes.plot([cost, cost], [found.low, found.high], color=colour, alpha=0.35, zorder=3)
        axes.plot(
            [cost],
            [quality],
            marker=marker,
            color=colour,
            markersize=8 if entry.on_frontier else 6,
            markeredgecolor=theme.ink if entry.on_frontier else theme.paper,
            linestyle="none",
            label=None if entry.family in named else entry.family,
            zorder=4,
        )
        named.add(entry.family)
        if len(shown) <= _MOST_LABELS or entry.on_frontier:
            axes.annotate(
                _label(entry),
                (cost, quality),
                xytext=(7, 5) if cost <= middle else (-7, 5),
                textcoords="offset points",
                horizontalalignment="left" if cost <= middle else "right",
                fontsize=7.5,
                zorder=5,
                parse_math=False,
                in_layout=False,
            )
    for text in axes.legend(loc="lower right", frameon=False, fontsize=8).get_texts():
        text.set_parse_math(False)


def _point(entry: Entry, measure: str) -> tuple[float, float] | None:
    cost, quality = entry.row.petaflops.value, entry.quality(measure)
    return None if not cost or quality is None else (cost, quality)


def _label(entry: Entry) -> str:
    if entry.family == "first_stage":
        text = entry.label
    else:
        text = f"{entry.row.manifest.method} · {entry.label}"
    return text if len(text) <= _LONGEST_LABEL else f"{text[: _LONGEST_LABEL - 1]}…"
