"""`e2r evaluate`: quality, FLOPs, RPP and QPP of recorded runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from e2r.cli import completing
from e2r.cli.money import PRICES, lists_told, tariff_of
from e2r.cli.options import note, reporting
from e2r.cli.timing import ON, PRICE, UTILIZATION, clock_of
from e2r.errors import UsageError


@click.command("evaluate")
@click.argument("runs", nargs=-1, metavar="RUN...", shell_complete=completing.runs)
@reporting
@click.option(
    "--foreign",
    nargs=2,
    multiple=True,
    metavar="RANKING USAGE.csv",
    help="A TREC run made elsewhere, with its calls: qid,prompt_tokens,generated_tokens,model "
    "(docs/foreign-runs.md). Needs --qrels; may be repeated.",
)
@click.option("--name", help="The dataset's name of foreign runs; default: the judgments file's.")
@click.option("--pictures", metavar="FOLDER", help="Write pictures there, as SVG and PNG.")
@click.option(
    "--columns",
    type=click.Choice(["headline", "efficiency", "work", "time", "frontier", "money", "all"]),
    default="headline",
    show_default=True,
    help="Which figures a table, Markdown or LaTeX shows; csv and json hold all.",
)
@ON
@UTILIZATION
@PRICE
@PRICES
def command(
    runs: tuple[str, ...],
    measures: str,
    convention: str,
    qrels: str | None,
    foreign: tuple[tuple[str, str], ...],
    name: str | None,
    pictures: str | None,
    columns: str,
    form: str,
    as_json: bool,
    price: tuple[str, ...],
    **device: Any,
) -> None:
    """Quality, FLOPs, RPP and QPP of recorded runs, with 95 % bootstrap intervals.

    RUN is a run folder, or a folder that holds some. A file is a run made elsewhere: a TREC run
    (quality without cost, needs --qrels), or calls as .csv or .csv.gz (cost without quality);
    --foreign takes both together. With --on, the sheet `time` has the clock's expected seconds and
    its floor beside the measured ones. FLOPs are priced from the ledgers, in PetaFLOPs (10^15) per
    query. Per-query values go into each run's result.json, so that it can be
    evaluated where its judgments are not.

    \b
    Examples:
      e2r evaluate runs/
      e2r evaluate runs/demo/* --measures "nDCG@10 RR(rel=2)@10" --convention torch --json
      e2r evaluate runs/dl19/*/* --format latex --columns efficiency
      e2r evaluate --foreign theirs.run calls.csv --qrels qrels.txt
      e2r evaluate runs/demo/* --columns time --on here
      e2r evaluate runs/demo/* --price in=0.15,out=0.60,cached=0.075 --columns money
      e2r evaluate rankgpt.run --qrels qrels.txt
      e2r evaluate measured/*.csv.gz --convention deepspeed --json
    """
    from e2r.cli.table import print_report
    from e2r.metrics import evaluate
    from e2r.metrics.columns import MONEY, kinds_of
    from e2r.metrics.runs.foreign import Foreign

    if not runs and not foreign:
        raise UsageError("no run is named; give a run folder, or --foreign RANKING USAGE.csv")

    tariff = tariff_of(price)
    table = evaluate(
        runs,
        measures,
        convention,
        qrels=qrels,
        foreign=[Foreign(Path(run), Path(usage)) for run, usage in foreign],
        dataset=name,
        save=True,
        note=note,
        clock=clock_of(device),
        tariff=tariff,
    )
    if pictures is not None:
        from e2r.metrics.reports.pictures import write_pictures

        written = write_pictures(table, Path(pictures))
        for path in written:
            note(f"wrote {path}")
        if not written:
            note("no picture was drawn: no run here has both a quality and a cost")
    captions = {
        "headline": f"means over queries with 95 % intervals; FLOPs by the convention {convention}",
        "efficiency": "PetaFLOPs per query, what a PetaFLOP buys, and gain over the first stage",
        "work": "means per query; rates are shares of calls, padding is a share of positions; "
        "batched seconds are time shared out among a batch's calls",
        "time": "seconds a query: the floor, what was measured, and what the clock of --on expects",
        "frontier": f"{table.measures[0]} against three costs per query; P: share of query "
        "resamples in which the run is on the frontier; seconds compare on one machine only",
    }
    if bought := lists_told(table.rows, tariff):
        captions["money"] = f"money a thousand queries, {bought}"
        captions["headline"] += f"; {MONEY}: {captions['money']}"
    elif columns == "money":
        raise UsageError(
            "--columns money needs a price list, and no run recorded one: --price in=0.15,out=0.60"
        )
    kinds = kinds_of(table.rows) if columns == "all" else (columns,)
    lines = [captions[kind] for kind in kinds]
    if print_report(table, "json" if as_json else form, lines, columns):
        for row in table.rows:
            for text in row.notes:
                note(f"{row.path}: {text}")
