"""Known methods and models as tables that fit 80 columns, family by family, owner by owner."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from typing import TypeAlias

from e2r.flops.architecture import Architecture
from e2r.flops.catalogue import entries
from e2r.forecast.budget import made_for
from e2r.forecast.method import simulate
from e2r.ranking import METHODS, method
from e2r.ranking.own import installed

NEEDS = {
    "Generate": "text",
    "Labels": "label logits",
    "Likelihood": "prompt log p",
    "Reason": "thought, logits",
    "Classify": "classifier",
    "Attention": "attention",
}
"""What a method reads of a model, by the kind of its requests."""
UNTOLD = "?"
"""Stands where the estimator is installed alone, and prompts are not."""
DEPTH, K = 100, 10
UNITS = ((10**12, "T"), (10**9, "B"), (10**6, "M"), (10**3, "K"))
KINDS = {"classification": "pointwise.cross_encoder", "embedding": "embeddings"}
MOST_NAMED = 3
"""Methods that a model is said to be made for; of more, it is for any."""

Row: TypeAlias = tuple[Sequence[str], str]  # cells, the first of which is the name; what lies below


def methods() -> Iterator[str]:
    """The methods by family: calls and rounds of a query, what they read, and their sources."""
    rows = [_method(name) for name in (*METHODS, *installed())]
    head = ("", "calls", "rounds", "reads")
    yield from _grouped(rows, head, words=(0, 3), key=lambda name: method(name).family)
    yield ""
    yield from _wrapped(
        f"calls and rounds of a query at depth {DEPTH}, k = {K}, means over 20 random orders where "
        "answers change them; parameters and formulas: --json, docs/methods.md",
        "",
    )
    if any(cells[-1] == UNTOLD for cells, _ in rows):
        yield from _wrapped("? what a method reads is told with pip install 'e2r[report]'", "")


def models() -> Iterator[str]:
    """The catalogue by owner: type, weights, longest input, and what a checkpoint is made for."""
    rows = [_model(name) for name in sorted(entries(), key=str.lower)]
    head = ("", "type", "total", "active", "context")
    yield from _grouped(rows, head, words=(0, 1), key=lambda name: name.partition("/")[0])
    yield ""
    yield from _wrapped(
        "weights in all and those that one token meets; names may leave out the owner. Below a "
        "name stands what it is made for, where that is not any method for models that write. "
        "Sources and revisions: --json, docs/models.md",
        "",
    )


def _method(name: str) -> Row:
    found = method(name)
    shapes, rounds = _counts(name)
    if found.unrun:
        needs = "priced only"
    else:
        try:
            needs = _reads(name)
        except ModuleNotFoundError:
            needs = UNTOLD
    return (name, _figure(shapes), _figure(rounds), needs), found.source


def _reads(name: str) -> str:
    """What a method's first request asks for. Raises ModuleNotFoundError without e2r[report]."""
    from e2r.models.server.trial import sample
    from e2r.prompts.reading import asks, reading
    from e2r.prompts.template import PromptTemplate

    if not asks(name):
        return "nothing"
    how = reading(name)
    asked = sample(PromptTemplate.load(how.template), how)
    return "thought" if getattr(asked, "thinks", False) else NEEDS[type(asked).__name__]


def _counts(name: str) -> tuple[float, float]:
    """Mean calls and rounds, from the tables of the what-if page where they hold the method."""
    try:
        from e2r.site import call_tables
    except ModuleNotFoundError:
        known = None
    else:
        tables = call_tables.read()
        known = tables["methods"].get(name)
    if known is None:
        shapes, rounds = simulate(name, DEPTH, K, (), "random")
        return float(sum(shapes.values())), float(rounds)
    table = tables["tables"][known["table"]]
    at = {"depth": DEPTH, "k": K, **known["defaults"]}
    row = table["rows"][",".join(str(at[axis]) for axis in table["axes"])]
    draws = tables["draws"]
    return sum(calls for _, _, calls in row[1:]) / draws, row[0] / draws


def _model(name: str) -> Row:
    arch = Architecture.load(name)
    trained = made_for(name)
    below = KINDS.get(arch.task, "")
    if len(trained) <= MOST_NAMED:
        below = ", ".join(trained)
    context = "none" if arch.context is None else f"{arch.context:,}"
    weights = arch.parameters
    cells = (name, arch.model_type, _short(weights.total), _short(weights.active), context)
    return cells, below and f"made for {below}"


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.1f}"


def _short(value: int) -> str:
    unit, letter = next(((unit, letter) for unit, letter in UNITS if value >= unit), (1, ""))
    return f"{value / unit:.3g}{letter}"


def _grouped(
    rows: Sequence[Row], head: Sequence[str], *, words: Sequence[int], key: Callable[[str], str]
) -> Iterator[str]:
    """Lines of a table under a heading for each group; what a name shares with it is left out."""
    shown = [(key(cells[0]), _under(cells, key), below) for cells, below in rows]
    widths = [
        max(len(cells[place]) for cells in (head, *(cells for _, cells, _ in shown)))
        for place in range(len(head))
    ]
    for group, members in groupby(shown, key=itemgetter(0)):
        first = (group.ljust(widths[0] + 2), *head[1:])
        yield _line(first, [widths[0] + 2, *widths[1:]], words)
        for _, cells, below in members:
            yield f"  {_line(cells, widths, words)}"
            yield from _wrapped(below, "      ")


def _under(cells: Sequence[str], key: Callable[[str], str]) -> tuple[str, ...]:
    """The cells, the name without an owner that stands above it."""
    name = cells[0].removeprefix(f"{key(cells[0])}/")
    return (name, *cells[1:])


def _line(cells: Sequence[str], widths: Sequence[int], words: Sequence[int]) -> str:
    return " ".join(
        cell.ljust(width) if place in words else cell.rjust(width)
        for place, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ).rstrip()


def _wrapped(text: str, indent: str) -> Iterable[str]:
    width = max(shutil.get_terminal_size().columns, 40)
    return textwrap.wrap(text, width, initial_indent=indent, subsequent_indent=indent)
