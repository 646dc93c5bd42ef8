"""Config facts of well-known rerankers and backbones, so that what-if works without a network."""

from __future__ import annotations

import difflib
import json
from functools import cache
from pathlib import Path
from typing import Any

from e2r.errors import DataError, MissingError

FOLDER = Path(__file__).parent
FUSED = ("lit5", "listt5", "fid-")
"""What names of checkpoints begin with that were trained for fusion in the decoder."""
POOLED = ("kalm-reranker-v1",)
"""Those whose decoder reads the encoder's states by fours, each four pooled into one."""


@cache
def entries() -> dict[str, dict[str, Any]]:
    """Every model by its Hub id, merged from the JSON files here.

    "facts" are its config's, as found at "source"; "revision" is the commit of that page, or
    "unpinned" where none is known; "confirmed" lists what else says the same, which may be nothing.
    """
    found: dict[str, dict[str, Any]] = {}
    for path in sorted(FOLDER.glob("*.json")):
        found.update(json.loads(path.read_text(encoding="utf-8")))
    return found


def facts(name: str) -> dict[str, Any] | None:
    """The config facts of a model by its full Hub id, or by its last part where that is unique.

    Raises DataError for a checkpoint of another kind than its config says.
    """
    own = name.rpartition("/")[2].lower()
    if own.startswith(POOLED) and not Path(name).exists():
        raise DataError(
            f"{name}: its decoder reads the encoder's states pooled by four, which its config "
            "(model_type t5gemma2) does not say and no usage counts; its price is refused"
        )
    if own.startswith(FUSED) and not Path(name).exists():
        raise DataError(
            f"{name}: reads each passage by an encoder run of its own and all of them by one "
            "decoder run (fusion in the decoder), which no call of one prompt describes; its price "
            "is refused. Its backbone has one: e2r estimate google-t5/t5-base --method "
            "listwise.fid"
        )
    entry = entries().get(name)
    if entry is None:
        short = [key for key in entries() if key.partition("/")[2].lower() == name.lower()]
        entry = entries()[short[0]] if len(short) == 1 else None
    return None if entry is None else dict(entry["facts"])


def nearest(name: str) -> str | None:
    """The model that a name misspells by a letter or two, else None."""
    tails = {key.rpartition("/")[2].lower(): key for key in entries()}
    near = difflib.get_close_matches(name.rpartition("/")[2].lower(), tails, n=1, cutoff=0.85)
    return tails[near[0]] if near else None


def missing(name: str) -> MissingError:
    """The error for a model that is neither here nor reachable, with the nearest known names."""
    near = difflib.get_close_matches(name, entries(), n=3, cutoff=0.4)
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    return MissingError(
        f"model {name!r} is not in the catalogue, is no config.json or folder here, and could not "
        f"be fetched from the Hub. {hint}Give a path to its config.json, or see "
        f"`e2r list models`"
    )
