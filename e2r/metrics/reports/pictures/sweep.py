"""Cost against depth and against passage length: forecast lines, and recorded runs beside them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from e2r.errors import E2RError
from e2r.flops.architecture import Architecture
from e2r.forecast.lengths import Lengths
from e2r.forecast.method import forecast
from e2r.metrics.cost import PETA
from e2r.metrics.reports.pictures.style import (
    DASHES,
    FAMILIES,
    OTHER,
    THEMES,
    new_figure,
    plain_ticks,
    save,
    style,
)
from e2r.metrics.row import Row

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DEPTHS = (5, 10, 20, 30, 50, 70, 100)
PASSAGES = (25, 50, 75, 100, 150, 200, 300, 500)
_K = 10
_THEME = THEMES[0]


@dataclass(frozen=True)
class Curve:
    """A method on a model: what a query costs by depth, and by tokens a passage.

    `depth`, `k`, `lengths` and `parameters` are what stays where the other varies. `petaflops` is
    what a recorded run of it cost per query, at this depth and mean passage length.
    """

    architecture: Architecture
    method: str
    depth: int = 100
    k: int = _K
    lengths: Lengths = field(default_factory=Lengths)
    parameters: Mapping[str, int] = field(default_factory=dict)
    petaflops: float | None = None

    def cost(self, depth: int, passage: int, convention: str) -> float:
        """PetaFLOPs of a query; raises UsageError where the method cannot be forecast."""
        lengths = Lengths(self.lengths.query, passage, self.lengths.extra, self.lengths.answer)
        priced = forecast(
            self.architecture,
            self.method,
            depth=depth,
            k=min(self.k, depth),
            parameters=self.parameters,
            lengths=lengths,
            convention=convention,
        )
        return priced.flops / PETA


def write_sweeps(
    curves: Sequence[Curve], convention: str, folder: Path, prefix: str = ""
) -> list[Path]:
    """Write PREFIXcost-depth and PREFIXcost-passage as SVG and PNG and return their paths.

    Raises UsageError for methods that cannot be forecast and a folder that cannot be written.
    """
    if not curves:
        return []
    return save(
        {
            f"{prefix}cost-depth": _by_depth(curves, convention),
            f"{prefix}cost-passage": _by_passage(curves, convention),
        },
        folder,
    )


def recorded_curves(rows: Iterable[Row]) -> dict[str, list[Curve]]:
    """Curves of recorded runs by model, each with the passage length that its prompts tell of.

    Runs whose method or model cannot be forecast, those without calls or cost, and rankings that
    others published, have none.
    """
    curves: dict[str, list[Curve]] = {}
    for row in rows:
        try:
            curve = _recorded(row)
        except E2RError:
            continue
        if curve is not None:
            curves.setdefault(row.manifest.model.name, []).append(curve)
    return curves


def _recorded(row: Row) -> Curve | None:
    manifest, prompt = row.manifest, row.work.prompt_tokens_per_query
    facts, depth = manifest.model.architecture, manifest.dataset.depth
    if facts is None or not prompt or not depth or not row.petaflops.value or row.priced:
        return None
    k = manifest.identity.get("k", _K)
    arch, parameters = Architecture.load(facts), manifest.method_parameters

    def prompts(passage: int) -> float:
        lengths = Lengths(passage=passage)
        return forecast(
            arch, manifest.method, depth=depth, k=k, parameters=parameters, lengths=lengths
        ).prompt_tokens

    base = Lengths().passage
    each = prompts(base + 1) - prompts(base)
    passage = max(1, round(base + (prompt - prompts(base)) / each))
    return Curve(
        arch,
        manifest.method,
        depth,
        k,
        Lengths(passage=passage),
        parameters,
        row.petaflops.value,
    )


def _by_depth(curves: Sequence[Curve], convention: str) -> Figure:
    lines = [
        [
            (depth, curve.cost(depth, curve.lengths.passage, convention))
            for depth in sorted({*DEPTHS, curve.depth})
        ]
        for curve in curves
    ]
    spots = [curve.depth for curve in curves]
    lengths = sorted({curve.lengths.passage for curve in curves})
    label = f"candidates a query; {_some(lengths)} tokens a passage"
    return _lines(curves, lines, spots, label, convention)


def _by_passage(curves: Sequence[Curve], convention: str) -> Figure:
    lines = [
        [
            (passage, curve.cost(curve.depth, passage, convention))
            for passage in sorted({*PASSAGES, curve.lengths.passage})
        ]
        for curve in curves
    ]
    spots = [curve.lengths.passage for curve in curves]
    depths = sorted({curve.depth for curve in curves})
    label = f"tokens a passage; {_some(depths)} candidates a query"
    return _lines(curves, lines, spots, label, convention)


def _some(values: Sequence[int]) -> str:
    return f"{values[0]}" if len(values) == 1 else f"{values[0]} to {values[-1]}"


def _lines(
    curves: Sequence[Curve],
    lines: Sequence[Sequence[tuple[int, float]]],
    spots: Sequence[int],
    label: str,
    convention: str,
) -> Figure:
    order = sorted(range(len(curves)), key=lambda place: -lines[place][-1][1])
    seen: dict[str, int] = {}
    with style(_THEME):
        figure, (axes,) = new_figure(_THEME)
        axes.set_xscale("log")
        axes.set_yscale("log")
        for place in order:
            curve = curves[place]
            family = curve.method.partition(".")[0]
            colour, marker = FAMILIES.get(family, OTHER)
            dash = DASHES[seen.get(family, 0) % len(DASHES)]
            seen[family] = seen.get(family, 0) + 1
            axes.plot(
                *zip(*lines[place], strict=True),
                color=colour,
                linestyle=dash,
                linewidth=1.4,
                marker=marker,
                markersize=4,
                label=curve.method,
            )
            if curve.petaflops is not None:
                axes.plot(
                    [spots[place]],
                    [curve.petaflops],
                    color=colour,
                    marker=marker,
                    markersize=8,
                    markeredgecolor=_THEME.ink,
                    linestyle="none",
                )
        if any(curve.petaflops is not None for curve in curves):
            axes.plot([], [], "o", color="none", markeredgecolor=_THEME.ink, label="recorded")
        plain_ticks(axes.xaxis)
        plain_ticks(axes.yaxis)
        axes.set_xlabel(f"{label} (log scale)")
        axes.set_ylabel(f"PetaFLOPs per query, convention {convention} (log scale)")
        key = axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False, fontsize=8)
        for text in key.get_texts():
            text.set_parse_math(False)
    return figure
