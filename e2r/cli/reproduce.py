"""`e2r reproduce`: the paper's tables, its profiled calls and our findings, computed again."""

from __future__ import annotations

import json
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import click

from e2r.errors import IncompleteError

if TYPE_CHECKING:
    from e2r.flops.reproduce import TableRow

MARKS = {"same": "=", "cut": "c", "rounding": "~", "differs": "!"}


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
    help="Folder of the data: paper/tables.csv, paper/measured/*.csv.gz, published.",
)
JSON = click.option("--json", "as_json", is_flag=True, help="JSON alone on stdout.")


@command.command("paper")
@DATA
@click.option(
    "--write",
    type=click.Path(path_type=Path),
    metavar="FILE.md",
    help="Write the report there, and its figures into images/reproduction beside it.",
)
@JSON
def paper(data: Path, write: Path | None, as_json: bool) -> None:
    """Tables 2 and 3 of arXiv 2507.06223v2: PetaFLOPs, RPP and QPP from the printed tokens.

    Each cell is printed beside ours, which no rounding went into, with a mark: = the same, c the
    same with its last digits cut off, ~ different by no more than the rounding of the printed
    inputs allows, ! different by more. NDCG is given, not computed. The last column holds the
    PetaFLOPs of the convention ideal.

    \b
    Examples:
      e2r reproduce paper --data ../shared/data
      e2r reproduce paper --write docs/reproduction.md
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
        _print_tables(rows)
        click.echo(
            f"{good} of {len(rows)} rows reproduced; worst difference {worst.difference:.6f} "
            f"PetaFLOPs of {worst.printed_petaflops} ({worst.model}, {worst.method}). "
            "Ours divide by PetaFLOPs that were not rounded first."
        )
    if write is not None:
        from e2r.metrics.reports import reproduction

        for path in reproduction.write(reproduction.find(data), write):
            click.echo(f"note: wrote {path}", err=True)
    if good < len(rows):
        raise IncompleteError(f"{len(rows) - good} rows differ from what is printed")


def _print_tables(rows: list[TableRow]) -> None:
    for table, group in groupby(rows, key=lambda row: row.table):
        click.echo(f"Table {table}: printed, ours")
        click.echo(
            f"{'dataset':<13} {'model':<33} {'method':<20} {'NDCG':>6} {'PFLOPs':>17}  "
            f"{'RPP':>15}  {'QPP':>16}  {'ideal':>8}"
        )
        for row in group:
            flops, rpp, qpp = row.cells
            click.echo(
                f"{row.dataset:<13} {row.model:<33} {row.method:<20} {row.ndcg:>6.3f} "
                f"{flops.printed:>7} {flops.computed:>9.5f}{MARKS[flops.verdict]} "
                f"{rpp.printed:>7} {rpp.computed:>8.4f}{MARKS[rpp.verdict]} "
                f"{qpp.printed:>7} {qpp.computed:>9.4f}{MARKS[qpp.verdict]} {row.ideal:>8.5f}"
                f"{'' if row.reproduced else '  ✗'}"
            )
        click.echo()


@command.command("findings")
@DATA
@click.option(
    "--runs",
    type=click.Path(path_type=Path),
    default=Path("runs"),
    show_default=True,
    help="Folder of the runs and priced rows.",
)
@click.option(
    "--write",
    type=click.Path(path_type=Path),
    metavar="FILE.md",
    help="Write the report there, and its pictures into images/findings beside it.",
)
def findings(data: Path, runs: Path, write: Path | None) -> None:
    """What priced rows say: frontiers, what a point of nDCG costs, pointwise against listwise.

    Judgments are DATA/<dataset>/qrels.txt, and published rankings lie in DATA/published: every
    figure is computed from them again.

    \b
    Examples:
      e2r reproduce findings
      e2r reproduce findings --data ../shared/data --write docs/findings.md
    """
    from e2r.metrics.reports import findings as reports

    found = reports.find(data, runs)
    if write is None:
        click.echo(reports.report(found))
    else:
        for path in reports.write(found, write):
            click.echo(f"note: wrote {path}", err=True)


@command.command("profile")
@DATA
@JSON
def profile(data: Path, as_json: bool) -> None:
    """Every profiled LLM call, priced under the deepspeed convention and compared exactly.

    Example: e2r reproduce profile --data ../shared/data
    """
    from e2r.flops import agreement, measured

    files = agreement.profile(measured.read_all(data))
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
