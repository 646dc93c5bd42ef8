"""`e2r leaderboard`: build the static site from recorded runs."""

from __future__ import annotations

import click

from e2r.cli.money import PRICES, tariff_of
from e2r.cli.options import CONVENTION, MEASURES, note


@click.command("leaderboard")
@click.option("--runs", default="runs", show_default=True, help="The folder of run folders.")
@click.option("--out", default="leaderboard", show_default=True, help="Where the site goes.")
@MEASURES
@CONVENTION
@click.option(
    "--qrels",
    multiple=True,
    metavar="[NAME=]FILE",
    help="The board's own judgments, of the dataset NAME or of all; may be repeated. No path of a "
    "run is followed, and a run that they do not judge is unverified.",
)
@click.option(
    "--rankings",
    multiple=True,
    metavar="FOLDER",
    help="Rankings that others published, from which priced rows are computed again; may be "
    "repeated. Without its ranking a priced row is unverified.",
)
@click.option(
    "--files",
    default="../runs",
    show_default=True,
    help="Where the run folders lie as seen from the pages: a relative path or an address.",
)
@click.option(
    "--project",
    help="Where the first page links to for the project: a relative path or an address; default: "
    "nowhere.",
)
@click.option(
    "--paper/--no-paper",
    default=True,
    show_default=True,
    help="Whether the 106 rows of arXiv 2507.06223's tables stand beside the runs.",
)
@PRICES
def command(
    runs: str,
    out: str,
    measures: str,
    convention: str,
    qrels: tuple[str, ...],
    rankings: tuple[str, ...],
    files: str,
    project: str | None,
    paper: bool,
    price: tuple[str, ...],
) -> None:
    """Build the static site from recorded runs and print the path of its first page.

    The site needs no network and no server. The same runs give the same bytes; a build replaces
    what an earlier one wrote and touches nothing else. Readers may choose any convention, and any
    measure that the runs' own result.json hold.

    Example: e2r leaderboard --runs runs --out leaderboard
    """
    from e2r.site import build

    page = build(
        runs,
        out,
        paper=paper,
        measures=measures,
        convention=convention,
        qrels=qrels,
        rankings=rankings,
        files=files,
        project=project,
        note=note,
        tariff=tariff_of(price),
    )
    click.echo(str(page))
