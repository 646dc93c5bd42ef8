"""build(runs, out): evaluate all runs and write the site, replacing what an earlier build wrote."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Any

from e2r.borders.reading import MANIFEST_BYTES, json_file, shortened
from e2r.borders.writing import remove_file, write_below
from e2r.errors import DataError, E2RError, UsageError
from e2r.flops.conventions import CONVENTIONS
from e2r.metrics.effectiveness import parse_measures
from e2r.metrics.evaluation import DEFAULT_MEASURES, evaluate
from e2r.metrics.runs.judging import own_judgments
from e2r.metrics.runs.priced import rankings_in
from e2r.metrics.runs.recorded import find_runs
from e2r.metrics.runs.result import Result
from e2r.money.prices import Tariff
from e2r.site.collect import make_board
from e2r.site.data import page_data
from e2r.site.downloads import as_csv, as_json
from e2r.site.pages import Links, render
from e2r.site.published import published

OWNED = "site.json"
MADE = re.compile(r"(runs/|charts/)?[\w.-]+\.(html|js|css|svg|json|csv)", re.ASCII)
"""Paths that a build writes, in any version."""
MOST_OFFERED = 8
"""Measures to choose from beside those named; a run's result.json must not make it a thousand."""
LONGEST_MEASURE = 40


def build(
    runs: str | Path = "runs",
    out: str | Path = "leaderboard",
    *,
    measures: str = DEFAULT_MEASURES,
    convention: str = "ideal",
    qrels: str | Sequence[str] | None = None,
    rankings: Sequence[str] = (),
    files: str = "../runs",
    paper: bool = True,
    project: str | None = None,
    note: Callable[[str], None] | None = None,
    tariff: Tariff | None = None,
) -> Path:
    """Build the site from all run folders under `runs` and return the path of its first page.

    Runs are ranked by the first of `measures`; readers may choose the others, and those that the
    runs' own result.json hold. `convention` is the one shown at first, and `paper` says whether the
    paper's rows stand beside the runs. `qrels` are the board's own judgments, FILE for all runs or
    NAME=FILE for those of a dataset; no path of a run's spec is followed, and what these do not
    judge is unverified. `rankings` are folders of rankings that others published: the quality of
    priced rows is computed from them again, and is unverified without them. A run that cannot be
    shown is left out, and `note` is told why. `files` is where the run folders lie as seen from the
    pages: a relative path or an http(s) address, as `project` is that of the project. The
    same runs give the same bytes. With a `tariff` the picture can show money. Files in `out` that
    no build wrote are left alone. Raises DataError where no run can be shown, and UsageError where
    `out` holds files but no earlier site.
    """
    runs, out = Path(runs), Path(out)
    links = Links.parse(files)
    home = None if project is None else Links.parse(project).files
    before = _owned(out)
    others = [name for name in CONVENTIONS if name != convention]
    offered = _offered(runs, parse_measures(measures))
    every, own = own_judgments([qrels] if isinstance(qrels, str) else qrels or ())
    evaluation = evaluate(
        runs,
        measures,
        convention,
        qrels=every,
        own=own,
        lenient=True,
        offered=offered,
        rankings=rankings_in(rankings),
        also=others,
        note=note,
        tariff=tariff,
    )
    had = {name for row in evaluation.rows for name in row.scores.values}
    shown = [*evaluation.measures, *(name for name in offered if name in had)]
    publication = published() if paper else None
    board = make_board(evaluation, runs, shown, [convention, *others], publication)
    _write(out, render(board, links, publication, home), before)
    return out / "index.html"


def attempt(run: Path, qrels: Sequence[str] = ()) -> None:
    """Do with one run folder all that a build does, and write nothing.

    Raises E2RError for what would keep the run from the board.
    """
    every, own = own_judgments(qrels)
    ideal, *others = CONVENTIONS
    evaluation = evaluate(
        [run], DEFAULT_MEASURES, ideal, qrels=every, own=own, also=others, note=lambda text: None
    )
    board = make_board(evaluation, run.parent, evaluation.measures, [ideal, *others])
    as_json(board)
    as_csv(board)
    page_data(board)


def _offered(runs: Path, named: Mapping[str, Any]) -> dict[str, Any]:
    """Measures in the runs' result.json beyond those named, the most common first."""
    held: Counter[str] = Counter()
    for place in find_runs([runs]):
        with suppress(DataError):
            held.update(Result.load(place.path / "result.json").measures.keys())
    found: dict[str, Any] = {}
    for name, _ in sorted(held.items(), key=lambda item: (-item[1], item[0])):
        if len(name) <= LONGEST_MEASURE and len(found) < MOST_OFFERED:
            with suppress(E2RError):
                found |= parse_measures([name])
    return {name: measure for name, measure in found.items() if name not in named}


def _owned(out: Path) -> list[PurePosixPath]:
    """What the last build wrote, none for a new folder."""
    marker = out / OWNED
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out}: is a file; name a folder by --out")
    if not marker.is_file():
        if out.is_dir() and any(out.iterdir()):
            raise UsageError(
                f"{out}: holds files, but no site of ours (no {OWNED}); "
                "name an empty or new folder by --out"
            )
        return []
    try:
        content = json_file(marker, MANIFEST_BYTES, follow=False)
        names = [str(name) for name in content["files"]]
    except (OSError, ValueError, KeyError, TypeError, DataError) as error:
        raise DataError(
            f"{marker}: not the list of a site's files ({shortened(error)}); remove it"
        ) from None
    for name in names:
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            raise DataError(f"{marker}: {name!r} lies outside of the site; remove that line")
    # A list that someone else wrote may name more; a build has made nothing but these.
    return [PurePosixPath(name) for name in names if MADE.fullmatch(name)]


def _write(out: Path, pages: Mapping[str, bytes], before: list[PurePosixPath]) -> None:
    names = sorted([*pages, OWNED])
    marker = json.dumps({"made_by": "e2r leaderboard", "files": names}, indent=1) + "\n"
    try:
        for old in before:
            if str(old) not in pages:
                remove_file(out / old, out)
        for name, content in {**pages, OWNED: marker.encode()}.items():
            write_below(out, name, content)
    except OSError as error:
        raise UsageError(f"{out}: cannot be written ({error}); name another folder") from None
