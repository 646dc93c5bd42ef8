"""RPP and QPP: what quality and queries cost in PetaFLOPs, with intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from e2r.metrics.cost import PETA
from e2r.metrics.statistics.intervals import Floats, Interval, Quotient, quotients
from e2r.metrics.work import FIGURES


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
    """The figures of a run: measures, PetaFLOPs per query, RPP of each measure, QPP, and work."""

    measures: Mapping[str, Interval]
    petaflops: Interval
    rpp: Mapping[str, Rpp]
    qpp: Interval
    work: Mapping[str, Interval]

    def without_spread(self) -> Figures:
        """The same where only means of the costs are known: intervals of the quality alone."""

        def bare(figure: Interval) -> Interval:
            return replace(figure, low=None, high=None, note="only means are known")

        return replace(
            self,
            petaflops=bare(self.petaflops),
            qpp=bare(self.qpp),
            rpp={name: Rpp(bare(rpp.ratio), Interval(None)) for name, rpp in self.rpp.items()},
            work={name: bare(figure) for name, figure in self.work.items()},
        )


def figures(
    values: Mapping[str, Sequence[float]],
    flops: Sequence[int] | None,
    counted: Mapping[str, Floats] | None = None,
) -> Figures:
    """Figures of one run from per-query values, one entry a query in the same order throughout.

    `flops` are exact FLOPs, or None where the run has no price; `counted` is what `work.counts`
    found. QPP is queries per PetaFLOP, 1 / mean PetaFLOPs. Where a division by zero would be needed
    the figure is None and says so.
    """
    columns = {f"value {name}": np.array(values[name], dtype=float) for name in values}
    wanted: dict[str, Quotient] = {column: (column, ()) for column in columns}
    wanted |= FIGURES
    columns |= counted or {}
    undefined: dict[str, Interval] = {}
    if flops is not None:
        petaflops = np.array([amount / PETA for amount in flops])
        columns |= {"petaflops": petaflops, "queries": np.ones(len(flops))}
        columns["flops"] = petaflops * PETA
        wanted |= {"petaflops": ("petaflops", ()), "qpp": ("queries", ("petaflops",))}
        for name in values:
            wanted[f"rpp {name}"] = (f"value {name}", ("petaflops",))
            wanted[f"mean of ratios {name}"] = (f"ratio {name}", ())
            with np.errstate(divide="ignore", invalid="ignore"):
                columns[f"ratio {name}"] = columns[f"value {name}"] / petaflops
        undefined = _undefined(list(values), sum(amount == 0 for amount in flops), len(flops))
    found = quotients(columns, {name: wanted[name] for name in wanted if name not in undefined})
    found |= undefined
    unpriced = Interval(None, note="the run has no price")
    return Figures(
        measures={name: found[f"value {name}"] for name in values},
        petaflops=found.get("petaflops", unpriced),
        rpp={
            name: Rpp(
                found.get(f"rpp {name}", unpriced), found.get(f"mean of ratios {name}", unpriced)
            )
            for name in values
        },
        qpp=found.get("qpp", unpriced),
        work={name: found[name] for name in FIGURES},
    )


def _undefined(names: Sequence[str], free: int, queries: int) -> dict[str, Interval]:
    """What cannot be divided, because some or all of the queries cost no FLOPs."""
    if not free:
        return {}
    note = f"undefined: {free} of {queries} queries cost no FLOPs"
    found = {f"mean of ratios {name}": Interval(None, note=note) for name in names}
    if free == queries:
        nothing = Interval(None, note="undefined: no FLOPs were spent")
        found |= {f"rpp {name}": nothing for name in names}
        found |= {"qpp": nothing, "achieved_flops_per_second": nothing}
    return found
