"""What a board knows of quality: of a model, method and depth, or of two models on one data set."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from e2r.errors import DataError

BOARD_BYTES = 64 << 20
BOARD_FILE = "leaderboard/board.json"
MEASURE = "nDCG@10"
BOARD = click.option(
    "--board",
    metavar="FILE",
    help="A board's board.json, whose qualities are shown; default: leaderboard/board.json, "
    "where it is.",
)


@dataclass(frozen=True)
class Both:
    """The best nDCG@10 of one's own method and of an offered model, on one data set."""

    dataset: str
    own: float
    offered: float


def qualities(board: str | None) -> Mapping[tuple[str, str, int], float]:
    """The best nDCG@10 of each (model, method, depth) of a board; nothing where there is none."""
    found: dict[tuple[str, str, int], float] = {}
    for _, model, method, depth, value in _rows(board):
        key = model, method, depth
        found[key] = max(value, found.get(key, 0.0))
    return found


def both(board: str | None, own: tuple[str, str, int], offered: str) -> Both | None:
    """Qualities of one's own (model, method, depth) and of an offered model, by any method of it.

    Of the first of the board's collections that has both; None where none has.
    """
    groups: dict[str, list[tuple[str, tuple[str, str, int], float]]] = {}
    for (group, dataset), model, method, depth, value in _rows(board):
        groups.setdefault(group, []).append((dataset, (model, method, depth), value))
    for rows in groups.values():
        mine = [value for _, key, value in rows if key == own]
        theirs = [value for _, key, value in rows if key[0] == offered]
        if mine and theirs:
            return Both(rows[0][0], max(mine), max(theirs))
    return None


def _rows(board: str | None) -> Iterator[tuple[tuple[str, str], str, str, int, float]]:
    from e2r.borders.reading import json_file

    path = Path(board or BOARD_FILE)
    if board is None and not path.is_file():
        return
    found = []
    try:
        content: Any = json_file(path, BOARD_BYTES)
        for place, group in enumerate(content["groups"]):
            for run in group["runs"]:
                value = run["measures"].get(MEASURE, {}).get("value")
                if value is not None and run["method"] != "first_stage":
                    named = str(run["model"]), str(run["method"]), int(run["depth"] or 0)
                    where = str(place), str(group.get("dataset", ""))
                    found.append((where, *named, float(value)))
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None
    except (KeyError, TypeError, ValueError, AttributeError):
        raise DataError(f"{path}: is no board.json; e2r leaderboard makes one") from None
    yield from found
