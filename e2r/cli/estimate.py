"""`e2r estimate`: the price of a call, of a file of calls, or of a whole method."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from e2r.cli import completing
from e2r.cli.money import PRICE_LIST, list_of, with_hour
from e2r.cli.options import PARAMETER, parameters_given
from e2r.cli.timing import clock_of, priced_pipeline, stages_of, timed_lines
from e2r.cli.variants import architecture_of, of_a_variant, sweep
from e2r.cli.whole_method import lengths_of, whole_method
from e2r.errors import UsageError
from e2r.flops.conventions import CONVENTIONS

if TYPE_CHECKING:
    from e2r.flops.architecture import Architecture
    from e2r.flops.estimate import Estimate

PETA = 10**15


@click.command("estimate")
@click.argument("model", shell_complete=completing.architectures)
@click.option("--prompt-tokens", type=int, help="Tokens of the prompt, a cached prefix included.")
@click.option(
    "--generated-tokens",
    type=int,
    default=0,
    show_default=True,
    help="New tokens; 0 scores the prompt's last position and costs what 1 does.",
)
@click.option(
    "--decoder-prompt-tokens", type=int, help="Encoder-decoder models only; 1 unless given."
)
@click.option("--cached-tokens", type=int, default=0, show_default=True, help="Reused prefix.")
@click.option("--calls", type=int, default=1, show_default=True, help="Equal calls of one query.")
@click.option(
    "--head",
    type=click.Choice(["last", "all", "none"]),
    help="Positions of the prompt that the output head reads; unless given, the last one, or under "
    "torch all that transformers reads.",
)
@click.option("--head-positions", type=int, help="The same as a number of positions.")
@click.option(
    "--convention",
    type=click.Choice(list(CONVENTIONS)),
    default="ideal",
    show_default=True,
    help="What counts as a FLOP (see docs/adr).",
)
@of_a_variant
@click.option(
    "--sweep",
    metavar="NAME=V,V…",
    help="A line for each value of a config fact (num_experts_per_tok), or of exit-after.",
)
@click.option(
    "--method",
    shell_complete=completing.methods,
    help="Price a whole ranking method; see e2r list methods.",
)
@click.option(
    "--pictures",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Draw cost by depth and by passage length there, of --method NAME,NAME…",
)
@click.option("--depth", type=int, default=100, show_default=True, help="Candidates a query.")
@click.option("--k", type=int, default=10, show_default=True, help="How many must be in order.")
@click.option("--set-size", type=int, help="Passages a setwise call.")
@click.option("--window", type=int, help="Passages a listwise call.")
@click.option("--step", type=int, help="How far the listwise window moves.")
@click.option("--repeats", type=int, help="Passes of the listwise window.")
@click.option("--tournaments", type=int, help="Tournaments whose points are added.")
@click.option("--pivot", type=int, help="The pivot's place in a partition's first window.")
@PARAMETER
@click.option("--answer-tokens", type=int, help="New tokens of a thought, for reasoning methods.")
@click.option("--query-tokens", type=int, default=9, show_default=True, help="Tokens a query.")
@click.option("--passage-tokens", type=int, default=75, show_default=True, help="Tokens a passage.")
@click.option(
    "--extra-tokens", type=int, default=0, show_default=True, help="Further tokens of each prompt."
)
@click.option(
    "--answers",
    type=click.Choice(["random", "first-stage"]),
    default="random",
    show_default=True,
    help="What the simulated answers agree with.",
)
@priced_pipeline
@PRICE_LIST
@click.option("--usage", type=click.Path(path_type=Path), help="CSV of calls to price.")
@click.option(
    "--out", type=click.Path(path_type=Path), help="Where the priced CSV goes; - for stdout."
)
@click.option("--export", is_flag=True, help="Print the model's coefficients for the what-if page.")
@click.option("--json", "as_json", is_flag=True, help="JSON alone on stdout.")
def command(
    model: str,
    prompt_tokens: int | None,
    generated_tokens: int,
    decoder_prompt_tokens: int | None,
    cached_tokens: int,
    calls: int,
    head: str | None,
    head_positions: int | None,
    convention: str,
    usage: Path | None,
    out: Path | None,
    export: bool,
    pictures: Path | None,
    price_list: str | None,
    as_json: bool,
    **whole: Any,
) -> None:
    """Price calls of MODEL from token counts, in FLOPs; nothing is run and no weights are read.

    MODEL is a catalogue name, a config.json, a folder holding one, or a Hub id.

    \b
    Examples:
      e2r estimate Qwen/Qwen2.5-7B-Instruct --prompt-tokens 400 --generated-tokens 1
      e2r estimate Qwen/Qwen2.5-7B-Instruct --method setwise.heapsort --depth 50
      e2r estimate Qwen/Qwen3-8B --method pointwise.yes_no,setwise.heapsort --pictures out
    """
    prices = list_of(price_list)
    if prices is not None and (whole["method"] is None or pictures is not None):
        raise UsageError("--price is of a query: name a --method, and drop --pictures")
    clock = clock_of(with_hour(whole, prices))
    stages = stages_of(whole, whole["query_tokens"])
    for name, there in (
        ("--export", export),
        ("--usage", usage is not None),
        ("--pictures", pictures is not None),
    ):
        if there and (clock is not None or stages):
            raise UsageError(
                f"{name} tells no seconds and no first stage: drop --on or --first-stage"
            )
    arch = architecture_of(model, whole)
    if whole["sweep"] is not None:
        sweep(model, convention, whole, clock, prompt_tokens, as_json)
        return
    if export:
        from e2r.flops.coefficients import coefficients

        click.echo(json.dumps(coefficients({model: arch})))
        return
    if usage is not None:
        if out is None:
            raise UsageError("--usage needs --out, the file that repeats its rows with flops added")
        from e2r.flops.usage_file import price

        place = Path("/dev/stdout") if str(out) == "-" else out
        rows, total = price(arch, usage, place, convention)
        told = (
            f"{rows} calls priced under {convention}: {total:,} FLOPs, {total / PETA:g} PetaFLOPs"
        )
        click.echo(told + ("" if str(out) == "-" else f"; written to {out}"), err=True)
        return
    if pictures is not None:
        _draw(arch, convention, whole, pictures)
        return
    if whole["method"] is not None:
        names = whole["method"].split(",")
        if as_json and len(names) > 1:
            raise UsageError("--json tells one method; ask for each of them, or use e2r budget")
        for name in names:
            asked_for = {**whole, "method": name}
            whole_method(model, arch, convention, asked_for, clock, stages, as_json, prices)
        return
    if stages:
        raise UsageError("--first-stage is of a whole pipeline: name a --method")
    if prompt_tokens is None:
        raise UsageError("give --prompt-tokens, --usage, --method or --export")
    if calls < 1:
        raise UsageError(f"--calls is {calls}; a query makes at least one call")
    from e2r.flops.estimate import estimate
    from e2r.flops.work import Usage

    asked = Usage(
        prompt_tokens,
        generated_tokens,
        decoder_prompt_tokens=decoder_prompt_tokens,
        cached_tokens=cached_tokens,
        head_positions=head_positions,
        head=None if head_positions is not None else head,  # type: ignore[arg-type]
    )
    cost = estimate(arch, asked, convention)
    for warning in cost.warnings:
        click.echo(f"e2r: warning: {warning}", err=True)
    figures = _figures(model, cost, calls)
    timed = None
    if clock is not None:
        from e2r.forecast.demand import demand, usages_of

        wanted = demand(arch, usages_of(arch, [cost.usage]), [calls], 1)
        clock.refuse_unfit(model, clock.memory(wanted))
        timed = clock.time(wanted)
        figures |= timed.figures()
    if as_json:
        click.echo(json.dumps(figures, indent=2))
        return
    _print(figures, calls)
    for line in timed_lines(timed) if timed else []:
        click.echo(line)


def _figures(model: str, cost: Estimate, calls: int) -> dict[str, Any]:
    per_call = cost.total
    per_query = per_call * calls
    return {
        "model": model,
        "convention": cost.convention.name,
        "flops_per_call": per_call,
        "flops_per_query": per_query,
        "petaflops_per_query": per_query / PETA,
        "qpp": PETA / per_query if per_query else None,
        "parameters": {"total": cost.parameters.total, "active": cost.parameters.active},
        "operations": [
            {"part": op.part, "name": op.name, "flops": op.flops} for op in cost.operations
        ],
        "not_counted": list(cost.not_counted),
        "bytes_per_call": cost.bytes,
        "warnings": list(cost.warnings),
    }


def _draw(arch: Architecture, convention: str, options: dict[str, Any], folder: Path) -> None:
    from e2r.metrics.reports.pictures import Curve, write_sweeps
    from e2r.ranking import named

    if options["method"] is None:
        raise UsageError("--pictures needs --method NAME,NAME…, the methods to draw")
    names = options["method"].split(",")
    for name in names:
        named(name, None)
    curves = [
        Curve(
            arch,
            name,
            options["depth"],
            options["k"],
            lengths_of(options),
            parameters_given(options),
        )
        for name in names
    ]
    for path in write_sweeps(curves, convention, folder):
        click.echo(f"wrote {path}", err=True)


def _print(figures: dict[str, Any], calls: int) -> None:
    click.echo(f"{figures['model']} under {figures['convention']}")
    width = max(len(f"{op['part']}  {op['name']}") for op in figures["operations"])
    for op in figures["operations"]:
        label = f"{op['part']}  {op['name']}".ljust(width)
        share = op["flops"] / max(figures["flops_per_call"], 1)
        click.echo(f"  {label}  {op['flops']:>22,}  {share:6.1%}")
    click.echo(f"  {'FLOPs per call'.ljust(width)}  {figures['flops_per_call']:>22,}")
    parameters = figures["parameters"]
    click.echo(f"parameters: {parameters['total']:,} stored, {parameters['active']:,} active")
    click.echo(f"bytes moved per call, at least: {figures['bytes_per_call']:,}")
    qpp = "undefined" if figures["qpp"] is None else f"{figures['qpp']:.4g} queries per PetaFLOP"
    click.echo(f"{calls} calls per query: {figures['petaflops_per_query']:.6g} PetaFLOPs, {qpp}")
    click.echo(f"not counted: {', '.join(figures['not_counted'])}")
