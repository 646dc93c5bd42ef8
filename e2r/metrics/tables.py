"""The same figures as text: Markdown, LaTeX, CSV, and flat lines for a data frame."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from e2r.metrics.intervals import Interval

if TYPE_CHECKING:
    from e2r.metrics.evaluation import Evaluation, Row

UNDEFINED = "–"
_TEX = {
    **{character: f"\\{character}" for character in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "\\": r"\textbackslash{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "–": "--",
    "\n": " ",
}
_NO_FIGURE: dict[str, float | None] = {"value": None, "low": None, "high": None}


def header(evaluation: Evaluation) -> list[str]:
    """Column names of the headline table."""
    return [
        "dataset",
        "model",
        "method",
        "depth",
        "queries",
        *evaluation.measures,
        "PFLOPs/query",
        *(f"RPP {name}" for name in evaluation.measures),
        "QPP",
        "calls",
        "rounds",
        "parse failures",
    ]


def cells(row: Row) -> list[str]:
    """A run's headline figures as text, in the order of `header`."""
    return [
        row.manifest.dataset.id,
        row.manifest.model.name,
        row.manifest.method,
        short(row.manifest.dataset.depth or None),
        f"{len(row.qids)}" if row.complete else f"{len(row.qids)} (incomplete)",
        *(fixed(found) for found in row.measures.values()),
        short(row.petaflops.value),
        *(short(found.ratio.value) for found in row.rpp.values()),
        short(row.qpp.value),
        short(row.work.calls_per_query),
        short(row.work.rounds_per_query),
        short(row.work.parse_failures),
    ]


def fixed(found: Interval) -> str:
    """A measure with its interval, four decimals: 0.5058 [0.4321, 0.5770]."""
    if found.value is None:
        return UNDEFINED
    if found.low is None or found.high is None:
        return f"{found.value:.4f}"
    return f"{found.value:.4f} [{found.low:.4f}, {found.high:.4f}]"


def short(value: float | None, digits: int = 4) -> str:
    """So many significant digits, whole numbers as they are, an exponent only for the extremes."""
    if value is None:
        return UNDEFINED
    if value == round(value) and abs(value) < 1e7:
        return f"{value:,.0f}"
    if 1e-4 <= abs(value) < 1e7:
        return f"{value:,.{max(0, digits - 1 - _magnitude(value, digits))}f}"
    return f"{value:.{digits - 1}e}"


def markdown(evaluation: Evaluation) -> str:
    """The headline table in Markdown; pipes in names are escaped."""
    head = header(evaluation)
    lines = [head, ["---"] * len(head), *(cells(row) for row in evaluation.rows)]
    return "".join(
        "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in line) + " |\n"
        for line in lines
    )


def latex(evaluation: Evaluation) -> str:
    """The headline table in LaTeX, for the packages booktabs and fontenc (T1)."""
    words = 3
    head = header(evaluation)
    lines = [" & ".join(_tex(cell) for cell in cells(row)) + r" \\" for row in evaluation.rows]
    return "\n".join(
        [
            r"\begin{tabular}{" + "l" * words + "r" * (len(head) - words) + "}",
            r"\toprule",
            " & ".join(_tex(cell) for cell in head) + r" \\",
            r"\midrule",
            *lines,
            r"\bottomrule",
            r"\end{tabular}",
            "",
        ]
    )


def comma_separated(lines: Sequence[Mapping[str, Any]]) -> str:
    """Flat lines as CSV; undefined figures are empty, and no cell is a spreadsheet's formula."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(lines[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: _cell(value) for key, value in line.items()} for line in lines)
    return stream.getvalue()


def _tex(text: str) -> str:
    return "".join(_TEX.get(character, character) for character in text)


def _cell(value: Any) -> Any:
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r"):
        return f"'{value}"
    return value


def flat(row: Row) -> dict[str, Any]:
    """Everything `Row.to_json` says, in one level: `nDCG@10`, `nDCG@10 low`, `RPP nDCG@10` …"""
    plain: dict[str, Any] = {}
    for key, value in row.to_json().items():
        if key in ("measures", "rpp"):
            for name, figure in value.items():
                _spread(plain, f"RPP {name}" if key == "rpp" else name, figure)
        elif key == "frontier":
            for cost, found in value.items():
                plain[f"frontier {cost}"] = found and found["on"]
                plain[f"frontier {cost} probability"] = found and found["probability"]
        elif key == "gain_per_petaflop":
            for name in row.measures:
                _spread(plain, f"gain/PFLOP {name}", value.get(name, _NO_FIGURE))
        elif key in ("qpp", "petaflops"):
            _spread(plain, {"qpp": "QPP", "petaflops": "PFLOPs/query"}[key], value)
        elif isinstance(value, list):
            plain[key] = "; ".join(value)
        elif key != "petaflops_per_query":
            plain[key] = value
    return plain


def _spread(plain: dict[str, Any], name: str, figure: dict[str, float | None]) -> None:
    for part, value in figure.items():
        plain[name if part == "value" else f"{name} {part.replace('_', ' ')}"] = value


def _magnitude(value: float, digits: int) -> int:
    """The power of ten of a value once it is rounded."""
    return int(f"{value:.{digits - 1}e}".partition("e")[2])
