"""What the what-if page evaluates: coefficients, call lengths, call tables and figures, as data."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, get_args

from e2r.errors import UsageError
from e2r.flops.architecture import Architecture
from e2r.flops.catalogue import entries
from e2r.flops.coefficients import coefficients
from e2r.flops.config import Task
from e2r.flops.conventions import CONVENTIONS
from e2r.flops.families import index
from e2r.flops.hardware import ACCELERATORS
from e2r.flops.work import Mode
from e2r.forecast.budget import made_for
from e2r.forecast.lengths import call_counts, thinks
from e2r.forecast.method import FIGURES
from e2r.site import call_tables
from e2r.site.board import Board
from e2r.site.data import script

ASSETS = Path(__file__).parent / "assets"
SCRIPTS = ("what-if-data.js", "whatif-price.js", "whatif-chart.js", "whatif.js")
"""The page's scripts, in order; the first is made here."""
START = {
    "model": "Qwen/Qwen2.5-7B-Instruct",
    "method": "setwise.heapsort",
    "depth": 100,
    "k": 10,
    "set_size": 3,
    "window": 20,
    "step": 10,
    "repeats": 1,
    "tournaments": 1,
    "pivot": 10,
    "query_tokens": 9,
    "passage_tokens": 75,
    "answer_tokens": 500,
    "convention": "ideal",
    "on": "H100",
}
"""What the page shows first."""

AXES = {
    "depth": "Depth: candidates to rank",
    "k": "k: how many must be in order",
    "set_size": "Set size: passages a call",
    "window": "Window: passages a call",
    "step": "Step: how far the window moves",
    "repeats": "Repeats: passes of the window",
    "tournaments": "Tournaments",
    "pivot": "Pivot: its place in the first window",
}
"""What the page calls the settings of the call tables."""


@cache
def settings() -> dict[str, Any]:
    """Everything that the page evaluates; it does not depend on any run.

    `counts` holds, by kind of model (mode/task), method and task, the expressions of a call's
    counts, or {"refused": why}. `made_for` holds lists of methods and which list is a model's.
    """
    tables = call_tables.read()
    architectures = {name: Architecture.load(name) for name in entries()}
    asked = {
        name: sorted(
            {call[0] for row in tables["tables"][of["table"]]["rows"].values() for call in row[1:]}
        )
        for name, of in tables["methods"].items()
    }
    return {
        "start": START,
        "coefficients": coefficients(architectures),
        "made_for": _made_for(list(architectures)),
        "calls": tables,
        "counts": {
            f"{mode}/{task}": {
                method: _counts(mode, task, method, kinds) for method, kinds in asked.items()
            }
            for mode in get_args(Mode)
            for task in get_args(Task)
        },
        "thinks": [method for method in asked if thinks(method)],
        "figures": {name: figure.to_json() for name, figure in FIGURES.items()},
        "conventions": {name: convention.summary for name, convention in CONVENTIONS.items()},
        "accelerators": {
            name: {"flops": it.flops, "bandwidth": it.bandwidth, "memory": it.memory}
            for name, it in ACCELERATORS.items()
        },
    }


def files(board: Board) -> dict[str, bytes]:
    """The page's scripts and style by their names."""
    start = {**START, "convention": board.convention, "measure": board.measure}
    if board.groups:
        start["group"] = board.groups[0].id
    content = {**settings(), "start": start}
    made = {name: (ASSETS / name).read_bytes() for name in (*SCRIPTS[1:], "whatif.css")}
    return {SCRIPTS[0]: script("e2rWhatIf", content), **made}


def shown() -> dict[str, Any]:
    """What the page's template names."""
    return {
        "start": START,
        "axes": AXES,
        "grid": call_tables.GRID,
        "draws": settings()["calls"]["draws"],
        "models": len(settings()["coefficients"]["models"]),
        "families": len(index()),
    }


def _counts(mode: Mode, task: Task, method: str, kinds: list[str]) -> dict[str, Any]:
    try:
        return {
            kind: {
                name: count.to_json()
                for name, count in call_counts(mode, task, method, kind).items()
            }
            for kind in kinds
        }
    except UsageError as error:
        return {"refused": str(error).removeprefix(f"{method} ")}


def _made_for(models: list[str]) -> dict[str, Any]:
    """Lists of methods, the first one general; and the place of each model's, where another."""
    lists = [made_for("")]
    places: dict[str, int] = {}
    for model in models:
        methods = made_for(model)
        if methods not in lists:
            lists.append(methods)
        if place := lists.index(methods):
            places[model] = place
    return {"lists": lists, "models": places}
