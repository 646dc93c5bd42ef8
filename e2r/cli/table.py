"""Figures on stdout: sheets on a terminal or in a pipe, and the forms that programs read."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from e2r.borders.showing import bare, shown
from e2r.cli import print_json

if TYPE_CHECKING:
    from e2r.metrics.reports.tables import Report, Sheet

NARROWEST_FILE = 200


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
    """Print a sheet on stdout.

    A terminal folds long cells to its width; a pipe gets each row on one line.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(
        box=box.SIMPLE_HEAD, pad_edge=False, caption=shown(caption), caption_justify="left"
    )
    for place, name in enumerate(sheet.header):
        if place < sheet.words:
            table.add_column(Text(shown(name)), overflow="fold")
        else:
            table.add_column(Text(shown(name)), justify="right", no_wrap=not sys.stdout.isatty())
    for line in sheet.lines:
        table.add_row(*(Text(shown(cell)) for cell in line))
    console = Console()
    if not console.is_terminal:
        columns = zip(sheet.header, *sheet.lines, strict=True)
        longest = [max(len(shown(cell)) for cell in column) for column in columns]
        console = Console(width=max(NARROWEST_FILE, sum(longest) + 3 * len(longest)))
    # rich would end the process where the pipe is closed; click tells main of it.
    with console.capture() as captured:
        console.print(table)
    # Every cell is escaped; what is left steers the terminal on purpose.
    click.echo(captured.get(), file=bare(sys.stdout), nl=False)
