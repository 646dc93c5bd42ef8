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
from e2r.flops.first_stage import INDEX, SEARCH
from e2r.flops.hardware import ACCELERATORS
from e2r.flops.work import Mode
from e2r.forecast.budget import made_for
from e2r.forecast.clock import FLOOR, MEMORY, OF_SECONDS
from e2r.forecast.lengths import call_counts, thinks
from e2r.forecast.method import FIGURES
from e2r.forecast.money import BY_THE_HOUR, HOURS_A_MONTH
from e2r.forecast.pipeline import KINDS, FirstStage
from e2r.money.prices import CURRENCY
from e2r.money.terms import COUNTS, EXAMPLES, HELD, MOST, PRICES
from e2r.site import call_tables
from e2r.site.board import Board
from e2r.site.data import script

LONGEST_QUERY = 128
"""Tokens of a query at most, on the page."""
ASSETS = Path(__file__).parent / "assets"
SCRIPTS = (
    "what-if-data.js",
    "whatif-price.js",
    "whatif-money.js",
    "whatif-hosting.js",
    "whatif-chart.js",
    "whatif.js",
)
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
    "utilization": 40,
    "concurrency": 1,
    "batch_size": 16,
    "weight_bits": 16,
    "qps": 100,
    "price_per_hour": 2,
    "price": "in=0.15,out=0.60,cached=0.075",
    "versus": "search=2.00",
    "first_stage": "none",
    "documents": 8841823,
    "posting_share": 100,
    "overlap": 3,
    "visited": 1000,
    "document_tokens": 80,
}
"""What the page shows first."""

USE = {
    "utilization": ("Utilization, per cent of both peaks", 1, 100, 1),
    "concurrency": ("Queries in flight", 1, 256, 1),
    "batch_size": ("Calls a pass at most", 1, 256, 1),
    "weight_bits": ("Bits a weight", 2, 32, 1),
    "qps": ("Queries a second that arrive", 1, 10000, 1),
    "price_per_hour": ("Price of an accelerator's hour", 0, 100, 0.05),
}
"""How the device is used, and the load: what the page calls it, and its range and step."""
SEARCHED = {
    "documents": ("Documents searched", 1000, 100_000_000, 1),
    "posting_share": ("Documents that hold a term, per cent", 1, 100, 1),
    "overlap": ("Terms that query and document share", 0, 50, 0.1),
    "visited": ("Documents compared", 1, 1_000_000, 1),
    "document_tokens": ("Vectors a document", 1, 512, 1),
}
"""Parameters of a first stage, likewise."""

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
        "clock": {
            "floor": {name: part.to_json() for name, part in FLOOR.items()},
            "of_seconds": {name: figure.to_json() for name, figure in OF_SECONDS.items()},
            "memory": MEMORY.to_json(),
        },
        "money": {
            "prices": PRICES,
            "counts": COUNTS,
            "kinds": HELD,
            "most": int(MOST),
            "currency": CURRENCY,
            "examples": EXAMPLES,
            "hours_a_month": HOURS_A_MONTH,
            "by_the_hour": BY_THE_HOUR,
        },
        "first_stages": _first_stages(),
        "conventions": {name: convention.summary for name, convention in CONVENTIONS.items()},
        "accelerators": {
            name: {
                "peak_flops": it.flops,
                "bandwidth": it.bandwidth,
                "memory": it.memory,
                "cache": it.cache,
                "watts": it.watts,
            }
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
        "use": USE,
        "searched": SEARCHED,
        "first_stages": ["none", *KINDS],
        "grid": call_tables.GRID,
        "draws": settings()["calls"]["draws"],
        "models": len(settings()["coefficients"]["models"]),
        "families": len(index()),
        "month": HOURS_A_MONTH,
    }


def _first_stages() -> dict[str, Any]:
    """Each kind's search as expressions, its usual encoder's query, and what it wants.

    An encoder is exported as the FLOPs and bytes of queries of 1, 2, … tokens.
    """
    made: dict[str, Any] = {}
    for name, kind in KINDS.items():
        values = {name: value for name, value in kind.wants.items() if value is not None}
        reading = []
        if kind.encoder is not None:
            overlap = 1.0 if "overlap" in kind.wants else None
            searched = FirstStage(name, documents=1, overlap=overlap)
            for tokens in range(1, LONGEST_QUERY + 1):
                encoder = searched.stages(tokens)[0]
                reading.append([encoder.flops, encoder.bytes])
        made[name] = {
            "flops": SEARCH[name].to_json(),
            "bytes": INDEX[name].to_json() if name in INDEX else 0,
            "wants": ["documents", *kind.wants],
            "usual": values,
            "encoder": reading,
        }
    return made


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
