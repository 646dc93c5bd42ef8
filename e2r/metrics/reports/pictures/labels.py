"""Names beside points, placed so that none covers another name or a point."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from matplotlib.transforms import Bbox

_SIZE = 7.5
_POINT = 6.0
"""Half the side, in points of print, of the square that a marker keeps free."""
_RINGS = (7, 16, 26, 38, 52, 68)
"""Distances of a name from its point, in points of print."""
_LINE_FROM = 16
"""From this distance on a thin line leads from the name to its point."""
_WAYS = ((1, 0.6), (-1, 0.6), (1, -0.6), (-1, -0.6), (0, 1), (0, -1), (1, 0), (-1, 0))
_BEFORE = {1: 0.0, 0: 0.5, -1: 1.0}
"""Share of a name that lies before its point, by the way that it stands off."""


@dataclass(frozen=True)
class Label:
    """A name and the point, in data coordinates, that it stands for."""

    text: str
    x: float
    y: float


def place(
    figure: Figure,
    axes: Any,
    labels: Sequence[Label],
    bars: Sequence[tuple[float, float, float]],
    ink: str,
) -> list[Bbox]:
    """Write the names and return the boxes that they fill, in pixels.

    `bars` are to be kept free: x and both ends in y, in data coordinates, equal for a point. Each
    name takes the first free place around its point, the nearest ring first, and the least crowded
    one where none is free. Fixes the figure's layout.
    """
    from matplotlib.text import Text
    from matplotlib.transforms import Bbox

    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    pixel = figure.dpi / 72
    half = _POINT * pixel
    taken = []
    for x, low, high in bars:
        (left, bottom), (_, top) = axes.transData.transform([(x, low), (x, high)])
        wide = half if low == high else pixel
        taken.append(Bbox.from_extents(left - wide, bottom - half, left + wide, top + half))
    frame = axes.get_window_extent()
    boxes: list[Bbox] = []
    for label in labels:
        text = axes.annotate(
            label.text,
            (label.x, label.y),
            xytext=(0, 0),
            textcoords="offset points",
            fontsize=_SIZE,
            zorder=5,
            verticalalignment="bottom",
            parse_math=False,
            in_layout=False,
            arrowprops={"arrowstyle": "-", "color": ink, "alpha": 0.4, "linewidth": 0.6},
        )
        extent = Text.get_window_extent(text)
        point = axes.transData.transform((label.x, label.y))
        crowded = []
        for ring, (across, up) in product(_RINGS, _WAYS):
            x = point[0] + across * ring * pixel - _BEFORE[across] * extent.width
            y = point[1] + up * ring * pixel - _BEFORE[(up > 0) - (up < 0)] * extent.height
            box = Bbox.from_bounds(x, y, extent.width, extent.height)
            crowd = sum(_common(box, other) for other in taken) + _outside(box, frame)
            crowded.append((crowd, ring, box))
            if crowd == 0:
                break
        _, ring, box = min(crowded, key=lambda found: found[:2])
        text.set_position(((box.x0 - point[0]) / pixel, (box.y0 - point[1]) / pixel))
        text.arrow_patch.set_visible(ring >= _LINE_FROM)
        taken.append(box)
        boxes.append(box)
    return boxes


def _common(one: Bbox, other: Bbox) -> float:
    """Area that two boxes share, in pixels."""
    width = min(one.x1, other.x1) - max(one.x0, other.x0)
    height = min(one.y1, other.y1) - max(one.y0, other.y0)
    return float(width * height) if width > 0 and height > 0 else 0.0


def _outside(box: Bbox, frame: Bbox) -> float:
    inside = _common(box, frame)
    return float(box.width * box.height) - inside if inside < box.width * box.height - 1e-6 else 0.0
