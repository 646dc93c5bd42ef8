"""The costs that the board's picture can stand on beside FLOPs: money, and seconds by machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from e2r.metrics.placing import comparable
from e2r.metrics.statistics.frontier import frontier
from e2r.metrics.statistics.intervals import Interval
from e2r.site.board import NOTHING, Board, Entry, Group

FEWEST = 2
"""Rows of a collection that share a scale of seconds, for it to be a choice."""


@dataclass(frozen=True)
class Axis:
    """A cost: its name, its unit, and what each row costs by it, by the entry's id."""

    name: str
    unit: str
    costs: Mapping[str, Interval]

    def thrifty(self, entries: Sequence[Entry], measures: Sequence[str]) -> dict[str, list[int]]:
        """By id, 1 for each measure in which no ranked row of these is both better and cheaper."""
        ranked = [each for each in entries if each.state == "ranked" and each.id in self.costs]
        marks = [
            frontier([(self.costs[each.id].value, each.value(name)) for each in ranked])
            for name in measures
        ]
        return {
            entry.id: [int(found[place]) for found in marks] for place, entry in enumerate(ranked)
        }


def axes(board: Board) -> list[Axis]:
    """Money where price lists were given, then seconds of each machine that several rows share."""
    found = []
    bought = {entry.id: entry.row.paid for entry in board.runs if entry.row and entry.row.paid}
    if bought:
        costs = {name: paid.total for name, paid in bought.items()}
        found.append(Axis(f"Money ({board.prices_told})", board.money_unit, costs))
    seconds: dict[str, dict[str, Interval]] = {}
    for group in board.groups:
        for scale, entries in _clocks(group).items():
            seconds.setdefault(scale, {}).update(
                {
                    each.id: each.row.work.figures["seconds_per_query"]
                    for each in entries
                    if each.row
                }
            )
    for scale, taken in sorted(seconds.items(), key=lambda item: (-len(item[1]), item[0])):
        words = scale.replace("_", " ")
        found.append(Axis(f"Seconds ({words})", f"seconds a query on {words}", taken))
    return found


def _clocks(group: Group) -> dict[str, list[Entry]]:
    """The rows of a collection whose seconds may be compared, by the machine and mode."""
    entries = [each for each in group.entries if each.row is not None and each.state == "ranked"]
    scales = comparable([each.row for each in entries if each.row is not None], "seconds")
    placed = {scale: [entries[place] for place in places] for scale, places in scales.items()}
    return {
        scale: known
        for scale, rows in placed.items()
        if len(known := [each for each in rows if _timed(each).value is not None]) >= FEWEST
    }


def _timed(entry: Entry) -> Interval:
    return NOTHING if entry.row is None else entry.row.work.figures["seconds_per_query"]
