"""Figures on stdout: sheets as wide as the terminal, and the forms that programs read."""

from __future__ import annotations

import shutil
import textwrap
from typing import TYPE_CHECKING

import click

from e2r.borders.showing import shown
from e2r.cli import print_json

if TYPE_CHECKING:
    from e2r.metrics.reports.tables import Report, Sheet


def print_report(
    report: Report, form: str, captions: list[str], columns: str | None = None
) -> bool:
    """Print a report in one of the forms; True for `table`, which notes may follow.

    `captions` are the lines below the sheets of a table, one each.
    """
    if form == "json":
        print_json(report.to_json())
    elif form == "csv":
        click.echo(report.to_csv(), nl=False)
    elif form == "table":
        sheets = report.sheets(columns)
        for sheet, caption in zip(sheets, captions, strict=True):
            print_sheet(sheet, caption)
    else:
        text = report.to_markdown if form == "markdown" else report.to_latex
        click.echo(text(columns), nl=False)
    return form == "table"


def print_sheet(sheet: Sheet, caption: str) -> None:
    """Print a sheet on stdout, as wide as the terminal, or as COLUMNS says; else 80 cells."""
    from e2r.cli.layout import lay_out

    width = shutil.get_terminal_size().columns
    laid = lay_out(sheet, width)
    for line in laid.lines:
        click.echo(line.rstrip())
    click.echo()
    print_text(caption)
    if laid.dropped:
        print_text(
            f"no room in {width} columns for {', '.join(laid.dropped)}: widen the terminal, set "
            "COLUMNS, or see --format csv"
        )


def print_text(text: str) -> None:
    """Print a sentence on stdout, broken between words where the terminal ends."""
    width = shutil.get_terminal_size().columns
    for line in textwrap.wrap(shown(text), width, break_long_words=False, break_on_hyphens=False):
        click.echo(line)
