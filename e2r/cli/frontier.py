"""`e2r frontier`: which runs are worth their cost, and what most of the best quality costs."""

from __future__ import annotations

import click

from e2r.cli import completing
from e2r.cli.money import PRICES, lists_told, tariff_of
from e2r.cli.options import note, reporting


@click.command("frontier")
@click.argument("runs", nargs=-1, required=True, metavar="RUN...", shell_complete=completing.runs)
@reporting
@click.option(
    "--share",
    "shares",
    type=float,
    multiple=True,
    default=(0.9, 0.95, 0.99),
    show_default=True,
    help="A share of the best run's quality, 0 to 1, to be priced; may be repeated.",
)
@PRICES
def command(
    runs: tuple[str, ...],
    measures: str,
    convention: str,
    qrels: str | None,
    form: str,
    as_json: bool,
    shares: tuple[float, ...],
    price: tuple[str, ...],
) -> None:
    """Which runs are worth their cost: Pareto frontiers in PetaFLOPs, seconds, rounds and money.

    A run is on a frontier where no other is at least as good for at most the same cost, and better
    in one of the two. P(on) is the share of 10,000 resamples of the queries in which it is. The
    cost to reach a share of the best quality is that of the cheapest run that has it.
    Hypervolume is the area that the runs dominate up to the reference point (dearest run, 0).
    Runs compete with their equals only: same data, first stage, depth, judgments and queries.

    \b
    Examples:
      e2r frontier runs/
      e2r frontier runs/ --price in=0.15,out=0.60 --price gpt-4o-mini@genai:openai/gpt-4o-mini
      e2r frontier runs/ --measures RR@10 --share 0.8 --convention torch --json
    """
    from e2r.cli.table import print_report
    from e2r.metrics import evaluate
    from e2r.metrics.frontiers import frontiers

    tariff = tariff_of(price)
    table = evaluate(runs, measures, convention, qrels=qrels, note=note, tariff=tariff)
    report = frontiers(table, shares)
    captions = [
        "cheapest first, means per query with 95 % intervals; P(on): share of query resamples; "
        f"FLOPs by the convention {convention}",
        "cost to reach: 95 % percentile intervals; hypervolume: area dominated up to the "
        "reference point (cost, quality)",
    ]
    if bought := lists_told(table.rows, tariff):
        captions[0] += f"; money: {bought}"
    print_report(report, "json" if as_json else form, captions)
