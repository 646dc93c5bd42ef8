"""Options that several commands share, each written once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from e2r.borders.showing import shown
from e2r.cli import completing
from e2r.errors import UsageError

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
PARAMETER = click.option(
    "--parameter",
    multiple=True,
    metavar="NAME=NUMBER",
    help="Any parameter of the method; may be repeated.",
)
PARAMETERS = ("set_size", "window", "step", "repeats", "tournaments", "pivot")
"""Parameters of methods that have an option of their own."""
DIGITS = 9
"""Of a parameter that may be meant."""


def parameters_given(options: Mapping[str, Any]) -> dict[str, int]:
    """The parameters of a method that were typed. Raises UsageError for what is no number."""
    given = {name: options[name] for name in PARAMETERS if options[name] is not None}
    for text in options["parameter"]:
        name, equals, value = text.partition("=")
        if not equals or not value.isascii() or not value.isdigit() or len(value) > DIGITS:
            raise UsageError(f"--parameter {text!r}: write NAME=NUMBER, as in pivot=10")
        given[name.replace("-", "_")] = int(value)
    return given


def note(text: str) -> None:
    """Tell the user something on stderr, so that stdout stays what was asked for."""
    click.echo(shown(f"note: {text}"), err=True)


def reporting(command: Any) -> Any:
    """The options of every command that reports on recorded runs."""
    for option in (JSON, FORMAT, QRELS, CONVENTION, MEASURES):
        command = option(command)
    return command
