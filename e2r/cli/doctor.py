"""`e2r doctor`: what works on this machine, and what to do about what does not."""

from __future__ import annotations

from pathlib import Path

import click

from e2r.cli import print_json


@click.command("doctor")
@click.option("--runs", default="runs", show_default=True, help="Where runs would be written.")
@click.option("--json", "as_json", is_flag=True, help="JSON alone on stdout.")
def command(runs: str, as_json: bool) -> None:
    """Say what of e2r works here: extras, Java, accelerators, the Hub, the disk.

    Nothing is installed or fetched. A part that is missing is no error: it is not needed by all.

    Example: e2r doctor --json
    """
    from e2r.doctor import examine, to_json

    checks = examine(Path(runs))
    if as_json:
        print_json(to_json(checks))
        return
    width = max(len(check.name) for check in checks)
    for check in checks:
        remedy = f" → {check.remedy}" if check.remedy else ""
        click.echo(f"{'ok' if check.works else '--'}  {check.name:<{width}}  {check.found}{remedy}")
