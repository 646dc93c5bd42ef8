"""Which architecture a run is priced by: the catalogue's for a known model, else its own word."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from e2r.borders.showing import shown
from e2r.errors import DataError
from e2r.flops import catalogue
from e2r.flops.architecture import Architecture
from e2r.flops.coefficients import coefficients
from e2r.records.manifest import ModelRecord


@dataclass(frozen=True)
class Declared:
    """The config facts that a run is priced by, and who says so; `note` is for the user.

    `by` is `catalogue` for a model that the catalogue knows under this name, whose own record
    either agrees or is not believed.
    """

    facts: Mapping[str, Any] | None
    by: Literal["catalogue", "self-declared", "nobody"]
    note: str | None = None


def declared(model: ModelRecord) -> Declared:
    """The architecture of a model as recorded, held against the catalogue's of that name."""
    own = model.architecture
    if own is None:
        return Declared(None, "nobody")
    for name in (
        model.id.removeprefix("openai:").removeprefix("rerank:"),
        model.name.replace("--", "/"),
    ):
        known = _known().get(name.lower())
        if known is None:
            continue
        facts = catalogue.facts(known)
        same = len({_arithmetic(json.dumps(each, sort_keys=True)) for each in (own, facts)}) == 1
        if same:
            return Declared(facts, "catalogue")
        return Declared(
            facts,
            "catalogue",
            f"its record describes another architecture than {shown(known)}'s, whose name it "
            "bears; it is priced by the catalogue's",
        )
    return Declared(own, "self-declared")


@cache
def _known() -> dict[str, str]:
    """The catalogue's names as someone might write them: whole, or the last part alone."""
    names = {name.lower(): name for name in catalogue.entries()}
    last: dict[str, list[str]] = {}
    for name in catalogue.entries():
        last.setdefault(name.rpartition("/")[2].lower(), []).append(name)
    return {**{part: found[0] for part, found in last.items() if len(found) == 1}, **names}


@cache
def _arithmetic(facts: str) -> str | None:
    """All that FLOPs depend on, under every convention; None for what cannot be priced.

    Which weights are tied is left out: libraries write that otherwise than the model's authors.
    """
    try:
        found = coefficients({"model": Architecture.load(json.loads(facts))})
    except DataError:
        return None
    model = found["models"][0]
    return json.dumps([found["units"], model["flops"]], sort_keys=True, default=str)
