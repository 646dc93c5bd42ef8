"""The look of all pictures: colours with markers and hatches, sizes, and bytes that never vary."""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from e2r.borders.writing import write_below
from e2r.errors import UsageError

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
OTHER = ("#999999", "h")
SERIES = [look for name, look in FAMILIES.items() if name != "first_stage"]
"""Colours and markers of things that are no families, in order."""
HATCHES = ("", "////", "\\\\\\\\", "xxxx", "----", "||||", "++++")
DASHES = ("-", "--", ":", "-.")
FORMS = ("svg", "png")
DPI = 200


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


@contextmanager
def style(theme: Theme) -> Iterator[None]:
    """Draw inside this: fonts, inks, and fixed names inside SVGs."""
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
        "hatch.linewidth": 0.6,
    }
    with mpl.rc_context(settings), warnings.catch_warnings():
        # Names may hold characters that the font lacks; a box in their place is good enough.
        warnings.filterwarnings("ignore", message=r"Glyph .* missing")
        yield


def new_figure(
    theme: Theme, columns: int = 1, rows: int = 1, size: tuple[float, float] = (8.4, 4.6)
) -> tuple[Figure, list[Any]]:
    """A figure and its axes, row by row. `size` is in inches."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained", facecolor=theme.paper)
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat:
        axes.set_facecolor(theme.paper)
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_axisbelow(True)
        axes.grid(True, which="major", color=theme.faint, linewidth=0.6)
    return figure, list(grid.flat)


def plain_ticks(axis: Any) -> None:
    """Numbers as they are on a logarithmic axis, the fewer decades the more; call it last."""
    from matplotlib.ticker import LogLocator, NullLocator, StrMethodFormatter

    low, high = axis.get_view_interval()
    decades = math.log10(high / low)
    steps = (1, 2, 3, 5) if decades < 2 else (1, 3) if decades < 4 else (1,)
    axis.set_major_locator(LogLocator(subs=steps, numticks=20))
    axis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axis.set_minor_locator(NullLocator())


def legend(axes: Any, columns: int) -> None:
    """Above the axes, where it hides nothing."""
    found = axes.legend(
        loc="lower center", bbox_to_anchor=(0.5, 1), ncols=columns, frameon=False, fontsize=8
    )
    for text in found.get_texts():
        text.set_parse_math(False)


def as_bytes(figure: Figure, form: str, dpi: int = DPI) -> bytes:
    """The figure as SVG or PNG, without a date; `dpi` is for pixels, in an SVG too."""
    stream = io.BytesIO()
    metadata: Any = {"Date": None, "Creator": "e2r"} if form == "svg" else {"Software": "e2r"}
    with style(THEMES[0]):
        figure.savefig(stream, format=form, metadata=metadata, dpi=dpi)
    return stream.getvalue()


def save(figures: Mapping[str, Figure | None], folder: Path, dpi: int = DPI) -> list[Path]:
    """Write each figure as NAME.svg and NAME.png; raises UsageError where that fails."""
    written = []
    for name, figure in figures.items():
        if figure is None:
            continue
        for form in FORMS:
            path = folder / f"{name}.{form}"
            try:
                write_below(folder, path.name, as_bytes(figure, form, dpi))
            except OSError as error:
                raise UsageError(f"{path}: cannot be written ({error.strerror})") from None
            written.append(path)
    return written
