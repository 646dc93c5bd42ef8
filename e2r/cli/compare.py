"""`e2r compare`: is one run better than another, at what cost, and how sure is that?"""

from __future__ import annotations

import click

from e2r.cli import completing
from e2r.cli.money import PRICES, lists_told, tariff_of
from e2r.cli.options import note, reporting


@click.command("compare")
@click.argument(
    "runs", nargs=-1, required=True, metavar="RUN_A RUN_B...", shell_complete=completing.runs
)
@click.option(
    "--baseline",
    shell_complete=completing.runs,
    help="The run that the others are held against; default: the first.",
)
@click.option(
    "--first-stage",
    help="The first stage's own run, which differences at equal cost need; default: the one "
    "among the runs.",
)
@reporting
@PRICES
def command(
    runs: tuple[str, ...],
    baseline: str | None,
    first_stage: str | None,
    measures: str,
    convention: str,
    qrels: str | None,
    form: str,
    as_json: bool,
    price: tuple[str, ...],
) -> None:
    """Compare runs with a baseline, query by query, and say which is the better buy.

    Differences come with 95 % bootstrap intervals, randomisation and t tests (Holm-corrected over
    all rows), effect sizes (mean difference / its standard deviation), and the ratio of FLOPs, with
    --price of money too.
    P(…) are shares of 10,000 resamples of the queries; P(better buy) that the run is at least as
    good at no more cost. At equal cost the dearer of the two reranks only as large a share of the
    queries as the cheaper one's FLOPs pay for; the others stay as the first stage ranked them.

    \b
    Examples:
      e2r compare runs/demo/*/pointwise.qlm--* runs/demo/*/setwise.heapsort--*
      e2r compare runs/dl19/*/* --baseline runs/dl19/no-model/first_stage--0a1b2c3d --json
      e2r compare runs/a runs/b --first-stage runs/dl19/no-model/first_stage--0a1b2c3d
    """
    from e2r.cli.table import print_report, print_text
    from e2r.metrics.comparison import compare
    from e2r.metrics.naming import methods

    tariff = tariff_of(price)
    found = compare(
        runs,
        measures,
        convention,
        baseline=baseline,
        first_stage=first_stage,
        qrels=qrels,
        note=note,
        tariff=tariff,
    )
    base = found.baseline
    caption = (
        f"baseline: {base.label}, {base.manifest.method} ({base.path}); "
        "p by randomisation and t test, Holm-corrected; "
        f"FLOPs by the convention {found.evaluation.convention}"
    )
    if bought := lists_told(found.evaluation.rows, tariff):
        caption += f"; money: {bought}"
    if not print_report(found, "json" if as_json else form, [caption]):
        return
    named = methods([contrast.run for contrast in found.contrasts])
    for contrast, method in zip(found.contrasts, named, strict=True):
        print_text(f"{contrast.run.label}, {method}: {contrast.verdict}")
        for text in contrast.notes:
            note(f"{contrast.run.path}: {text}")
