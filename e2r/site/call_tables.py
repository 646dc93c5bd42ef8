"""The calls of every method over a grid of settings, simulated ahead for the what-if page.

`python -m e2r.site.call_tables` writes call_tables.json anew, which a build only reads.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any, TypeAlias

from e2r.errors import UsageError
from e2r.forecast.method import DRAWS, simulate
from e2r.ranking import METHODS
from e2r.ranking import method as find
from e2r.ranking.method import Method

PATH = Path(__file__).with_name("call_tables.json")
GRID: Mapping[str, Sequence[int]] = {
    "depth": (5, 10, 20, 30, 40, 50, 75, 100),
    "k": (1, 3, 5, 10, 20),
    "set_size": (2, 3, 4, 5, 10, 20),
    "window": (5, 10, 20, 50, 64, 100),
    "step": (2, 5, 10, 20, 50),
    "repeats": (1, 2, 3, 4),
    "pivot": (5, 10),
    "tournaments": (1, 2, 5, 10),
}
"""The settings that the page offers."""

Row: TypeAlias = list[Any]  # rounds, then [task, passages, calls] of each kind of call
Rows: TypeAlias = dict[tuple[int, ...], Row]


def read() -> dict[str, Any]:
    """What `write` wrote: draws, grid, tables of rows by settings, and each method's table.

    A row holds sums over the draws: the rounds, then [task, passages, calls] of each kind of call.
    Its key lists the settings along the table's axes, with commas.
    """
    content: dict[str, Any] = json.loads(PATH.read_text(encoding="utf-8"))
    return content


def write() -> None:
    """Simulate the whole grid; takes a minute or two."""
    tables: dict[Any, int] = {}
    lines: list[str] = []
    methods: dict[str, dict[str, Any]] = {}
    for name in METHODS:
        method = find(name)
        if name == "first_stage":
            continue
        key = method.plan, tuple(method.parameters), tuple(method.most.items())
        if key not in tables:
            tables[key] = len(lines)
            axes, rows = _needed(axes_of(method), dict(simulated(method)))
            named = {",".join(map(str, at)): row for at, row in rows.items()}
            lines.append(_json({"axes": axes, "rows": named}))
        methods[name] = {"table": tables[key], "defaults": dict(method.parameters)}
    head = f'{{"draws": {DRAWS}, "grid": {_json(GRID)},\n"methods": {_json(methods)},\n'
    body = ",\n".join(lines)
    PATH.write_text(f'{head}"tables": [\n{body}\n]}}\n', encoding="utf-8")


def axes_of(method: Method) -> tuple[str, ...]:
    """The settings of a method, in the order of a row's key."""
    return ("depth", "k", *method.parameters)


def simulated(method: Method, every: int = 1) -> Iterator[tuple[tuple[int, ...], Row]]:
    """Rows of the method by settings; settings that it refuses have none.

    Where no answer changes the calls, one order stands for all draws.
    """
    answers: Any = "first-stage" if method.exact else "random"
    settings = product(*(GRID[axis] for axis in axes_of(method)))
    for place, (depth, k, *given) in enumerate(settings):
        if place % every:
            continue
        parameters = tuple(sorted(zip(method.parameters, given, strict=True)))
        try:
            shapes, rounds = simulate(method.name, depth, k, parameters, answers)
        except UsageError:
            continue
        calls = [[task, size, int(mean * DRAWS)] for (task, size), mean in shapes.items()]
        yield (depth, k, *given), [int(rounds * DRAWS), *calls]


def _needed(axes: tuple[str, ...], rows: Rows) -> tuple[list[str], Rows]:
    """The rows without the axes along which they do not change."""
    kept = list(axes)
    for axis in axes:
        place = kept.index(axis)
        fewer: Rows = {}
        same = all(
            fewer.setdefault(at[:place] + at[place + 1 :], row) == row for at, row in rows.items()
        )
        if same:
            rows, kept = fewer, [*kept[:place], *kept[place + 1 :]]
    return kept, rows


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


if __name__ == "__main__":
    write()
