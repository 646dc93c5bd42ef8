"""`e2r estimate --method`: a method's price from lengths, its first stage and its seconds."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from e2r.cli.money import folded, money_figures, money_lines
from e2r.cli.options import parameters_given
from e2r.cli.timing import pipeline_figures, timed_lines
from e2r.errors import UsageError
from e2r.flops.conventions import CONVENTIONS

if TYPE_CHECKING:
    from e2r.flops.architecture import Architecture
    from e2r.flops.first_stage import Stage
    from e2r.forecast.clock import Clock
    from e2r.forecast.lengths import Lengths
    from e2r.money.prices import PriceList


def lengths_of(options: dict[str, Any]) -> Lengths:
    """Tokens of query, passage, prompt and thought."""
    from e2r.forecast.lengths import Lengths

    names = ("query_tokens", "passage_tokens", "extra_tokens", "answer_tokens")
    return Lengths(*(options[name] for name in names))


def whole_method(
    model: str,
    arch: Architecture,
    convention: str,
    options: dict[str, Any],
    clock: Clock | None,
    stages: tuple[Stage, ...],
    as_json: bool,
    prices: PriceList | None = None,
) -> None:
    """Print what a query of a method costs."""
    from e2r.flops.operations import not_counted
    from e2r.forecast.method import forecast
    from e2r.forecast.money import money_of
    from e2r.money.bill import thousand
    from e2r.ranking import named

    named(options["method"], None)
    if options["method"] == "first_stage" and not stages:
        raise UsageError(
            "first_stage asks no model: say which one it is by --first-stage, as in --first-stage "
            "bm25 --documents 8841823"
        )
    priced = forecast(
        arch,
        options["method"],
        depth=options["depth"],
        k=options["k"],
        parameters=parameters_given(options),
        lengths=lengths_of(options),
        convention=convention,
        answers=options["answers"],
    )
    figures = {
        "model": model,
        "method": options["method"],
        "convention": convention,
        "depth": options["depth"],
        "k": options["k"],
        "flops_per_call": sum(int(op.flops) for op in priced.operations),
        "flops_per_query": priced.flops,
        "petaflops_per_query": priced.petaflops,
        "qpp": priced.qpp,
        "parameters": {"total": arch.parameters.total, "active": arch.parameters.active},
        "calls_per_query": priced.calls,
        "rounds_per_query": priced.rounds,
        "prompt_tokens_per_query": priced.prompt_tokens,
        "generated_tokens_per_query": priced.generated_tokens,
        "answers": priced.answers,
        "operations": [
            {"part": op.part, "name": op.name, "flops": op.flops} for op in priced.operations
        ],
        "not_counted": list(not_counted(arch, CONVENTIONS[convention])),
        "bytes_per_call": round(priced.bytes),
        "memory_bytes": priced.memory(arch),
    }
    figures |= pipeline_figures(stages, priced.flops)
    timed = None
    if clock is not None:
        wanted = priced.demand(arch)
        figures["memory_bytes"] = clock.memory(wanted)
        clock.refuse_unfit(model, clock.memory(wanted))
        timed = clock.time(wanted, stages)
        figures |= timed.figures()
    bought = None
    if prices is not None:
        lengths = lengths_of(options)
        bought = thousand(money_of(priced, prices, options["depth"], lengths, timed), 1)
        figures |= money_figures(prices, bought)
    if as_json:
        click.echo(json.dumps(figures, indent=2))
        return
    click.echo(f"{options['method']} on {model} under {convention}, answers: {priced.answers}")
    for name, value in figures.items():
        if "seconds" in name or "joules" in name:
            continue
        if name.endswith(("_per_call", "_per_query")) or name == "qpp":
            shown = "undefined" if value is None else f"{value:,.6g}"
            click.echo(f"  {name.replace('_', ' '):<28} {shown}")
    for line in folded(f"not counted: {', '.join(figures['not_counted'])}"):
        click.echo(line)
    for stage in stages:
        click.echo(f"  {stage.name}: {stage.flops:,} FLOPs")
    for line in timed_lines(timed) if timed else []:
        click.echo(line)
    if prices is not None and bought is not None:
        for line in money_lines(prices, bought):
            click.echo(line)
