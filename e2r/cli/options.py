"""Options that several commands share, each written once."""

from __future__ import annotations

from typing import Any

import click

from e2r.borders.showing import shown
from e2r.cli import completing

MEASURES = click.option(
    "--measures",
    default="nDCG@10",
    show_default=True,
    shell_complete=completing.measures,
    help="Measures as ir-measures spells them, separated by spaces; the first one ranks.",
)
CONVENTION = click.option(
    "--convention",
    default="ideal",
    show_default=True,
    shell_complete=completing.conventions,
    help="How FLOPs are counted; see e2r list conventions.",
)
QRELS = click.option("--qrels", help="Judgments, where the runs' specs do not lead to them.")
JSON = click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
FORMAT = click.option(
    "--format",
    "form",
    type=click.Choice(["table", "markdown", "latex", "csv", "json"]),
    default="table",
    show_default=True,
    help="What goes to stdout; csv and json hold every figure.",
)


def note(text: str) -> None:
    """Tell the user something on stderr, so that stdout stays what was asked for."""
    click.echo(shown(f"note: {text}"), err=True)


def reporting(command: Any) -> Any:
    """The options of every command that reports on recorded runs."""
    for option in (JSON, FORMAT, QRELS, CONVENTION, MEASURES):
        command = option(command)
    return command
