"""`e2r validate`: what is wrong or odd in runs, specs and the files of a collection."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from e2r.borders.reading import shortened
from e2r.borders.showing import shown
from e2r.cli import print_json
from e2r.errors import DataError, E2RError

if TYPE_CHECKING:
    from e2r.data.collection import Judgments
    from e2r.data.findings import Finding, Hear, Report


FETCHED = ("ir_datasets:", "hf:", "bm25")


@dataclass(frozen=True, eq=False)
class Validated:
    """One path, what it is, and what was found in it."""

    path: Path
    kind: str
    report: Report

    def to_json(self) -> dict[str, Any]:
        """{path, kind, ok, errors, warnings, more_errors, more_warnings}."""
        report = self.report
        return {
            "path": str(self.path),
            "kind": self.kind,
            "ok": not report.errors,
            "errors": [_finding(finding) for finding in report.errors],
            "warnings": [_finding(finding) for finding in report.warnings],
            "more_errors": report.more_errors,
            "more_warnings": report.more_warnings,
        }


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
    from e2r.data.sources import Sources, load_judgments
    from e2r.metrics.runs.judging import own_judgments

    every, _ = own_judgments(qrels)
    judgments = None if every is None else load_judgments(Sources(qrels=every))
    asked = Asked(qrels, judgments, most, follow, rankings)
    found = [validated for path in paths for validated in _validate(Path(path), asked)]
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


@dataclass(frozen=True)
class Asked:
    """What is asked of every path: judgments, how many findings, whether specs are followed.

    `rankings` are folders of published ones.
    """

    qrels: tuple[str, ...]
    judgments: Judgments | None
    most: int
    follow: bool
    rankings: tuple[str, ...] = ()


def _validate(path: Path, asked: Asked) -> Iterator[Validated]:
    from e2r.data.findings import Report, Teller, TooManyError
    from e2r.data.validate import check, kind_of
    from e2r.metrics.runs.recorded import find_runs

    if path.name == "manifest.json":
        path = path.parent
    report = Report(asked.most)
    # Whatever lies under that name: a folder that calls itself a run is checked as one.
    kind = "run folder" if os.path.lexists(path / "manifest.json") else None
    if not path.exists():
        Teller(path, report.hear).error("no such file or folder; check the path")
        yield Validated(path, "nothing", report)
        return
    if kind is None and os.path.lexists(path / "priced.json"):
        kind = "priced row"
    if kind is None and path.suffix == ".toml":
        kind = "spec"
    if kind is None:
        kind = kind_of(path)
    if kind is None and path.is_dir():
        try:
            places = find_runs([path])
        except DataError:
            Teller(path, report.hear).error("neither a run folder, nor holds one, nor is it BEIR's")
            yield Validated(path, "nothing known", report)
            return
        _check_around(path, {place.path for place in places}, report.hear)
        if report.errors or report.warnings:
            yield Validated(path, "folder of runs", report)
        for place in places:
            yield from _validate(place.path, asked)
        return
    # Beyond so many findings the rest of a path is not read; how many there were is shown.
    with suppress(TooManyError):
        if kind == "priced row":
            _check_priced(path, report.hear, asked)
        elif kind == "run folder":
            _check_run(path, report, asked)
        elif kind == "spec":
            _check_spec(path, report.hear, asked)
        elif kind is None:
            _say_why_unknown(path, report)
        else:
            check(kind, path, report.hear, asked.judgments)
    yield Validated(path, kind or "nothing known", report)


def _check_run(path: Path, report: Report, asked: Asked) -> None:
    """A run folder against itself; and whether a board can show it, if all else is well."""
    from e2r.data.findings import Teller
    from e2r.metrics.runs.gate import check_run
    from e2r.metrics.runs.judging import own_judgments
    from e2r.records.folder import RunFolder
    from e2r.site.build import attempt

    check_run(path, report.hear, asked.qrels, follow=asked.follow)
    if report.errors:
        return
    folder = RunFolder(path)
    every, own = own_judgments(asked.qrels)
    if not folder.result_path.exists() and not (every or folder.manifest().dataset.id in own):
        return  # nothing says yet how good it is; the gate has warned of that
    try:
        attempt(path, asked.qrels)
    except Exception as error:
        # Whatever it is that a folder makes a board trip over, the folder is refused for it.
        text = str(error).removeprefix(f"{path}: ")
        Teller(path, report.hear).error(f"the board cannot show it: {shortened(text)}")


def _check_around(path: Path, runs: set[Path], hear: Hear) -> None:
    """What lies beside the run folders of a folder, where nobody would look at it."""
    from e2r.data.findings import Teller

    for place, folders, files in os.walk(path):
        here = Path(place)
        if here in runs:
            folders.clear()
            continue
        for name in sorted([*folders, *files]):
            tell = Teller(here / name, hear)
            if (here / name).is_symlink():
                tell.error("a link; runs lie in folders of their own")
            elif name == "manifest.json":
                tell.error("no run folder that a board finds; runs lie at DATASET/MODEL/METHOD")
            elif name in files:
                tell.warning("belongs to no run folder")


def _check_priced(path: Path, hear: Hear, asked: Asked) -> None:
    from e2r.metrics.runs.priced_gate import check_priced

    check_priced(path, hear, asked.qrels, asked.rankings)


def _check_spec(path: Path, hear: Hear, asked: Asked) -> None:
    """A spec, the methods and prompts it names, and its data where they are files at hand."""
    from e2r.data.findings import Teller, finding_of
    from e2r.engines.cascade import prompts_of, stages_of
    from e2r.records.collection import load_collection
    from e2r.records.spec import Spec

    try:
        spec = Spec.load(path)
        stages_of(spec)
        prompts_of(spec)
        data = spec.data
        named = (data.dataset, data.candidates, data.queries, data.corpus, data.qrels)
        fetched = [word for word in named if word and word.startswith(FETCHED)]
        if fetched:
            Teller(path, hear).warning(
                f"its data were not checked: {shortened(', '.join(fetched))} would be fetched or "
                "searched"
            )
            return
        for note in load_collection(spec.at(None) if asked.follow else spec).notes:
            Teller(path, hear).warning(note)
    except E2RError as error:
        hear(finding_of(error, path))


def _say_why_unknown(path: Path, report: Report) -> None:
    from e2r.data.files.lines import lines
    from e2r.data.findings import Teller

    first = next(lines(path, report.hear), None)
    if not report.errors:
        what = (
            "empty" if first is None else f"not recognised by its first line, {first.text[:60]!r}"
        )
        Teller(path, report.hear).error(
            f"{what}; wanted: a TREC run, judgments, topics, a spec, or JSON lines of requests, "
            "queries or documents"
        )


def _finding(finding: Finding) -> dict[str, Any]:
    return {name: value for name, value in asdict(finding).items() if name != "level"}


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
