"""`e2r reproduce`: the paper's tables and the authors' profiled calls, computed again."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click

from e2r.errors import IncompleteError


@click.group("reproduce")
def command() -> None:
    """Compute published figures again and show how far they agree.

    Example: e2r reproduce paper --data ../shared/data
    """


DATA = click.option(
    "--data",
    type=click.Path(path_type=Path),
    default=Path("../shared/data"),
    show_default=True,
    help="Folder that holds paper/tables.csv and paper/measured/*.csv.gz.",
)
JSON = click.option("--json", "as_json", is_flag=True, help="JSON alone on stdout.")


@command.command("paper")
@DATA
@JSON
def paper(data: Path, as_json: bool) -> None:
    """Tables 2 and 3 of arXiv 2507.06223v2: PetaFLOPs, RPP and QPP from the printed tokens.

    Example: e2r reproduce paper --data ../shared/data
    """
    from e2r.flops import reproduce

    rows = reproduce.paper(data)
    good = sum(row.reproduced for row in rows)
    worst = max(rows, key=lambda row: row.difference)
    if as_json:
        listed = [
            {**asdict(row), "difference": row.difference, "reproduced": row.reproduced}
            for row in rows
        ]
        figures = {
            "rows": len(rows),
            "reproduced": good,
            "worst": worst.difference,
            "table": listed,
        }
        click.echo(json.dumps(figures, indent=2))
    else:
        click.echo(
            f"{'dataset':<13} {'model':<34} {'method':<20} {'PFLOPs':>8} {'ours':>9} "
            f"{'RPP':>6} {'unrounded':>9} {'QPP':>7} {'unrounded':>9}"
        )
        for row in rows:
            click.echo(
                f"{row.dataset:<13} {row.model:<34} {row.method:<20} {row.printed_petaflops:>8} "
                f"{row.petaflops:>9.5f} {row.printed_rpp:>6} {row.rpp_unrounded:>9.2f} "
                f"{row.printed_qpp:>7} {row.qpp_unrounded:>9.2f}{'' if row.reproduced else '  ✗'}"
            )
        click.echo(
            f"{good} of {len(rows)} rows reproduced; worst difference {worst.difference:.6f} "
            f"PetaFLOPs of {worst.printed_petaflops} ({worst.model}, {worst.method}). "
            "The columns headed unrounded divide by PetaFLOPs that were not rounded first."
        )
    if good < len(rows):
        raise IncompleteError(f"{len(rows) - good} rows differ from what is printed")


@command.command("profile")
@DATA
@JSON
def profile(data: Path, as_json: bool) -> None:
    """Every profiled LLM call, priced under the deepspeed convention and compared exactly.

    Example: e2r reproduce profile --data ../shared/data
    """
    from e2r.flops import reproduce

    files = reproduce.profile(data)
    calls, exact = sum(file.calls for file in files), sum(file.exact for file in files)
    if as_json:
        listed = [asdict(file) for file in files]
        click.echo(json.dumps({"calls": calls, "exact": exact, "files": listed}, indent=2))
    else:
        for file in files:
            click.echo(f"{file.name:<60} {file.exact:>7,} of {file.calls:>7,}")
        click.echo(f"{exact:,} of {calls:,} calls equal to the integer in {len(files)} files")
    if exact < calls:
        raise IncompleteError(f"{calls - exact} calls differ from what the profiler reported")
