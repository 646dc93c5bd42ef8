"""How a run ends for the user: what it found, what it cost, and the next command."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from e2r.borders.showing import shown
from e2r.errors import E2RError

if TYPE_CHECKING:
    from e2r.metrics.row import Row
    from e2r.records.folder import RunFolder


MANY_CALLS = 500_000
"""Calls above which the end of a run does not evaluate them: that takes more memory than to run."""


def tell_end(folder: RunFolder, qrels: str | None = None) -> None:
    """Say on stderr what a finished run found: quality where there are judgments, cost, seconds."""
    for line in _evaluated(folder, qrels):
        click.echo(shown(line), err=True)
    if (paid := folder.manifest().prices) is not None:
        said = f"{paid['currency']} {paid['spent']} spent in all sessions, by {paid['list']}"
        if "least" in paid:
            said += (
                f"; {paid['least']} if all prompts were cached, which the server does not report"
            )
        if "attempts" in paid:
            said += f"; {paid['attempts']} if the service charges requests that failed"
        click.echo(shown(said), err=True)
    click.echo(shown(f"next: e2r evaluate {folder.path}"), err=True)


def _evaluated(folder: RunFolder, qrels: str | None) -> list[str]:
    from e2r.records.ledger import read_ledger

    try:
        calls = read_ledger(folder.ledger_path, ["parsed"]).num_rows
        if calls > MANY_CALLS:
            return [f"{calls:,} calls: what they found and cost is for a process of its own"]
        from e2r.metrics import evaluate

        [row] = evaluate([folder.path], qrels=qrels, note=_nobody).rows
    except E2RError as error:
        return [f"not evaluated: {error}"]
    return [_found(row), _work(row, folder.manifest().dataset.queries)]


def _found(row: Row) -> str:
    from e2r.metrics.reports.tables import fixed, short

    parts = [
        f"{name} {fixed(value)}" for name, value in row.measures.items() if value.value is not None
    ]
    if row.petaflops.value is None:
        parts.append("PFLOPs a query unknown")
    else:
        parts.append(f"{short(row.petaflops.value)} PFLOPs a query")
        parts += [
            f"RPP {short(found.ratio.value)}"
            for found in row.rpp.values()
            if found.ratio.value is not None
        ]
    return "; ".join(parts)


def _work(row: Row, queries: int) -> str:
    from e2r.metrics.reports.tables import short

    judged = len(row.records)
    calls = sum(record.calls for record in row.records)
    those = "" if judged == queries else f" of {queries:,}, those that are judged"
    parts = [f"{judged:,} queries{those}; {calls:,} calls"]
    if calls:
        failures = row.work.parse_failures
        parts.append(f"{failures or 0:,} parse failures ({(failures or 0) / calls:.1%})")
    seconds = sum(record.seconds or 0.0 for record in row.records)
    parts.append(f"{short(seconds)} seconds of answering")
    return "; ".join(parts)


def _nobody(text: str) -> None:
    """The command that is named next says it."""
