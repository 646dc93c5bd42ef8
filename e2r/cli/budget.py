"""`e2r budget`: what fits in so many PetaFLOPs, milliseconds or so much money per query."""

from __future__ import annotations

import json
from typing import Any

import click

from e2r.cli.money import PRICE_LIST, folded, list_of, with_hour
from e2r.cli.qualities import BOARD, MEASURE, qualities
from e2r.cli.timing import clock_of, priced_pipeline, stages_of
from e2r.errors import UsageError
from e2r.flops.conventions import CONVENTIONS

SORTS = {
    "petaflops": "petaflops_per_query",
    "ms": "milliseconds_per_query",
    "money": "price_per_million_queries",
    "calls": "calls_per_query",
    "rounds": "rounds_per_query",
    "depth": "depth",
    "quality": "quality",
    "model": "model",
    "method": "method",
}
"""Words of --sort, and the figure that each sorts by."""


@click.command("budget")
@click.option("--petaflops", type=float, help="PetaFLOPs per query.")
@click.option("--milliseconds", type=float, help="Milliseconds of a query, with --on.")
@click.option(
    "--money",
    type=float,
    help="Of a million queries (1,000 times money/1k), with --price or --price-per-hour.",
)
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
@priced_pipeline
@PRICE_LIST
@click.option(
    "--sort",
    type=click.Choice(["dearest", *SORTS]),
    default="petaflops",
    show_default=True,
    help="Cheapest first; dearest: what uses most of the budget first; else by that column.",
)
@BOARD
@click.option("--most", "limit", type=int, default=30, show_default=True, help="Rows to show.")
@click.option("--json", "as_json", is_flag=True, help="JSON alone on stdout.")
def command(
    petaflops: float | None,
    milliseconds: float | None,
    money: float | None,
    models: str | None,
    methods: str | None,
    depths: str,
    set_sizes: str,
    passage_tokens: str,
    query_tokens: int,
    answer_tokens: int | None,
    k: int,
    convention: str,
    sort: str,
    board: str | None,
    limit: int,
    price_list: str | None,
    as_json: bool,
    **device: Any,
) -> None:
    """List what fits in a budget per query; milliseconds are expected ones, else the floor's.

    Quality is the best nDCG@10 that the board has of model, method and depth on any of its data
    sets.

    \b
    Examples:
      e2r budget --milliseconds 500 --on L4 --utilization 0.4
      e2r budget --money 50 --on H100 --price-per-hour 2 --utilization 0.4 --sort quality
      e2r budget --petaflops 0.05 --methods pointwise.yes_no,setwise.heapsort --sort dearest
    """
    from e2r.flops.catalogue import entries
    from e2r.forecast.budget import Grid, search
    from e2r.ranking import named

    prices = list_of(price_list)
    clock = clock_of(with_hour(device, prices))
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
        price_per_million=money,
        clock=clock,
        first_stage=stages_of(device, query_tokens),
        convention=convention,
        prices=prices,
    )
    known = qualities(board)
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
            "milliseconds_per_query": option.milliseconds,
            "quality": known.get((_tail(option.model), option.method, option.depth)),
            **(option.timed.figures() if option.timed else {}),
            "price_per_million_queries": option.price_per_million,
            "money_per_thousand_queries": option.money_per_thousand,
        }
        for option in found.options
    ]
    rows = _sorted(rows, sort)[: limit if limit > 0 else None]
    if as_json:
        figures = {
            "options": rows,
            "fitting": len(found.options),
            "weighed": found.weighed,
            "refused": list(found.refused),
            **({} if prices is None else {"prices": prices.to_json()}),
        }
        click.echo(json.dumps(figures, indent=2))
        return
    for line in _table(rows):
        click.echo(line)
    if rows and clock is not None:
        said = rows[0]["expected_from"]
        click.echo(
            f"ms: {'expected, from ' + said if said else 'the floor, which no run beats'}", err=True
        )
    if prices is not None:
        for line in folded(f"money/1k: a thousand queries, {prices.told()}"):
            click.echo(line.strip(), err=True)
    click.echo(f"{len(found.options)} of {found.weighed} combinations fit", err=True)
    for reason in found.refused:
        click.echo(reason, err=True)


def _table(rows: list[dict[str, Any]]) -> list[str]:
    """Lines of about 80 columns; columns that nothing fills are left out."""
    shown = {
        "PFLOPs": [_cell(row["petaflops_per_query"]) for row in rows],
        "ms": [_cell(row["milliseconds_per_query"]) for row in rows],
        "money/1k": [_cell(row["money_per_thousand_queries"]) for row in rows],
        "calls": [_cell(row["calls_per_query"]) for row in rows],
        "depth": [str(row["depth"]) for row in rows],
        "set": [str(row["set_size"] or "") for row in rows],
        MEASURE: ["" if (it := row["quality"]) is None else f"{it:.3f}" for row in rows],
    }
    filled = {name: cells for name, cells in shown.items() if any(cells)}
    widths = {name: max(len(name), *map(len, cells)) for name, cells in filled.items()}
    lines = [" ".join(f"{name:>{widths[name]}}" for name in filled) + "  method, model"]
    for place, row in enumerate(rows):
        figures = " ".join(f"{cells[place]:>{widths[name]}}" for name, cells in filled.items())
        lines.append(f"{figures}  {row['method']}, {_tail(row['model'])}")
    return lines


def _cell(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def _sorted(rows: list[dict[str, Any]], word: str) -> list[dict[str, Any]]:
    """Rows by a column, ones without it last; qualities and `dearest` with the largest first."""
    if word == "petaflops":
        return rows
    if word == "dearest":
        key = "milliseconds_per_query"
        if not rows or rows[0][key] is None:
            key = "petaflops_per_query"
        return sorted(rows, key=lambda row: -row[key])
    key = SORTS[word]
    there = [row for row in rows if row[key] is not None]
    if not there and rows:
        raise UsageError(f"--sort {word}: no row has it; name what tells it (--on, --board …)")
    rest = [row for row in rows if row[key] is None]
    return sorted(there, key=lambda row: row[key], reverse=word == "quality") + rest


def _tail(model: str) -> str:
    return model.rpartition("/")[2]


def _counts(option: str, text: str) -> list[int]:
    try:
        counts = [int(part) for part in text.split(",")]
    except ValueError:
        raise UsageError(f"{option} {text!r}: give whole numbers with commas") from None
    if any(count < 1 for count in counts):
        raise UsageError(f"{option} {text!r}: numbers have to be at least 1")
    return counts
