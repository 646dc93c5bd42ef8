"""Board → files: pages by Jinja2, charts, scripts, and the same figures as data."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jinja2

from e2r.borders.reading import SPEC_BYTES, content
from e2r.errors import UsageError
from e2r.flops.conventions import CONVENTIONS
from e2r.metrics.cost import PETA
from e2r.metrics.reports.pictures import THEMES, quality_against_cost
from e2r.metrics.reports.tables import UNDEFINED, short
from e2r.metrics.statistics.intervals import Interval
from e2r.records.command import command
from e2r.records.priced import CALLS, PRICED, SAYS
from e2r.records.spec import Spec
from e2r.site import whatif
from e2r.site.board import NOTHING, Board, Costs, Entry
from e2r.site.data import page_data, pair_data, rounded, script
from e2r.site.downloads import as_csv, as_json
from e2r.site.published import Publication

HERE = Path(__file__).parent
FILES = (
    "spec.toml",
    "manifest.json",
    "ledger.parquet",
    "per_query.jsonl",
    "run.trec.gz",
    "result.json",
    "ir-metadata.yml",
)
ASSETS = ("style.css", "icon.svg")
BOARD_DATA, PAIR_DATA, LIBRARY = "board-data.js", "pairs-data.js", "vega.js"
SCRIPTS = (
    "format.js",
    "board.js",
    "columns.js",
    "budget.js",
    "chart.js",
    "compare.js",
    "download.js",
)
_LONGEST_SPEC = 20_000


@dataclass(frozen=True)
class Links:
    """Where the run folders lie, as seen from the first page."""

    files: str

    @classmethod
    def parse(cls, text: str) -> Links:
        """Raises UsageError for anything but a relative path or an http(s) address."""
        if re.match(r"https?://", text) or not re.match(r"[A-Za-z][A-Za-z0-9+.-]*:|/|\\", text):
            return cls(text.rstrip("/"))
        raise UsageError(f"{text!r}: give --files as a relative path or an http(s) address")

    def file(self, entry: Entry, name: str) -> str:
        """The address of a run's file, as seen from the run's page."""
        up = "" if re.match(r"https?://", self.files) else "../"
        return f"{up}{self.files}/{quote(str(entry.place))}/{name}"


def render(
    board: Board,
    links: Links,
    publication: Publication | None = None,
    project: str | None = None,
) -> dict[str, bytes]:
    """Every file of the site by its path in it; `project` is where its first page links to."""
    environment = _environment()
    shared = {
        "board": board,
        "publication": publication,
        "project": project,
        "newest": newest(board),
        "undefined": NOTHING,
        "nothing": Costs(NOTHING, NOTHING, dict.fromkeys(board.measures, NOTHING)),
    }
    pictures = _pictures(board)

    def page(template: str, root: str, scripts: Sequence[str] = (), **values: Any) -> bytes:
        values |= {"root": root, "scripts": scripts}
        return environment.get_template(template).render(**shared, **values).encode()

    conventions = [(name, convention.summary) for name, convention in CONVENTIONS.items()]
    scripts = ["format.js", BOARD_DATA, *SCRIPTS[1:]]
    pages = {
        "index.html": page("index.html", "", scripts, here="board", pictures=pictures),
        "about.html": page("about.html", "", here="about", conventions=conventions),
        "what-if.html": page(
            "whatif.html",
            "",
            (BOARD_DATA, "format.js", *whatif.SCRIPTS),
            here="what-if",
            **whatif.shown(),
        ),
        **whatif.files(board),
        BOARD_DATA: script("e2rBoard", page_data(board)),
        PAIR_DATA: script("e2rPairs", pair_data(board)),
        LIBRARY: library().encode(),
        **{name: (HERE / "assets" / name).read_bytes() for name in (*ASSETS, *SCRIPTS)},
        "board.json": as_json(board),
        "board.csv": as_csv(board),
        **pictures,
    }
    if publication is not None:
        pages["published.html"] = page("published.html", "", here="published")
    for entry in board.runs:
        if entry.row is not None and entry.row.priced is not None:
            template, values = "priced.html", _priced_values(entry, links)
        else:
            template, values = "run.html", _run_values(entry, links)
        pages[entry.page] = page(template, "../", here="run", **values)
    return pages


@dataclass(frozen=True)
class Newest:
    """The day on which the newest run ended, and the first digits of the commit that made it."""

    date: str
    commit: str | None


def newest(board: Board) -> Newest | None:
    """When and by what the newest run of the board was made; None where no run tells.

    The board's own age: it is the same however often it is built from the same runs.
    """
    manifests = [entry.row.manifest for entry in board.runs if entry.row is not None]
    found = [manifest for manifest in manifests if manifest.finished]
    if not found:
        return None
    last = max(found, key=lambda manifest: (manifest.finished or "", manifest.run))
    return Newest((last.finished or "")[:10], last.commit and last.commit[:9])


@cache
def library() -> str:
    """Vega-Lite, Vega and Vega-Embed as one script that puts `vegaEmbed` into `window`."""
    import vl_convert

    notice = (HERE / "assets" / "vega-notice.txt").read_text(encoding="utf-8")
    bundle = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    return f"/*!\n{notice}*/\n{bundle}"


def _pictures(board: Board) -> dict[str, bytes]:
    """Charts for readers without scripts."""
    pictures: dict[str, bytes] = {}
    for group in board.groups:
        rows = [entry.row for entry in group.entries if entry.row is not None]
        light = quality_against_cost(rows, board.measure, board.convention) if rows else None
        if light is not None:
            pictures[f"charts/{group.id}-light.svg"] = light
            pictures[f"charts/{group.id}-dark.svg"] = _dark(light)
    return pictures


def _dark(picture: bytes) -> bytes:
    """The same picture in the dark theme: placing its labels again would take as long again."""
    light, dark = (theme for theme in THEMES)
    colours = {
        getattr(light, part).encode(): getattr(dark, part).encode()
        for part in ("ink", "faint", "paper")
    }
    pattern = re.compile(b"|".join(colours))
    return pattern.sub(lambda found: colours[found.group()], picture)


def _priced_values(entry: Entry, links: Links) -> dict[str, Any]:
    held = [(name, links.file(entry, name)) for name in (PRICED, CALLS)]
    return {"entry": entry, "row": entry.row, "files": held, "says": SAYS}


def _run_values(entry: Entry, links: Links) -> dict[str, Any]:
    row = entry.row
    if row is None:
        return {}
    raw = content(row.path / "spec.toml", SPEC_BYTES, follow=False)
    asked = raw.decode("utf-8", errors="replace")
    if len(asked) > _LONGEST_SPEC:
        asked = f"{asked[:_LONGEST_SPEC]}…\n(cut; the file holds the rest)"
    queries = [
        {
            "record": record,
            "values": [of[record.qid] for of in row.scores.values.values()],
            "flops": None if row.cost.per_query is None else row.cost.per_query[record.qid],
        }
        for record in row.records
    ]
    held = [(name, links.file(entry, name)) for name in FILES if (row.path / name).is_file()]
    return {
        "entry": entry,
        "row": row,
        "files": held,
        "asked": asked,
        "queries": queries,
        "command": command(Spec.load(row.path / "spec.toml")),
    }


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE / "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters |= {
        "short": _short,
        "fixed": _fixed,
        "span": _span,
        "fixed_span": _fixed_span,
        "size": _size,
        "peta": lambda flops: _short(flops / PETA),
        "percent": _percent,
        "command": shlex.join,
        "address": lambda address: quote(address, safe="/#"),
    }
    return environment


def _short(value: float | None, digits: int = 4) -> str:
    """Cut to the digits that the page's script gets, so that both write the same."""
    return short(rounded(value), digits)


def _fixed(value: float | None) -> str:
    return UNDEFINED if value is None else f"{rounded(value):.4f}"


def _span(found: Interval) -> str:
    """An interval as text, empty where there is none."""
    if found.low is None or found.high is None:
        return ""
    return f"{_short(found.low, 3)}{_between(found.low)}{_short(found.high, 3)}"


def _fixed_span(found: Interval) -> str:
    """The interval of a measure, whose scale is known."""
    if found.low is None or found.high is None:
        return ""
    return f"{rounded(found.low):.3f}{_between(found.low)}{rounded(found.high):.3f}"


def _between(low: float) -> str:
    """A dash, but not before or after a minus."""
    return " to " if low < 0 else "–"


def _size(parameters: int | None) -> str:
    """A number of weights in billions or millions."""
    if parameters is None:
        return UNDEFINED
    billions = parameters >= 10**9
    return f"{_short(parameters / (10**9 if billions else 10**6), 3)} {'B' if billions else 'M'}"


def _percent(share: float | None) -> str:
    return UNDEFINED if share is None else f"{100 * share:.1f} %"
