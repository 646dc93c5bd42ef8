"""One run's figures: quality, cost, RPP, QPP and work, as means over its judged queries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from e2r.forecast.clock import Timed
from e2r.metrics.cost import Cost
from e2r.metrics.effectiveness import Scores
from e2r.metrics.efficiency import Rpp
from e2r.metrics.money import Paid
from e2r.metrics.standing import Standing
from e2r.metrics.statistics.intervals import Interval
from e2r.metrics.work import Work, latency
from e2r.records.manifest import Manifest
from e2r.records.priced import Priced
from e2r.records.query import QueryRecord


@dataclass(frozen=True, eq=False)
class Row:
    """One run's figures, and the per-query facts that they are means of.

    Every figure is over `qids`, the run's judged queries. Costs are PetaFLOPs per query;
    `first_stage_petaflops` is BM25's share by Eq. 17, which is not in `petaflops` unless the run is
    the first stage itself, and `matched_petaflops` what of it the postings ask for, where known.
    `prices` are costs under further conventions, by name. `priced` is set for a ranking that others
    published, whose price was found from it. A run whose quality is its own word is not `verified`.
    `notes` are sentences about what is
    undefined or missing. `timed` is what a clock predicts, and `paid`
    what a price list asks, where one was given.
    """

    path: Path
    manifest: Manifest
    qids: tuple[str, ...]
    records: tuple[QueryRecord, ...]
    scores: Scores
    cost: Cost
    work: Work
    measures: Mapping[str, Interval]
    petaflops: Interval
    first_stage_petaflops: float | None
    matched_petaflops: float | None
    qpp: Interval
    rpp: Mapping[str, Rpp]
    notes: tuple[str, ...]
    standing: Standing
    prices: Mapping[str, Cost] = field(default_factory=dict)
    priced: Priced | None = None
    verified: bool = True
    timed: Timed | None = None
    paid: Paid | None = None

    def __repr__(self) -> str:
        name, found = next(iter(self.measures.items()), ("", None))
        quality = "" if found is None or found.value is None else f", {name} {found.value:.4f}"
        cost = self.petaflops.value
        price = "unknown" if cost is None else f"{cost:.4g}"
        return f"<Row {self.label}, {self.manifest.method}{quality}, PFLOPs/query {price}>"

    @property
    def complete(self) -> bool:
        """Whether every query of the run finished well."""
        return self.manifest.status == "complete"

    @property
    def label(self) -> str:
        """Who ranked: the model, or the first stage by its own name."""
        if self.family == "first_stage":
            return self.manifest.dataset.first_stage
        return self.manifest.model.name

    @property
    def family(self) -> str:
        """The first word of the method's name."""
        return self.manifest.method.partition(".")[0]

    @property
    def on_frontier(self) -> bool:
        """Whether no run of the group is both cheaper, in FLOPs, and better."""
        membership = self.standing.frontiers.get("petaflops")
        return membership is not None and membership.on

    @property
    def latency_mode(self) -> str | None:
        """How seconds were taken, `batched` or `one_query_at_a_time`; None where they were not."""
        return None if self.work.seconds_per_query is None else self.manifest.latency_mode

    @property
    def latency(self) -> dict[str, float | None]:
        """Seconds of a query that ran alone, {p50, p95}."""
        return latency(self.records, self.latency_mode)

    @property
    def joules_per_query(self) -> float | None:
        """What the machine's counters told of a query; None where they told nothing."""
        used = self.manifest.resources
        return None if used is None else used.joules_per_query

    def to_json(self) -> dict[str, Any]:
        """The run as `e2r evaluate --json` prints it; undefined figures are None."""
        manifest, work = self.manifest, self.work
        return {
            "run": str(self.path),
            "dataset": manifest.dataset.id,
            "model": manifest.model.name,
            "method": manifest.method,
            "depth": manifest.dataset.depth or None,
            "queries": len(self.qids),
            "complete": self.complete,
            "verified": self.verified,
            "measures": {name: found.to_json() for name, found in self.measures.items()},
            "petaflops_per_query": self.petaflops.value,
            "petaflops": self.petaflops.to_json(),
            "first_stage_petaflops_per_query": self.first_stage_petaflops,
            "first_stage_matched_petaflops_per_query": self.matched_petaflops,
            "qpp": self.qpp.to_json(),
            "rpp": {name: found.to_json() for name, found in self.rpp.items()},
            **self.standing.to_json(),
            **{name: found.value for name, found in work.figures.items()},
            "work": {name: found.to_json() for name, found in work.figures.items()},
            "parse_failures": work.parse_failures,
            "truncated": work.truncated,
            "latency_mode": self.latency_mode,
            "latency_seconds": self.latency,
            "joules_per_query": self.joules_per_query,
            **({} if self.timed is None else self.timed.figures()),
            **({} if self.paid is None else {"money": self.paid.to_json()}),
            "missing_queries": list(self.scores.missing),
            "unjudged_queries": list(self.scores.unjudged),
            "known": None if self.priced is None else self.priced.known,
            "source": None if self.priced is None else self.priced.origin.source,
            "notes": list(self.notes),
        }
