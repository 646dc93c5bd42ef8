"""`e2r meter`: the calls of any Python program, counted from outside."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from e2r.borders.showing import shown
from e2r.borders.writing import output
from e2r.cli.options import CONVENTION
from e2r.errors import MissingError, UsageError

if TYPE_CHECKING:
    from e2r.meter.report import Report


@click.command(
    "meter", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False}
)
@click.option(
    "--out", required=True, metavar="CALLS.csv", help="The usage CSV to make; never written over."
)
@click.option("--queries", type=click.IntRange(1), help="How many queries the program answers.")
@click.option(
    "--topics",
    metavar="FILE",
    help="The queries (TREC, TSV, JSONL): a call belongs to the one whose text is in its prompt.",
)
@click.option("--summary", metavar="FILE.json", help="Write the figures there, as JSON.")
@CONVENTION
@click.argument("program", nargs=-1, required=True, type=click.UNPROCESSED, metavar="-- PROGRAM...")
def command(
    out: str,
    queries: int | None,
    topics: str | None,
    summary: str | None,
    convention: str,
    program: tuple[str, ...],
) -> int:
    """Count what the models of any Python program compute, while it runs unchanged.

    Each call of a transformers model, of vLLM's LLM and of an OpenAI-compatible server by httpx
    becomes a row of the CSV that e2r evaluate reads; the models' facts lie beside it. The
    program's output, signals and exit code are its own; what was counted is told on stderr at its
    end, in PetaFLOPs (10^15). Python processes that it starts are counted too. A program that
    makes no call that can be counted ends with 4 instead of 0. docs/meter.md has examples.

    \b
    Examples:
      e2r meter --out calls.csv -- python run.py --model google/flan-t5-large
      e2r meter --out calls.csv --topics topics.tsv -- python -m theirs.rerank
      e2r evaluate --foreign theirs.run calls.csv --qrels qrels.txt
    """
    from e2r.flops.conventions import convention as by_name
    from e2r.meter.launch import launch
    from e2r.meter.report import report
    from e2r.meter.sheet import Sheet

    by_name(convention)
    texts = None
    if topics is not None:
        from e2r.data.files.topics import read_queries

        texts = read_queries(Path(topics))
        if queries not in (None, len(texts)):
            raise UsageError(f"--queries says {queries}, but {topics} holds {len(texts)}")
        queries = len(texts)
    if summary is not None:
        place = Path(summary)
        if place.absolute() == Path(out).absolute():
            raise UsageError(f"{summary}: is the file of --out; name another by --summary")
        if place.exists():
            raise UsageError(f"{summary}: is there already; name another file by --summary")
        if not place.parent.is_dir():
            raise UsageError(f"{summary}: there is no folder {place.parent}; make it first")
    sheet = Sheet.begin(Path(out))
    try:
        code = launch(program, sheet, texts)
    except MissingError:
        sheet.remove()
        raise
    made = report(sheet, convention, queries)
    for line in made.lines():
        click.echo(shown(line), err=True)
    if summary is not None:
        with output(Path(summary)) as stream:
            stream.write((json.dumps(_figures(made, code), indent=2) + "\n").encode())
    if made.total.calls == 0 and code == 0:
        raise MissingError(f"{out}: no call was counted; {made.why_nothing()}")
    return code


def _figures(made: Report, code: int) -> dict[str, Any]:
    return {**made.to_json(), "exit_code": code}
