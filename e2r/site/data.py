"""The board as data: what the page's script shows, and what compares its runs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from e2r.metrics.duels import Pair, cost_ratios, duels
from e2r.metrics.row import Row
from e2r.metrics.statistics.intervals import Interval
from e2r.site.axes import axes
from e2r.site.board import NOTHING, Board, Entry, Group

DIGITS = 6
"""Significant digits of every figure: what all processors agree on."""
ALL_PAIRS = 40
"""Groups up to this size have every pair tested; larger ones, each run against a few."""
ANCHORS = 3


def script(name: str, content: Any) -> bytes:
    """A script that does nothing but put a value into `window`; a plain file cannot be fetched."""
    text = json.dumps(content, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return f"window.{name}={text};\n".encode()


def rounded(value: Any) -> Any:
    """The same with every float cut to so many digits, however deep it lies."""
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}")
    if isinstance(value, Mapping):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [rounded(item) for item in value]
    return value


def page_data(board: Board) -> dict[str, Any]:
    """Every figure of the table under every measure and convention.

    An interval is [value, low, high], or nothing; lists follow the order of `measures`.
    """
    rows = [_row(entry, group.id, board) for group in board.groups for entry in group.entries]
    rows += [_row(entry, None, board) for entry in board.incomplete]
    content = {
        "measures": board.measures,
        "conventions": board.conventions,
        "groups": [_group(group) for group in board.groups],
        "rows": rows,
        **_axes(board, rows),
    }
    found: dict[str, Any] = rounded(content)
    return found


def _axes(board: Board, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The picture's other costs: {axes, units}, FLOPs first; rows get theirs as `spent`.

    `spent` holds by the axis's place what a row costs by it and, by measure, whether no row of the
    group is both better and cheaper. `money` is there where a price list was given.
    """
    found = axes(board)
    if not found:
        return {}
    by_id = {row["id"]: row for row in rows}
    for place, axis in enumerate(found, start=1):
        thrifty: dict[str, list[int]] = {}
        for group in board.groups:
            thrifty |= axis.thrifty(group.entries, board.measures)
        for name, cost in axis.costs.items():
            held = {"cost": _span(cost), "frontier": thrifty.get(name)}
            by_id[name].setdefault("spent", {})[str(place)] = held
    told = {
        "axes": ["PFLOPs", *(axis.name for axis in found)],
        "units": ["PFLOPs", *(axis.unit for axis in found)],
    }
    if not board.prices:
        return told
    for entry in board.runs:
        if entry.row is not None and entry.row.paid is not None:
            by_id[entry.id]["money"] = _span(entry.row.paid.total)
    return told | {"money": board.money_unit}


def _group(group: Group) -> dict[str, Any]:
    return {
        "id": group.id,
        "dataset": group.dataset,
        "first_stage": group.first_stage,
        "depth": group.depth,
        "queries": group.queries,
        "published": group.publication is not None,
        "convention": group.convention,
    }


def _row(entry: Entry, group: str | None, board: Board) -> dict[str, Any]:
    return {
        "id": entry.id,
        "group": group,
        "page": entry.page,
        "label": entry.label,
        "method": entry.method,
        "template": entry.template,
        "dataset": entry.dataset,
        "family": entry.family,
        "depth": entry.depth,
        "parameters": entry.parameters,
        "state": entry.state,
        "kind": entry.kind,
        "idle": int(entry.idle),
        "place": None if entry.place is None else str(entry.place),
        "quality": [_span(entry.quality.get(name)) for name in board.measures],
        "ranks": [entry.ranks.get(name) for name in board.measures],
        "costs": {
            convention: {
                "petaflops": _span(costs.petaflops),
                "qpp": _span(costs.qpp),
                "rpp": [_span(costs.rpp.get(name)) for name in board.measures],
                "frontier": [int((name, convention) in entry.frontiers) for name in board.measures],
            }
            for convention, costs in entry.costs.items()
        },
        "calls": entry.calls,
        "rounds": entry.rounds,
        "failures": entry.parse_failures,
    }


def pair_data(board: Board) -> dict[str, Any]:
    """Per-query values of each complete run, and the tests of pairs, by measure.

    A pair's key is `first second`, their ids; its duels are [difference, p of the randomisation
    test, p of the t test, wins, ties, losses], where difference means first − second; `ratio` is
    the first's FLOPs over the second's under the board's own convention.
    """
    values: dict[str, Any] = {}
    pairs: dict[str, Any] = {}
    queries: dict[str, Any] = {}
    for group in board.groups:
        entries = [entry for entry in group.entries if entry.row is not None]
        rows = [entry.row for entry in entries if entry.row is not None]
        if len(rows) < 2:
            continue
        qids = rows[0].qids
        queries[group.id] = qids
        for entry, row in zip(entries, rows, strict=True):
            values[entry.id] = [_by_query(row, name, qids) for name in board.measures]
        chosen = _pairs(entries)
        fought = [duels(rows, chosen, name) for name in board.measures]
        ratios = cost_ratios(rows, chosen)
        for place, (one, other) in enumerate(chosen):
            pairs[f"{entries[one].id} {entries[other].id}"] = {
                "duels": [
                    None
                    if (found := of[place]) is None
                    else [
                        _span(found.difference),
                        found.tests.p_randomisation,
                        found.tests.p_t,
                        found.tests.wins,
                        found.tests.ties,
                        found.tests.losses,
                    ]
                    for of in fought
                ],
                "ratio": _span(ratios[place]),
            }
    content: dict[str, Any] = rounded({"queries": queries, "values": values, "pairs": pairs})
    return content


def _pairs(entries: Sequence[Entry]) -> list[Pair]:
    """Every pair of a small group; in a large one, each run against the first stage and the best.

    The entries come best first.
    """
    everyone = range(len(entries))
    anchors = set(everyone)
    if len(entries) > ALL_PAIRS:
        anchors = {*everyone[:ANCHORS]}
        anchors |= {place for place in everyone if entries[place].method == "first_stage"}
    return [
        (one, other)
        for one in everyone
        for other in everyone[one + 1 :]
        if one in anchors or other in anchors
    ]


def _by_query(row: Row, measure: str, qids: Sequence[str]) -> list[float] | None:
    values = row.scores.values.get(measure)
    return None if values is None else [round(values[qid], DIGITS) for qid in qids]


def _span(found: Interval | None) -> list[float] | None:
    found = found or NOTHING
    if found.value is None:
        return None
    if found.low is None or found.high is None:
        return [found.value]
    return [found.value, found.low, found.high]
