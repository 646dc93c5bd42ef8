"""What a clock predicts of a recorded run, to be read beside what was measured."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil

import numpy as np

from e2r.flops.architecture import Architecture
from e2r.forecast.clock import Clock, Timed
from e2r.forecast.demand import demand
from e2r.metrics.cost import usage_of
from e2r.metrics.runs.recorded import Recorded


@dataclass(frozen=True)
class Predicted:
    """The clock's figures of a run, or why there are none."""

    timed: Timed | None
    note: str = ""


def predicted(run: Recorded, clock: Clock) -> Predicted:
    """The seconds of a query of the run's own calls, in the mode in which it was timed.

    Alone, a query has the passes to itself; in company as many queries are in flight as fill the
    run's batches. A calibration predicts runs of its own processor, threads and numbers alone.
    """
    manifest = run.manifest
    if len(run.shares) > 1 or manifest.model.architecture is None or "rounds" in run.unknown:
        return Predicted(None, "no clock can tell its seconds: its model or its rounds are unknown")
    if (measured := clock.calibration) is not None:
        machines = {(it.processor, it.threads) for it in manifest.worked}
        own = {(measured.about["processor"], measured.about["threads"])}
        if machines != own or manifest.model.dtype != measured.dtype:
            return Predicted(
                None,
                "its seconds are not predicted: the calibration is of other hardware, threads or "
                f"numbers ({measured.about['processor']}, {measured.about['threads']} threads, "
                f"{measured.dtype})",
            )
    rows = np.flatnonzero(run.ledger["prompt_tokens"].to_numpy())
    queries = len(run.records)
    if not rows.size or not queries:
        return Predicted(None)
    calls = run.ledger.take(rows)
    rounds = sum(record.rounds for record in run.records) / queries
    most = int(calls["batch_size"].to_numpy().max())
    alone = manifest.latency_mode == "one_query_at_a_time"
    together = 1 if alone else max(1, min(queries, ceil(most * rounds * queries / rows.size)))
    architecture = Architecture.load(manifest.model.architecture)
    asked = demand(architecture, usage_of(calls), np.full(rows.size, 1 / queries), rounds)
    return Predicted(replace(clock, concurrency=together, batch_size=most).time(asked))
