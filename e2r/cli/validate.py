"""`e2r validate`: what is wrong or odd in runs, specs and the files of a collection."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from e2r.borders.showing import shown
from e2r.cli import print_json
from e2r.errors import DataError

if TYPE_CHECKING:
    from e2r.validation import Validated


@click.command("validate")
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option(
    "--qrels",
    multiple=True,
    metavar="[NAME=]FILE",
    help="Judgments that candidates are held against and runs are judged by; NAME=FILE: the runs "
    "of that dataset. May be repeated.",
)
@click.option(
    "--rankings",
    multiple=True,
    metavar="FOLDER",
    help="Rankings that others published, from which priced rows are computed again.",
)
@click.option(
    "--follow",
    is_flag=True,
    help="Of your own runs and specs: read the files that they name, and show what is in them.",
)
@click.option(
    "--most",
    type=click.IntRange(min=1),
    default=100,
    show_default=True,
    help="Errors, and warnings, that are shown of one path; the rest are counted.",
)
@click.option("--json", "as_json", is_flag=True, help="JSON alone on stdout.")
def command(
    paths: tuple[str, ...],
    qrels: tuple[str, ...],
    rankings: tuple[str, ...],
    follow: bool,
    most: int,
    as_json: bool,
) -> None:
    """Say all that is wrong or odd in a path; exit with 3 where anything is wrong.

    PATH is a run folder, a folder that holds some, a spec, candidates (a TREC run, a rank_llm
    JSONL file), judgments, queries, a corpus or a BEIR folder; its content tells which. No model is
    loaded, nothing is fetched, and without --follow no file is opened that a run names. Warnings
    alone exit with 0.

    \b
    Examples:
      e2r validate runs/
      e2r validate candidates.jsonl --qrels qrels.txt --json
      e2r validate spec.toml bm25.run beir-folder/
    """
    from e2r.validation import validate

    found = validate(paths, qrels=qrels, rankings=rankings, follow=follow, most=most)
    errors, warnings = (sum(one.report.count[place] for one in found) for place in (0, 1))
    if as_json:
        rows = [one.to_json() for one in found]
        print_json({"paths": rows, "errors": errors, "warnings": warnings})
    else:
        for one in found:
            _print(one)
    if errors:
        bad = sum(bool(one.report.errors) for one in found)
        raise DataError(f"{errors} errors in {bad} of {len(found)} paths; mend what is listed")


def _print(one: Validated) -> None:
    report = one.report
    click.echo(shown(f"{one.path}: {one.kind}"))
    for finding in [*report.errors, *report.warnings]:
        field = f" [{shown(finding.field)}]" if finding.field else ""
        click.echo(f"  {finding.level:<8} {shown(finding)}{field}")
    for name, more in (("errors", report.more_errors), ("warnings", report.more_warnings)):
        if more:
            click.echo(f"  and {more} more {name}")
    errors, warnings = report.count
    click.echo(f"  {errors} errors, {warnings} warnings")
