"""Buy or host: a month's cost over the traffic, offers as lines and owning as a staircase."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

from e2r.borders.writing import write
from e2r.errors import UsageError
from e2r.forecast.money import Versus
from e2r.metrics.reports.pictures.style import (
    DASHES,
    THEMES,
    as_bytes,
    legend,
    new_figure,
    plain_ticks,
    style,
)

POINTS = 400
_THEME = THEMES[0]
_OWN, _OFFER = "#0072b2", "#d55e00"


def write_hosting(offers: Sequence[Versus], qps: float, path: Path) -> Path:
    """Draw offers against one's own accelerators, around a traffic, the crossings marked.

    Raises UsageError for a name that ends in neither .svg nor .png, and where it cannot be written.
    """
    form = path.suffix.removeprefix(".").lower()
    if form not in ("svg", "png"):
        raise UsageError(f"--picture {path}: end the name in .svg or .png")
    crossings = [each.first for each in offers if each.first is not None]
    marks = [Decimal(repr(qps)), *crossings]
    low, high = float(min(marks)) / 5, float(max(marks)) * 5
    traffic = [low * (high / low) ** (place / (POINTS - 1)) for place in range(POINTS)]
    exact = [Decimal(repr(each)) for each in traffic]
    name = offers[0].offer.currency
    with style(_THEME):
        figure, (axes,) = new_figure(_THEME)
        axes.set_xscale("log")
        axes.set_yscale("log")
        own = [float(offers[0].own_month(each)) for each in exact]
        axes.step(traffic, own, where="post", color=_OWN, linewidth=1.8, label="own accelerators")
        for place, each in enumerate(offers):
            bought = [float(each.bought_month(traffic_)) for traffic_ in exact]
            dash = DASHES[place % len(DASHES)]
            axes.plot(traffic, bought, color=_OFFER, linestyle=dash, label=each.offer.word)
            if each.first is not None:
                height = float(each.own_month(each.first))
                axes.plot([float(each.first)], [height], "o", color=_THEME.ink, markersize=7)
                axes.annotate(
                    f"{float(each.first):.3g} a second",
                    (float(each.first), height),
                    textcoords="offset points",
                    xytext=(8, -12),
                    color=_THEME.ink,
                )
        axes.axvline(qps, color=_THEME.ink, linewidth=0.8, linestyle=":", label=f"{qps:g} a second")
        plain_ticks(axes.xaxis)
        plain_ticks(axes.yaxis)
        axes.set_xlabel("queries a second (log scale)")
        axes.set_ylabel(f"{name} a month (log scale)")
        legend(axes, 2)
        content = as_bytes(figure, form)
    try:
        write(path, content)
    except OSError as error:
        raise UsageError(f"{path}: cannot be written ({error.strerror})") from None
    return path
