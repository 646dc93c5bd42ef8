"""validate(paths): what is wrong or odd in runs, specs and the files of a collection."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from e2r.borders.reading import shortened
from e2r.data.collection import Judgments
from e2r.data.files.lines import lines
from e2r.data.findings import Finding, Hear, Report, Teller, TooManyError, finding_of
from e2r.data.sources import Sources, load_judgments
from e2r.data.validate import check, kind_of
from e2r.engines.cascade import prompts_of, stages_of
from e2r.errors import DataError, E2RError
from e2r.metrics.runs.gate import check_run
from e2r.metrics.runs.judging import own_judgments
from e2r.metrics.runs.priced_gate import check_priced
from e2r.metrics.runs.recorded import find_runs
from e2r.records.collection import load_collection
from e2r.records.folder import RunFolder
from e2r.records.spec import Spec
from e2r.site.build import attempt

FETCHED = ("ir_datasets:", "hf:", "bm25")
MOST = 100
"""Errors, and warnings, that are kept of one path; the rest are counted."""


@dataclass(frozen=True, eq=False)
class Validated:
    """One path, what it is, and what was found in it."""

    path: Path
    kind: str
    report: Report

    def __repr__(self) -> str:
        errors, warnings = self.report.count
        return f"<{self.path}: {self.kind}, {errors} errors, {warnings} warnings>"

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


def validate(
    paths: str | Path | Iterable[str | Path],
    *,
    qrels: Sequence[str] = (),
    rankings: Sequence[str] = (),
    follow: bool = False,
    most: int = MOST,
) -> list[Validated]:
    """What each path is, and what is wrong or odd in it; a folder of runs gives one entry a run.

    A path is a run folder, a folder that holds some, a spec, candidates, judgments, queries, a
    corpus or a BEIR folder; its content tells which. `qrels` are judgments, FILE or NAME=FILE;
    `rankings` folders of published ones. No model is loaded and nothing is fetched; without
    `follow` no file is opened that a run names. `most` errors, and as many warnings, are kept of
    each path, and the rest counted. Raises DataError for judgments that cannot be read.
    """
    every, _ = own_judgments(qrels)
    judgments = None if every is None else load_judgments(Sources(qrels=every))
    asked = Asked(tuple(qrels), judgments, most, follow, tuple(rankings))
    named = [paths] if isinstance(paths, str | Path) else paths
    return [validated for path in named for validated in _validate(Path(path), asked)]


def _validate(path: Path, asked: Asked) -> Iterator[Validated]:
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
    check_priced(path, hear, asked.qrels, asked.rankings)


def _check_spec(path: Path, hear: Hear, asked: Asked) -> None:
    """A spec, the methods and prompts it names, and its data where they are files at hand."""
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
