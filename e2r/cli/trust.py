"""`e2r trust`: what was typed once and is remembered on this machine; and how to forget it."""

from __future__ import annotations

import click

from e2r.cli import print_json
from e2r.errors import UsageError


@click.command("trust")
@click.option("--forget", metavar="WHAT", help="Forget this, as it is listed; all: everything.")
@click.option("--json", "as_json", is_flag=True, help="JSON alone on stdout.")
def command(forget: str | None, as_json: bool) -> None:
    """List what spec files may ask for, because it was typed once on this machine.

    A spec alone cannot run a model's code, send a key, join a Ray cluster or read a template
    outside of its folder. What was typed at `e2r run` or `e2r plan` is remembered, so that
    --resume asks for nothing twice.

    \b
    Examples:
      e2r trust
      e2r trust --forget "OPENAI_API_KEY to https://api.example.org:443"
      e2r trust --forget all
    """
    from e2r.borders import trust

    rows = trust.remembered()
    if forget is not None:
        rows = trust.forget(forget)
        if not rows and forget != "all":
            raise UsageError(f"{forget!r} is not remembered; see e2r trust")
    if as_json:
        print_json([vars(row) for row in rows])
        return
    for row in rows:
        click.echo(f"{row.kind:<9} {row.what}  (since {row.since})")
    what = "forgotten" if forget is not None else "remembered"
    click.echo(f"{len(rows)} {what}; kept in {trust.place()}", err=True)
