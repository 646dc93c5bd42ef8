"""RPP and QPP: what quality and queries cost in PetaFLOPs, with intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from e2r.metrics.cost import PETA
from e2r.metrics.intervals import Floats, Interval, Statistic, intervals


@dataclass(frozen=True)
class Rpp:
    """Ranking quality per PetaFLOP, both ways.

    `ratio` is mean metric / mean PetaFLOPs, the headline, as the paper's tables print it;
    `mean_of_ratios` is the mean over queries of metric / PetaFLOPs (arXiv 2507.06223v2, Eq. 1).
    """

    ratio: Interval
    mean_of_ratios: Interval

    def to_json(self) -> dict[str, float | None]:
        """{value, low, high, mean_of_ratios, mean_of_ratios_low, mean_of_ratios_high}."""
        return {
            **self.ratio.to_json(),
            "mean_of_ratios": self.mean_of_ratios.value,
            "mean_of_ratios_low": self.mean_of_ratios.low,
            "mean_of_ratios_high": self.mean_of_ratios.high,
        }


@dataclass(frozen=True)
class Figures:
    """The figures of a run: measures, PetaFLOPs per query, RPP of each measure, QPP."""

    measures: Mapping[str, Interval]
    petaflops: Interval
    rpp: Mapping[str, Rpp]
    qpp: Interval


def figures(values: Mapping[str, Sequence[float]], flops: Sequence[int] | None) -> Figures:
    """Figures of one run from per-query values, one entry a query in the same order throughout.

    `flops` are exact FLOPs, or None where the run has no price. QPP is queries per PetaFLOP,
    1 / mean PetaFLOPs. Where a division by zero would be needed the figure is None and says so.
    """
    names = list(values)
    quality = np.array([values[name] for name in names], dtype=float).reshape(
        len(names), _queries(values, flops)
    )
    if flops is None:
        unpriced = Interval(None, note="the run has no price")
        found = intervals(quality.T, {name: _column(i) for i, name in enumerate(names)})
        rpp = {name: Rpp(unpriced, unpriced) for name in names}
        return Figures(found, unpriced, rpp, unpriced)
    petaflops = np.array([amount / PETA for amount in flops])
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = quality / petaflops
    free = sum(amount == 0 for amount in flops)
    ratios[:, petaflops == 0] = np.nan
    cost = len(names)
    statistics: dict[str, Statistic] = {f"value {name}": _column(i) for i, name in enumerate(names)}
    statistics["petaflops"] = _column(cost)
    statistics["qpp"] = _inverse(cost)
    for i, name in enumerate(names):
        statistics[f"rpp {name}"] = _ratio(i, cost)
        statistics[f"mean of ratios {name}"] = _column(cost + 1 + i)
    with np.errstate(invalid="ignore"):
        found = intervals(np.vstack([quality, petaflops, ratios]).T, statistics)
    if free:
        note = f"undefined: {free} of {len(flops)} queries cost no FLOPs"
        found |= {f"mean of ratios {name}": Interval(None, note=note) for name in names}
    if free == len(flops):
        note = "undefined: no FLOPs were spent"
        found |= {name: Interval(None, note=note) for name in found if name.startswith("rpp ")}
        found["qpp"] = Interval(None, note=note)
    return Figures(
        {name: found[f"value {name}"] for name in names},
        found["petaflops"],
        {name: Rpp(found[f"rpp {name}"], found[f"mean of ratios {name}"]) for name in names},
        found["qpp"],
    )


def _queries(values: Mapping[str, Sequence[float]], flops: Sequence[int] | None) -> int:
    return len(next(iter(values.values()), flops or ()))


def _column(place: int) -> Statistic:
    def mean(means: Floats) -> Floats:
        column: Floats = means[..., place]
        return column

    return mean


def _ratio(above: int, below: int) -> Statistic:
    def ratio(means: Floats) -> Floats:
        quotient: Floats = means[..., above] / means[..., below]
        return quotient

    return ratio


def _inverse(place: int) -> Statistic:
    def inverse(means: Floats) -> Floats:
        quotient: Floats = 1 / means[..., place]
        return quotient

    return inverse
