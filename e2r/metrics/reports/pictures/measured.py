"""The paper's figures 1 to 3 drawn again from the calls that its authors profiled."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from e2r.flops.agreement import Agreement, Spread, estimated
from e2r.flops.conventions import CONVENTIONS
from e2r.flops.measured import Measured
from e2r.metrics.reports.pictures.style import (
    HATCHES,
    SERIES,
    THEMES,
    legend,
    new_figure,
    plain_ticks,
    save,
    style,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

TERA = 1e12
_SHOWN = 1500
"""Calls a model in a picture, drawn by lot."""
_SEED = 0
_HIGHEST = 99.9
"""Percentile of the seconds that ends their axis."""
_THEME = THEMES[0]
_DPI = 110


def write(files: Sequence[Measured], agreements: Sequence[Agreement], folder: Path) -> list[Path]:
    """Write the three figures as SVG and PNG and return their paths."""
    with style(_THEME):
        figures = {
            "estimated-measured": _estimated(files, agreements[:-1]),
            "latency-flops": _latency(files, agreements),
            "flops-prompt": _prompt(files, agreements[:-1]),
        }
    return save(figures, folder, _DPI)


def _estimated(files: Sequence[Measured], agreements: Sequence[Agreement]) -> Figure:
    figure, (left, right) = new_figure(_THEME, 2, size=(9.2, 4.2))
    for name, group, (colour, marker) in _models(files):
        measured = _joined(file.flops for file in group) / TERA
        ours = _joined(estimated(file, "paper") for file in group) / TERA
        kept = _sample(len(measured))
        _dots(left, measured[kept], ours[kept], name, colour, marker)
    left.set_xscale("log")
    left.set_yscale("log")
    ends = (left.get_ylim()[0], left.get_xlim()[1])
    left.plot(ends, ends, color=_THEME.ink, linewidth=0.8, zorder=1)
    for axis, limit in ((left.xaxis, left.set_xlim), (left.yaxis, left.set_ylim)):
        limit(*ends)
        plain_ticks(axis)
    left.set_xlabel("measured TeraFLOPs of a call (log scale)")
    left.set_ylabel("estimated by the paper's equations (log scale)")
    _key(left)
    height = 0.8 / len(CONVENTIONS)
    shown = [name for name in CONVENTIONS if name != "deepspeed"] + ["deepspeed"]
    for place, convention in enumerate(shown):
        colour, _ = SERIES[place]
        found = [entry.errors[convention] for entry in agreements]
        spots = [row + (place - (len(shown) - 1) / 2) * height for row in range(len(agreements))]
        right.barh(
            spots,
            [100 * spread.median for spread in found],
            height=height,
            color=colour,
            edgecolor=_THEME.ink,
            linewidth=0.5,
            hatch=HATCHES[place],
            label=f"{convention}{_exact(found, convention)}",
        )
    right.axvline(0, color=_THEME.ink, linewidth=0.8)
    right.set_yticks(range(len(agreements)), [entry.model for entry in agreements])
    right.invert_yaxis()
    right.grid(False, axis="y")
    right.set_xlabel("estimated over measured FLOPs, minus 1 (median, %)")
    legend(right, 2)
    return figure


def _latency(files: Sequence[Measured], agreements: Sequence[Agreement]) -> Figure:
    figure, grid = new_figure(_THEME, 2, 2, size=(8.4, 6))
    *models, together = agreements
    figure.suptitle(f"all models together: r = {together.seconds_r:.3f}", fontsize=9)
    for axes, (name, group, (colour, marker)), found in zip(
        grid, _models(files), models, strict=True
    ):
        flops = _joined(file.flops for file in group) / TERA
        seconds = _joined(file.seconds for file in group) * 1000
        kept = _sample(len(flops))
        _dots(axes, flops[kept], seconds[kept], name, colour, marker)
        axes.set_title(f"{name}: r = {found.seconds_r:.3f}", fontsize=9)
        axes.set_ylim(0, float(np.percentile(seconds, _HIGHEST)) * 1.1)
        axes.set_xlabel("measured TeraFLOPs of a call")
        axes.set_ylabel("milliseconds")
    return figure


def _prompt(files: Sequence[Measured], agreements: Sequence[Agreement]) -> Figure:
    figure, (axes,) = new_figure(_THEME, size=(7.2, 4.6))
    for (name, group, (colour, marker)), found in zip(_models(files), agreements, strict=True):
        prompt = _joined(file.prompt for file in group)
        flops = _joined(file.flops for file in group) / TERA
        kept = _sample(len(flops), 150)
        label = f"{name}, r = {found.prompt_r:.4f}"
        _dots(axes, prompt[kept], flops[kept], label, colour, marker, 12)
    axes.set_yscale("log")
    plain_ticks(axes.yaxis)
    axes.set_xlabel("tokens of the prompt")
    axes.set_ylabel("measured TeraFLOPs of a call (log scale)")
    _key(axes)
    return figure


def _models(files: Sequence[Measured]) -> Iterator[tuple[str, list[Measured], tuple[str, str]]]:
    groups: dict[str, list[Measured]] = {}
    for file in files:
        groups.setdefault(file.model, []).append(file)
    for (name, group), look in zip(groups.items(), SERIES, strict=False):
        yield name, group, look


def _joined(parts: Any) -> NDArray[np.float64]:
    joined: NDArray[np.float64] = np.concatenate([np.asarray(part) for part in parts]).astype(float)
    return joined


def _sample(calls: int, most: int = _SHOWN) -> NDArray[np.int64]:
    """Which calls are drawn, the same ones each time."""
    return np.sort(np.random.default_rng(_SEED).permutation(calls)[:most])


def _dots(axes: Any, x: Any, y: Any, label: str, colour: str, marker: str, size: float = 9) -> None:
    # As pixels: thousands of points as shapes would make an SVG of megabytes.
    axes.scatter(
        x, y, s=size, color=colour, marker=marker, alpha=0.45, linewidths=0, label=label,
        rasterized=True, zorder=3,
    )  # fmt: skip


def _exact(found: Sequence[Spread], convention: str) -> str:
    exact = all(spread.low == spread.high == 0 for spread in found)
    return " (0: exact)" if exact else ""


def _key(axes: Any) -> None:
    legend(axes, 2)
    for handle in axes.get_legend().legend_handles:
        handle.set_alpha(1)
        handle.set_sizes([28])
