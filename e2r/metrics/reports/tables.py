"""Figures as text: sheets for readers (Markdown, LaTeX), flat lines for programs (CSV, pandas)."""

from __future__ import annotations

import csv
import io
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

from e2r.metrics.statistics.intervals import Interval

if TYPE_CHECKING:
    import pandas as pd

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


@dataclass(frozen=True)
class Sheet:
    """A table as a reader sees it; the first `words` columns hold words, the others numbers.

    `drop` names the columns that a narrow terminal goes without, the first to go first; after them
    the rightmost goes.
    """

    header: Sequence[str]
    lines: Sequence[Sequence[str]]
    words: int
    drop: Sequence[str] = ()

    def markdown(self) -> str:
        """The sheet in Markdown; pipes in names are escaped."""
        lines = [self.header, ["---"] * len(self.header), *self.lines]
        return "".join(
            "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in line) + " |\n"
            for line in lines
        )

    def html(self) -> str:
        """The sheet as an HTML table; whatever a name holds is text."""
        places = range(len(self.header))
        sides = ["left" if place < self.words else "right" for place in places]

        def line(tag: str, cells: Sequence[str]) -> str:
            made = (
                f'<{tag} style="text-align: {side}">{escape(cell)}</{tag}>'
                for side, cell in zip(sides, cells, strict=True)
            )
            return f"<tr>{''.join(made)}</tr>"

        body = "".join(line("td", cells) for cells in self.lines)
        head = line("th", self.header)
        return f"<table><thead>{head}</thead><tbody>{body}</tbody></table>"

    def latex(self) -> str:
        """The sheet in LaTeX, for the packages booktabs and fontenc (T1)."""
        numbers = len(self.header) - self.words
        return "\n".join(
            [
                r"\begin{tabular}{" + "l" * self.words + "r" * numbers + "}",
                r"\toprule",
                _tex_line(self.header),
                r"\midrule",
                *(_tex_line(line) for line in self.lines),
                r"\bottomrule",
                r"\end{tabular}",
                "",
            ]
        )


class Report(ABC):
    """Figures that can be read as sheets and as flat lines: the same numbers in every form."""

    def _repr_html_(self) -> str:
        """The sheets as a notebook shows them."""
        return "".join(sheet.html() for sheet in self.sheets())

    @abstractmethod
    def sheets(self, columns: str | None = None) -> tuple[Sheet, ...]:
        """The tables for a reader; `columns` chooses among several where there are several."""

    @abstractmethod
    def flat(self) -> list[dict[str, Any]]:
        """Every figure, one dict of plain values a line; undefined figures are None."""

    @abstractmethod
    def to_json(self) -> list[dict[str, Any]]:
        """Every figure, nested, ready for json.dumps: no NaN, no infinity."""

    def to_markdown(self, columns: str | None = None) -> str:
        """The sheets in Markdown."""
        return "\n".join(sheet.markdown() for sheet in self.sheets(columns))

    def to_latex(self, columns: str | None = None) -> str:
        """The sheets in LaTeX (booktabs)."""
        return "\n".join(sheet.latex() for sheet in self.sheets(columns))

    def to_csv(self) -> str:
        """Every figure as CSV, with the columns of `to_pandas`."""
        return comma_separated(self.flat())

    def to_pandas(self) -> pd.DataFrame:
        """Every figure; nested keys are joined by a space, as in `nDCG@10 low`."""
        import pandas as pd

        return pd.DataFrame(self.flat())


def fixed(found: Interval) -> str:
    """A measure with its interval, four decimals: 0.5058 [0.4321, 0.5770]."""
    if found.value is None:
        return UNDEFINED
    if found.low is None or found.high is None:
        return f"{found.value:.4f}"
    return f"{found.value:.4f} [{found.low:.4f}, {found.high:.4f}]"


def ranged(found: Interval) -> str:
    """A figure of any size with its interval: 1,007 [875.6, 1,140]; 20 where that has no width."""
    if found.low is None or found.high is None or found.low == found.high:
        return short(found.value)
    return f"{short(found.value)} [{short(found.low)}, {short(found.high)}]"


def percent(found: Interval) -> str:
    """A share, 0 to 1, with its interval in per cent: 5.9 % [5.1, 6.6]."""
    if found.value is None:
        return UNDEFINED
    value = f"{100 * found.value:.1f} %"
    if found.low is None or found.high is None or found.low == found.high:
        return value
    return f"{value} [{100 * found.low:.1f}, {100 * found.high:.1f}]"


def short(value: float | None, digits: int = 4) -> str:
    """So many significant digits, whole numbers as they are, an exponent only for the extremes."""
    if value is None:
        return UNDEFINED
    if value == round(value) and abs(value) < 1e7:
        return f"{value:,.0f}"
    if 1e-4 <= abs(value) < 1e7:
        return f"{value:,.{max(0, digits - 1 - _magnitude(value, digits))}f}"
    return f"{value:.{digits - 1}e}"


def spread(plain: dict[str, Any], name: str, figure: Mapping[str, float | None]) -> None:
    """Put a figure's parts into a flat line: `name`, `name low`, `name high` …"""
    for part, value in figure.items():
        plain[name if part == "value" else f"{name} {part.replace('_', ' ')}"] = value


def comma_separated(lines: Sequence[Mapping[str, Any]]) -> str:
    """Flat lines as CSV; undefined figures are empty, and no cell is a spreadsheet's formula."""
    names = {name: None for line in lines for name in line}
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(names), lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: _cell(value) for key, value in line.items()} for line in lines)
    return stream.getvalue()


def _tex_line(cells: Sequence[str]) -> str:
    return " & ".join("".join(_TEX.get(mark, mark) for mark in cell) for cell in cells) + r" \\"


def _cell(value: Any) -> Any:
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r"):
        return f"'{value}"
    return value


def _magnitude(value: float, digits: int) -> int:
    """The power of ten of a value once it is rounded."""
    return int(f"{value:.{digits - 1}e}".partition("e")[2])
