"""The board as files to download: every figure as JSON, and flat as CSV."""

from __future__ import annotations

import json
from typing import Any

from e2r.metrics.columns import flat
from e2r.metrics.reports.tables import comma_separated
from e2r.site.board import NOTHING, Board, Entry, Group
from e2r.site.data import rounded

_PARTS = ("value", "low", "high")


def as_json(board: Board) -> bytes:
    """Groups of rows that compare, then the incomplete runs; costs by every convention."""
    content = {
        "measure": board.measure,
        "convention": board.convention,
        "measures": board.measures,
        "conventions": board.conventions,
        "groups": [_group(group, board) for group in board.groups if group.publication is None],
        "incomplete": [rounded(_run(entry, board)) for entry in board.incomplete],
        "published": [_group(group, board) for group in board.groups if group.publication],
    }
    return (json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


def as_csv(board: Board) -> bytes:
    """One line a row, published rows last; what a row does not have is empty."""
    lines: list[dict[str, Any]] = []
    for entry in board.entries:
        if entry.row is not None:
            lines.append({"source": "run", **_placed(entry, board, flat(entry.row))})
        else:
            lines.append({"source": "published", **_placed(entry, board, _published_flat(entry))})
        for convention in board.conventions:
            lines[-1] |= _prices(entry, board, convention)
    names = list(dict.fromkeys(name for line in lines for name in line))
    return comma_separated(
        [rounded({name: line.get(name) for name in names}) for line in lines]
    ).encode()


def _group(group: Group, board: Board) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "id": group.id,
        "dataset": group.dataset,
        "first_stage": group.first_stage,
        "depth": group.depth,
        "queries": group.queries,
    }
    if group.publication is not None:
        facts |= {"source": group.publication.source, "convention": group.convention}
        return rounded(facts | {"rows": [_published(entry, board) for entry in group.entries]})  # type: ignore[no-any-return]
    facts["hypervolume"] = group.hypervolume(board.measure, board.convention)
    return rounded(facts | {"runs": [_run(entry, board) for entry in group.entries]})  # type: ignore[no-any-return]


def _run(entry: Entry, board: Board) -> dict[str, Any]:
    facts = {} if entry.row is None else entry.row.to_json()
    return _placed(entry, board, facts) | {"conventions": _costs(entry)}


def _published(entry: Entry, board: Board) -> dict[str, Any]:
    row = entry.published
    facts: dict[str, Any] = (
        {}
        if row is None
        else {
            "dataset": row.dataset,
            "model": row.model,
            "method": row.method,
            "printed_petaflops_per_query": row.printed,
            "calls_per_query": row.calls,
            "prompt_tokens_per_call": row.prompt_tokens,
            "generated_tokens_per_call": row.generated_tokens,
        }
    )
    facts["measures"] = {name: found.to_json() for name, found in entry.quality.items()}
    return _placed(entry, board, facts) | {"conventions": _costs(entry)}


def _placed(entry: Entry, board: Board, plain: dict[str, Any]) -> dict[str, Any]:
    convention = board.convention if entry.published is None else next(iter(entry.costs))
    return {
        **plain,
        "run": None if entry.place is None else str(entry.place),
        "rank": entry.ranks.get(board.measure),
        "on_frontier": (board.measure, convention) in entry.frontiers,
        "reference": entry.state == "reference",
        "unverified": entry.state == "unverified",
        "kind": entry.kind,
        "idle": entry.idle,
        "architecture": entry.architecture,
        "parameters": entry.parameters,
        "template": entry.template,
        "page": entry.page,
    }


def _costs(entry: Entry) -> dict[str, Any]:
    return {
        convention: {
            "petaflops_per_query": costs.petaflops.to_json(),
            "qpp": costs.qpp.to_json(),
            "rpp": {name: found.to_json() for name, found in costs.rpp.items()},
            "frontier": sorted(name for name, by in entry.frontiers if by == convention),
        }
        for convention, costs in entry.costs.items()
    }


def _published_flat(entry: Entry) -> dict[str, Any]:
    row = entry.published
    if row is None:
        return {}
    return {
        "dataset": row.dataset,
        "model": row.model,
        "method": row.method,
        "depth": entry.depth,
        "complete": True,
        **{name: found.value for name, found in entry.quality.items()},
        "calls_per_query": row.calls,
        "prompt_tokens_per_query": row.prompt_tokens * row.calls,
        "generated_tokens_per_query": row.generated_tokens * row.calls,
    }


def _prices(entry: Entry, board: Board, convention: str) -> dict[str, Any]:
    costs = entry.costs.get(convention)
    figures = {
        f"PFLOPs/query {convention}": costs and costs.petaflops,
        f"QPP {convention}": costs and costs.qpp,
    }
    for name in board.measures:
        figures[f"RPP {name} {convention}"] = None if costs is None else costs.rpp.get(name)
    return {
        name if part == "value" else f"{name} {part}": (found or NOTHING).to_json()[part]
        for name, found in figures.items()
        for part in _PARTS
    }
