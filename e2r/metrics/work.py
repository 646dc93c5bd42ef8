"""What a run did, in counts: calls, rounds, tokens, failures, padding, seconds."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass

import numpy as np

from e2r.metrics.recorded import Recorded


@dataclass(frozen=True)
class Work:
    """Counts of a run over its judged queries; None is what nobody recorded.

    `parse_failures` and `truncated` are numbers of calls. `padding` is the share of processed
    positions that were padding, 0 to 1. `seconds_per_query` is time in batches shared out evenly,
    None where no call was made or timed.
    """

    calls: int | None
    calls_per_query: float | None
    rounds_per_query: float | None
    prompt_tokens_per_query: float | None
    cached_tokens_per_query: float | None
    generated_tokens_per_query: float | None
    parse_failures: int | None
    truncated: int | None
    padding: float | None
    seconds_per_query: float | None
    batch_size: float | None


def work(run: Recorded, skipped: Set[str]) -> Work:
    """Sum up the calls of a run's queries, those of the skipped queries left out."""
    counts = np.array([record.qid not in skipped for record in run.records], dtype=bool)
    kept = counts[run.query_of_call]
    ledger = run.ledger
    records = [record for record in run.records if record.qid not in skipped]

    def total(name: str) -> int:
        return sum(ledger[name].to_numpy()[kept].tolist())

    if "calls" in run.unknown:
        return Work(None, None, None, None, None, None, None, None, None, None, None)
    told = "outcomes" not in run.unknown
    queries = max(len(records), 1)
    rounds = sum(record.rounds for record in records)
    calls = int(kept.sum())
    seconds = float(ledger["seconds"].to_numpy()[kept].sum())
    prompt, padded = total("prompt_tokens"), total("padded_tokens")
    return Work(
        calls=calls,
        calls_per_query=calls / queries,
        rounds_per_query=rounds / queries if told else None,
        prompt_tokens_per_query=prompt / queries,
        cached_tokens_per_query=total("cached_tokens") / queries,
        generated_tokens_per_query=total("generated_tokens") / queries,
        parse_failures=calls - total("parsed") if told else None,
        truncated=int((ledger["truncated"].to_numpy()[kept] > 0).sum()) if told else None,
        padding=padded / (prompt + padded) if told and prompt + padded else None,
        seconds_per_query=seconds / queries if seconds else None,
        batch_size=total("batch_size") / calls if told and calls else None,
    )
