"""`e2r evaluate`: quality, FLOPs, RPP and QPP of recorded runs."""

from __future__ import annotations

from pathlib import Path

import click

from e2r.cli import print_json
from e2r.errors import UsageError


@click.command("evaluate")
@click.argument("runs", nargs=-1, metavar="RUN...")
@click.option(
    "--measures",
    default="nDCG@10",
    show_default=True,
    help="Measures as ir-measures spells them, separated by spaces.",
)
@click.option(
    "--convention",
    default="ideal",
    show_default=True,
    help="How FLOPs are counted; see e2r list conventions.",
)
@click.option("--qrels", help="Judgments, where the run's spec does not lead to them.")
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
    "--format",
    "form",
    type=click.Choice(["table", "markdown", "latex", "csv", "json"]),
    default="table",
    show_default=True,
    help="What goes to stdout; csv and json hold every figure.",
)
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
def command(
    runs: tuple[str, ...],
    measures: str,
    convention: str,
    qrels: str | None,
    foreign: tuple[tuple[str, str], ...],
    name: str | None,
    pictures: str | None,
    form: str,
    as_json: bool,
) -> None:
    """Quality, FLOPs, RPP and QPP of recorded runs, with 95 % bootstrap intervals.

    RUN is a run folder, or a folder that holds some. A file is a run made elsewhere: a TREC run
    (quality without cost, needs --qrels), or calls as .csv or .csv.gz (cost without quality);
    --foreign takes both together. FLOPs are priced from the ledgers, in PetaFLOPs (10^15) per
    query. Per-query values go into each run's result.json, so that it can be
    evaluated where its judgments are not.

    \b
    Examples:
      e2r evaluate runs/
      e2r evaluate runs/demo/* --measures "nDCG@10 RR(rel=2)@10" --convention torch --json
      e2r evaluate runs/dl19/*/* --format latex
      e2r evaluate --foreign theirs.run calls.csv --qrels qrels.txt
      e2r evaluate rankgpt.run --qrels qrels.txt
      e2r evaluate measured/*.csv.gz --convention deepspeed --json
    """
    from e2r.metrics import evaluate
    from e2r.metrics.foreign import Foreign

    if not runs and not foreign:
        raise UsageError("no run is named; give a run folder, or --foreign RANKING USAGE.csv")

    def note(text: str) -> None:
        click.echo(f"note: {text}", err=True)

    table = evaluate(
        runs,
        measures,
        convention,
        qrels=qrels,
        foreign=[Foreign(Path(run), Path(usage)) for run, usage in foreign],
        dataset=name,
        save=True,
        note=note,
    )
    if pictures is not None:
        from e2r.metrics.pictures import write_pictures

        for path in write_pictures(table, Path(pictures)):
            note(f"wrote {path}")
    if as_json or form == "json":
        print_json(table.to_json())
        return
    texts = {"markdown": table.to_markdown, "latex": table.to_latex, "csv": table.to_csv}
    if form in texts:
        click.echo(texts[form](), nl=False)
        return
    from e2r.cli.table import print_table
    from e2r.metrics.tables import cells, header

    print_table(
        header(table),
        [cells(row) for row in table.rows],
        words=3,
        caption=f"means over queries with 95 % intervals; FLOPs by the convention {convention}",
    )
    for row in table.rows:
        for text in row.notes:
            note(f"{row.path}: {text}")
