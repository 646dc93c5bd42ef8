"""What may be said of a run among its equals: frontiers it is on, gains over the first stage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from e2r.metrics.statistics.intervals import Interval

UNITS: Mapping[str, str] = {
    "petaflops": "PetaFLOPs per query",
    "seconds": "seconds per query",
    "rounds": "rounds per query",
    "money": "money a thousand queries",
}
"""Kinds of cost, each with its unit."""


@dataclass(frozen=True)
class Membership:
    """Whether a run is on a frontier, and in which share of query resamples it is."""

    on: bool
    probability: float

    def to_json(self) -> dict[str, bool | float]:
        """{on, probability}."""
        return {"on": self.on, "probability": self.probability}


@dataclass(frozen=True)
class Standing:
    """Frontiers by kind of cost, and gains over the first stage per PetaFLOP by measure.

    A frontier is missing where the run has no such cost; a gain, where its group has no first
    stage. RPP rewards doing nothing; the gain does not.
    """

    frontiers: Mapping[str, Membership] = field(default_factory=dict)
    gain_per_petaflop: Mapping[str, Interval] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """{frontier: {cost: …}, gain_per_petaflop: {measure: …}}; money where it was asked for."""
        return {
            "frontier": {
                cost: found.to_json() if (found := self.frontiers.get(cost)) else None
                for cost in UNITS
                if cost != "money" or cost in self.frontiers
            },
            "gain_per_petaflop": {
                name: found.to_json() for name, found in self.gain_per_petaflop.items()
            },
        }
