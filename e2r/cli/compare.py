"""`e2r compare`: is one run better than another, at what cost, and how sure is that?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from e2r.cli import print_json

if TYPE_CHECKING:
    from e2r.metrics.comparison import Contrast


@click.command("compare")
@click.argument("runs", nargs=-1, required=True, metavar="RUN_A RUN_B...")
@click.option("--baseline", help="The run that the others are held against; default: the first.")
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
@click.option("--qrels", help="Judgments, where the runs' specs do not lead to them.")
@click.option("--json", "as_json", is_flag=True, help="JSON on stdout.")
def command(
    runs: tuple[str, ...],
    baseline: str | None,
    measures: str,
    convention: str,
    qrels: str | None,
    as_json: bool,
) -> None:
    """Compare runs with a baseline, query by query.

    Differences come with 95 % bootstrap intervals, randomisation and t tests (Holm-corrected over
    all rows), effect sizes, and the ratio of FLOPs. P(better) and P(cheaper) are shares of 10,000
    resamples of the queries.

    \b
    Examples:
      e2r compare runs/demo/*/pointwise.qlm--* runs/demo/*/setwise.heapsort--*
      e2r compare runs/dl19/*/* --baseline runs/dl19/no-model/first_stage--0a1b2c3d --json
    """
    from e2r.metrics.comparison import compare

    def note(text: str) -> None:
        click.echo(f"note: {text}", err=True)

    found = compare(runs, measures, convention, baseline=baseline, qrels=qrels, note=note)
    if as_json:
        print_json(found.to_json())
        return
    from e2r.cli.table import print_table

    base = found.baseline
    print_table(
        HEADER,
        [_cells(contrast) for contrast in found.contrasts],
        words=3,
        caption=f"baseline: {base.manifest.model.name}, {base.manifest.method} ({base.path}); "
        f"p by randomisation, Holm-corrected; FLOPs by the convention {convention}",
    )
    for contrast in found.contrasts:
        click.echo(
            f"{contrast.run.manifest.model.name}, {contrast.run.manifest.method}: "
            f"{contrast.verdict}"
        )
        for text in contrast.notes:
            note(f"{contrast.run.path}: {text}")


HEADER = [
    "model",
    "method",
    "measure",
    "difference",
    "p",
    "effect",
    "won/tied/lost",
    "FLOPs ratio",
    "gain/PFLOP",
    "P(better)",
    "P(cheaper)",
]


def _cells(contrast: Contrast) -> list[str]:
    from e2r.metrics.tables import UNDEFINED, fixed, short

    tests = contrast.tests
    return [
        contrast.run.manifest.model.name,
        contrast.run.manifest.method,
        contrast.measure,
        fixed(contrast.difference),
        f"{contrast.p:.4f}",
        UNDEFINED if tests.effect is None else f"{tests.effect:.2f}",
        f"{tests.wins}/{tests.ties}/{tests.losses}",
        short(contrast.cost_ratio.value),
        short(contrast.gain_per_petaflop.value),
        f"{contrast.better:.2f}",
        UNDEFINED if contrast.cheaper is None else f"{contrast.cheaper:.2f}",
    ]
