"""A sheet as lines of a given width: no number is cut, and what finds no room is named."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len, set_cell_size

from e2r.borders.showing import shown
from e2r.metrics.reports.tables import Sheet

GAP = "  "
BETWEEN_NAMES = " · "
SHORTENED = "…"
SHORTEST_NAME = 8
SHARED_BY_ALL = ("dataset", "cost", "model", "measure", "depth", "queries")
"""Columns that are said once, above the table, where every line says the same."""


@dataclass(frozen=True)
class Laid:
    """Lines that are no wider than asked for, and the columns that found no room."""

    lines: tuple[str, ...]
    dropped: tuple[str, ...]


def lay_out(sheet: Sheet, width: int) -> Laid:
    """Fit a sheet into so many cells of a terminal.

    A sheet that is too wide first says once what all its lines share; then each line's names get a
    line of their own, shortened in the middle if they must be; then columns are dropped, in the
    sheet's own order. The last column of numbers stays, however narrow the terminal.
    """
    head = [shown(name) for name in sheet.header]
    lines = [[shown(cell) for cell in line] for line in sheet.lines]
    whole = _side_by_side(head, lines, sheet.words)
    if _width(whole) <= width:
        return Laid(tuple(whole), ())
    said, kept = _shared(sheet, lines)
    above = _folded(said, width)
    head = [head[place] for place in kept]
    lines = [[line[place] for place in kept] for line in lines]
    words = sum(place < sheet.words for place in kept)
    whole = _side_by_side(head, lines, words)
    if _width(whole) <= width:
        return Laid((*above, *whole), ())
    dropped: list[str] = []
    while _width(numbers := _numbers(head, lines, words)) > width and len(head) - words > 1:
        gone = next(
            (name for name in sheet.drop if name in head[words:] and name not in dropped), head[-1]
        )
        place = head.index(gone, words)
        dropped.append(gone)
        head = [*head[:place], *head[place + 1 :]]
        lines = [[*line[:place], *line[place + 1 :]] for line in lines]
    names = [_names(line[:words], width) for line in lines]
    body = [text for pair in zip(names, numbers[1:], strict=True) for text in pair if text]
    return Laid((*above, numbers[0], "─" * min(width, _width(numbers)), *body), tuple(dropped))


def _shared(sheet: Sheet, lines: Sequence[Sequence[str]]) -> tuple[list[str], list[int]]:
    """What every line says, as `name value`, and the places of the other columns."""
    same = [
        place
        for place, name in enumerate(sheet.header)
        if len(lines) > 1 and name in SHARED_BY_ALL and len({line[place] for line in lines}) == 1
    ]
    said = [f"{shown(sheet.header[place])} {lines[0][place]}" for place in same]
    return said, [place for place in range(len(sheet.header)) if place not in same]


def _side_by_side(head: list[str], lines: list[list[str]], words: int) -> list[str]:
    wide = [max(map(cell_len, column)) for column in zip(head, *lines, strict=True)]
    texts = [
        GAP.join(_aligned(cell, wide[place], place < words) for place, cell in enumerate(line))
        for line in (head, *lines)
    ]
    return [texts[0], GAP.join("─" * cells for cells in wide), *texts[1:]]


def _numbers(head: list[str], lines: list[list[str]], words: int) -> list[str]:
    """The head and the numbers of each line, without the names."""
    head, lines = head[words:], [line[words:] for line in lines]
    wide = [max(map(cell_len, column)) for column in zip(head, *lines, strict=True)]
    return [
        GAP + GAP.join(_aligned(cell, cells, False) for cell, cells in zip(line, wide, strict=True))
        for line in (head, *lines)
    ]


def _names(names: Sequence[str], width: int) -> str:
    """A line's names in one line: the longest gives way first."""
    left = list(names)
    while cell_len(BETWEEN_NAMES.join(left)) > width and max(map(cell_len, left)) > SHORTEST_NAME:
        longest = max(range(len(left)), key=lambda place: cell_len(left[place]))
        left[longest] = shortened(left[longest], cell_len(left[longest]) - 1)
    return BETWEEN_NAMES.join(left)


def shortened(name: str, width: int) -> str:
    """A name in at most so many cells: its middle gives way, both ends stay."""
    if cell_len(name) <= width:
        return name
    bare = name.replace(SHORTENED, "", 1) if name.count(SHORTENED) == 1 else name
    end = (width - 1) // 2
    start = width - 1 - end
    tail = set_cell_size(bare[::-1], end)[::-1]
    return f"{set_cell_size(bare, start)}{SHORTENED}{tail}"


def _aligned(cell: str, cells: int, left: bool) -> str:
    room = " " * (cells - cell_len(cell))
    return cell + room if left else room + cell


def _folded(said: Sequence[str], width: int) -> list[str]:
    """What all lines share, in as few lines as it fits."""
    lines: list[str] = []
    for text in said:
        if lines and cell_len(f"{lines[-1]}, {text}") <= width:
            lines[-1] = f"{lines[-1]}, {text}"
        else:
            lines.append(shortened(text, width))
    return lines


def _width(lines: Sequence[str]) -> int:
    return max(map(cell_len, lines))
