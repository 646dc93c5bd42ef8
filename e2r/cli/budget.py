"""`e2r budget`: what fits in so many PetaFLOPs or milliseconds per query, cheapest first."""

from __future__ import annotations

import json
from typing import Any

import click

from e2r.cli.options import ON
from e2r.errors import UsageError
from e2r.flops.conventions import CONVENTIONS


@click.command("budget")
@click.option("--petaflops", type=float, help="PetaFLOPs per query.")
@click.option("--milliseconds", type=float, help="Milliseconds per query, with --on.")
@ON
@click.option("--models", help="Names with commas; default: the whole catalogue.")
@click.option("--methods", help="Names with commas; default: those a model is made for.")
@click.option("--depths", default="20,100", show_default=True, help="Candidates a query.")
@click.option("--set-sizes", default="3", show_default=True, help="Passages a setwise call.")
@click.option("--passage-tokens", default="75", show_default=True, help="Tokens a passage.")
@click.option("--query-tokens", type=int, default=9, show_default=True, help="Tokens a query.")
@click.option("--answer-tokens", type=int, help="New tokens of a thought, for reasoning methods.")
@click.option("--k", type=int, default=10, show_default=True, help="How many must be in order.")
@click.option(
    "--convention", type=click.Choice(list(CONVENTIONS)), default="ideal", show_default=True
)
@click.option("--most", "limit", type=int, default=30, show_default=True, help="Rows to show.")
@click.option("--json", "as_json", is_flag=True, help="JSON alone on stdout.")
def command(
    petaflops: float | None,
    milliseconds: float | None,
    on: str | None,
    models: str | None,
    methods: str | None,
    depths: str,
    set_sizes: str,
    passage_tokens: str,
    query_tokens: int,
    answer_tokens: int | None,
    k: int,
    convention: str,
    limit: int,
    as_json: bool,
) -> None:
    """List what fits in a budget per query, cheapest first; seconds are roofline bounds.

    Example: e2r budget --milliseconds 500 --on L4 --methods pointwise.yes_no,setwise.heapsort
    """
    from e2r.flops.catalogue import entries
    from e2r.flops.hardware import accelerator
    from e2r.forecast.budget import Grid, search
    from e2r.ranking import named

    for name in methods.split(",") if methods else []:
        named(name, None)
    found = search(
        Grid(
            models=models.split(",") if models else list(entries()),
            methods=methods.split(",") if methods else None,
            depths=_counts("--depths", depths),
            set_sizes=_counts("--set-sizes", set_sizes),
            passage_tokens=_counts("--passage-tokens", passage_tokens),
            k=k,
            query_tokens=query_tokens,
            answer_tokens=answer_tokens,
        ),
        petaflops=petaflops,
        milliseconds=milliseconds,
        device=accelerator(on) if on else None,
        convention=convention,
    )
    rows: list[dict[str, Any]] = [
        {
            "model": option.model,
            "method": option.method,
            "depth": option.depth,
            "k": option.k,
            "set_size": option.set_size,
            "passage_tokens": option.passage_tokens,
            "calls_per_query": option.forecast.calls,
            "rounds_per_query": option.forecast.rounds,
            "petaflops_per_query": option.petaflops,
            "milliseconds_per_query": None if option.seconds is None else option.seconds * 1000,
        }
        for option in found.options[: limit if limit > 0 else None]
    ]
    if as_json:
        figures = {
            "options": rows,
            "fitting": len(found.options),
            "weighed": found.weighed,
            "refused": list(found.refused),
        }
        click.echo(json.dumps(figures, indent=2))
        return
    click.echo(f"{'PFLOPs':>10} {'ms':>9} {'calls':>7} {'depth':>5} {'set':>3}  method, model")
    for row in rows:
        time = row["milliseconds_per_query"]
        click.echo(
            f"{row['petaflops_per_query']:>10.5f} {'' if time is None else f'{time:.1f}':>9} "
            f"{row['calls_per_query']:>7.1f} {row['depth']:>5} {row['set_size'] or '':>3}  "
            f"{row['method']}, {row['model']}"
        )
    click.echo(f"{len(found.options)} of {found.weighed} combinations fit", err=True)
    for reason in found.refused:
        click.echo(reason, err=True)


def _counts(option: str, text: str) -> list[int]:
    try:
        counts = [int(part) for part in text.split(",")]
    except ValueError:
        raise UsageError(f"{option} {text!r}: give whole numbers with commas") from None
    if any(count < 1 for count in counts):
        raise UsageError(f"{option} {text!r}: numbers have to be at least 1")
    return counts
