"""Board → files: pages by Jinja2, charts, and the same figures as JSON and CSV."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jinja2

from e2r.errors import UsageError
from e2r.flops.conventions import CONVENTIONS
from e2r.metrics.cost import PETA
from e2r.metrics.intervals import Interval
from e2r.metrics.pictures import THEMES, quality_against_cost
from e2r.metrics.tables import UNDEFINED, comma_separated, flat, short
from e2r.site.board import Board, Entry

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
SCRIPTS = ("board.js",)
_DIGITS = 6


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


def render(board: Board, links: Links) -> dict[str, bytes]:
    """Every file of the site by its path in it."""
    environment = _environment()
    shared = {"board": board}
    pictures: dict[str, bytes] = {}
    for group in board.groups:
        rows = [entry.row for entry in group.entries]
        for theme in THEMES:
            picture = quality_against_cost(rows, board.measure, board.convention, theme)
            if picture is not None:
                pictures[f"charts/{group.id}-{theme.name}.svg"] = picture

    def page(template: str, root: str, scripts: Sequence[str] = (), **values: Any) -> bytes:
        values |= {"root": root, "scripts": scripts}
        made = environment.get_template(template).render(**shared, **values)
        return made.encode()

    conventions = [(name, convention.summary) for name, convention in CONVENTIONS.items()]
    pages = {
        "index.html": page("index.html", "", SCRIPTS, here="board", pictures=pictures),
        "about.html": page("about.html", "", here="about", conventions=conventions),
        "style.css": _read("style.css").encode(),
        **{name: _read(name).encode() for name in SCRIPTS},
        "icon.svg": _read("icon.svg").encode(),
        "board.json": _json(board),
        "board.csv": _csv(board),
        **pictures,
    }
    for entry in board.entries:
        held = [
            (name, links.file(entry, name)) for name in FILES if (entry.row.path / name).is_file()
        ]
        asked = (entry.row.path / "spec.toml").read_text(encoding="utf-8", errors="replace")
        values: dict[str, Any] = {
            "entry": entry,
            "files": held,
            "asked": asked,
            "queries": _queries(entry),
        }
        pages[entry.page] = page("run.html", "../", here="run", **values)
    return pages


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE / "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters |= {
        "short": short,
        "fixed": _fixed,
        "span": _span,
        "fixed_span": _fixed_span,
        "raw": _raw,
        "peta": lambda flops: short(flops / PETA),
        "percent": _percent,
        "command": shlex.join,
        "address": quote,
    }
    return environment


def _read(name: str) -> str:
    return (HERE / "templates" / name).read_text(encoding="utf-8")


def _fixed(value: float | None) -> str:
    return UNDEFINED if value is None else f"{value:.4f}"


def _span(found: Interval) -> str:
    """An interval as text, empty where there is none."""
    if found.low is None or found.high is None:
        return ""
    return f"{short(found.low, 3)}–{short(found.high, 3)}"


def _fixed_span(found: Interval) -> str:
    """The interval of a measure, whose scale is known."""
    if found.low is None or found.high is None:
        return ""
    return f"{found.low:.3f}–{found.high:.3f}"


def _raw(value: float | None) -> str:
    """A value for the script to sort by; nothing where it is undefined."""
    return "" if value is None else f"{value:.{_DIGITS}g}"


def _percent(share: float | None) -> str:
    return UNDEFINED if share is None else f"{100 * share:.1f} %"


def _queries(entry: Entry) -> list[dict[str, Any]]:
    row = entry.row
    return [
        {
            "record": record,
            "values": [values[record.qid] for values in row.scores.values.values()],
            "flops": None if row.cost.per_query is None else row.cost.per_query[record.qid],
        }
        for record in row.records
    ]


def _facts(entry: Entry, plain: dict[str, Any]) -> dict[str, Any]:
    return {
        **plain,
        "run": str(entry.place),
        "rank": entry.rank,
        "on_frontier": entry.on_frontier,
        "reference": entry.is_reference,
        "page": entry.page,
    }


def _json(board: Board) -> bytes:
    """The board as JSON; figures keep six digits, which is what all processors agree on."""
    content = {
        "measure": board.measure,
        "convention": board.convention,
        "groups": [
            {
                "id": group.id,
                "dataset": group.dataset,
                "first_stage": group.first_stage,
                "depth": group.depth,
                "queries": group.queries,
                "hypervolume": _rounded(group.hypervolume(board.measure)),
                "runs": [_rounded(_facts(entry, entry.row.to_json())) for entry in group.entries],
            }
            for group in board.groups
        ],
        "incomplete": [_rounded(_facts(entry, entry.row.to_json())) for entry in board.incomplete],
    }
    return (json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


def _csv(board: Board) -> bytes:
    lines = [_rounded(_facts(entry, flat(entry.row))) for entry in board.entries]
    return comma_separated(lines).encode()


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.{_DIGITS}g}")
    if isinstance(value, Mapping):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_rounded(item) for item in value]
    return value
