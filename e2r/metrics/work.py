"""What a run did, in counts: calls, rounds, tokens, failures, padding, seconds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from typing import Any

import numpy as np

from e2r.metrics.runs.recorded import Recorded
from e2r.metrics.statistics.intervals import Floats, Interval
from e2r.records.manifest import UNCOUNTED
from e2r.records.query import QueryRecord

FIGURES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "calls_per_query": ("calls", ()),
    "rounds_per_query": ("rounds", ()),
    "prompt_tokens_per_query": ("prompt_tokens", ()),
    "cached_tokens_per_query": ("cached_tokens", ()),
    "generated_tokens_per_query": ("generated_tokens", ()),
    "parse_failure_rate": ("parse_failures", ("calls",)),
    "truncation_rate": ("truncated", ("calls",)),
    "padding": ("padded_tokens", ("prompt_tokens", "padded_tokens")),
    "seconds_per_query": ("seconds", ()),
    "achieved_flops_per_second": ("flops", ("seconds",)),
}
"""Each figure as a mean count, or as one over the sum of others: (above, below)."""


@dataclass(frozen=True)
class Work:
    """Counts of a run over its judged queries, and the figures made of them.

    `calls`, `parse_failures` and `truncated` are numbers of calls, None where nobody recorded them.
    `figures` are those of FIGURES, with their intervals; one that was not recorded is None and says
    so. Rates and padding are shares, 0 to 1; seconds are time in batches shared out evenly.
    """

    calls: int | None
    parse_failures: int | None
    truncated: int | None
    figures: Mapping[str, Interval]

    def __repr__(self) -> str:
        return f"<Work: {self.calls} calls, {self.parse_failures} parse failures>"

    @property
    def calls_per_query(self) -> float | None:
        """Mean number of calls."""
        return self.figures["calls_per_query"].value

    @property
    def rounds_per_query(self) -> float | None:
        """Mean sequential depth; None where nobody counted it."""
        return self.figures["rounds_per_query"].value

    @property
    def prompt_tokens_per_query(self) -> float | None:
        """Mean number of prompt tokens, cached ones among them."""
        return self.figures["prompt_tokens_per_query"].value

    @property
    def cached_tokens_per_query(self) -> float | None:
        """Mean number of prompt tokens that came from a cache."""
        return self.figures["cached_tokens_per_query"].value

    @property
    def generated_tokens_per_query(self) -> float | None:
        """Mean number of generated tokens."""
        return self.figures["generated_tokens_per_query"].value

    @property
    def padding(self) -> float | None:
        """Share of the processed positions that were padding; None where there was none."""
        return self.figures["padding"].value

    @property
    def seconds_per_query(self) -> float | None:
        """Mean seconds; None where no call was made or timed."""
        return self.figures["seconds_per_query"].value


def counts(run: Recorded, skipped: Set[str]) -> dict[str, Floats]:
    """What was counted of each query but the skipped ones, arrays of shape (queries,).

    `truncated` and `parse_failures` count calls. What nobody recorded is left out: rounds and
    failures of calls that were made elsewhere, tokens that a server did not tell, seconds where no
    call was timed.
    """
    if "calls" in run.unknown:
        return {}
    kept = np.array([record.qid not in skipped for record in run.records], dtype=bool)

    def summed(amounts: Any) -> Floats:
        sums: Floats = np.bincount(run.query_of_call, amounts, minlength=len(kept))[kept]
        return sums

    ledger = {name: run.ledger[name].to_numpy() for name in run.ledger.column_names[1:]}
    tokens = ["prompt_tokens", "generated_tokens", "padded_tokens"]
    if run.caching != "unknown":
        tokens.append("cached_tokens")
    calls = summed(np.ones(len(run.query_of_call)))
    found = {
        "calls": calls,
        "rounds": np.array([float(record.rounds) for record in run.records])[kept],
        **{name: summed(ledger[name]) for name in tokens},
        "parse_failures": summed(~ledger["parsed"]),
        "truncated": summed(ledger["truncated"] > 0),
        "seconds": summed(ledger["seconds"]),
    }
    if "outcomes" in run.unknown:
        for name in ("rounds", "parse_failures", "truncated", "padded_tokens"):
            del found[name]
    server = run.manifest.model.server
    if server is not None and server.counted_by == UNCOUNTED:
        for name in ("prompt_tokens", "cached_tokens", "padded_tokens"):
            found.pop(name, None)
    if not found["seconds"].any():
        del found["seconds"]
    return found


def latency(records: Iterable[QueryRecord], mode: str | None) -> dict[str, float | None]:
    """Median and 95th percentile of a query's seconds, {p50, p95}, where queries ran alone.

    In company a query's seconds are its share of batches, and have no percentiles: both are None.
    """
    seconds = [record.seconds for record in records if record.status == "ok"]
    if mode != "one_query_at_a_time" or not seconds:
        return {"p50": None, "p95": None}
    middle, high = np.percentile(seconds, [50, 95]).tolist()
    return {"p50": middle, "p95": high}


def work(counted: Mapping[str, Floats], figures: Mapping[str, Interval]) -> Work:
    """A run's totals beside its figures; `counted` is what `counts` made of the run."""
    totals = {name: int(amounts.sum()) for name, amounts in counted.items()}
    return Work(
        calls=totals.get("calls"),
        parse_failures=totals.get("parse_failures"),
        truncated=totals.get("truncated"),
        figures=figures,
    )
