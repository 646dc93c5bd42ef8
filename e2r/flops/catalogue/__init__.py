"""Config facts of well-known rerankers and backbones, so that what-if works without a network."""

from __future__ import annotations

import difflib
import json
from functools import cache
from pathlib import Path
from typing import Any

from e2r.errors import MissingError

FOLDER = Path(__file__).parent


@cache
def entries() -> dict[str, dict[str, Any]]:
    """Every model by its Hub id: {"source", "facts"}, merged from the JSON files here."""
    found: dict[str, dict[str, Any]] = {}
    for path in sorted(FOLDER.glob("*.json")):
        found.update(json.loads(path.read_text(encoding="utf-8")))
    return found


def facts(name: str) -> dict[str, Any] | None:
    """The config facts of a model by its full Hub id, or by its last part where that is unique."""
    entry = entries().get(name)
    if entry is None:
        short = [key for key in entries() if key.partition("/")[2].lower() == name.lower()]
        entry = entries()[short[0]] if len(short) == 1 else None
    return None if entry is None else dict(entry["facts"])


def missing(name: str) -> MissingError:
    """The error for a model that is neither here nor reachable, with the nearest known names."""
    near = difflib.get_close_matches(name, entries(), n=3, cutoff=0.4)
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    return MissingError(
        f"model {name!r} is not in the catalogue, is no config.json or folder here, and could not "
        f"be fetched from the Hub. {hint}Give a path to its config.json, or see "
        f"`e2r list models`"
    )
