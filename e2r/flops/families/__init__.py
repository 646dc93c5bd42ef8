"""One declarative file a model family: config facts in, Structure out.

A family module names the `model_type` values it reads with the defaults that the family's own
config class gives their fields (MODEL_TYPES), the classes whose heads it describes (HEADS), other
spellings of fields if there are any (ALIASES), and `build(config) -> Structure`. Dropping a file
into this folder adds a family; nothing else lists them.
"""

from __future__ import annotations

import ast
import difflib
import importlib
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Protocol, cast

from e2r.errors import DataError
from e2r.flops.config import Config
from e2r.flops.heads import Classes
from e2r.flops.structure import Structure


class Family(Protocol):
    """What a family module offers."""

    MODEL_TYPES: Mapping[str, Mapping[str, object]]
    HEADS: Mapping[str, Classes]
    build: Callable[[Config], Structure]


@cache
def index() -> dict[str, str]:
    """The module that reads each known model_type, read from the sources without importing them."""
    found: dict[str, str] = {}
    for path in sorted(Path(__file__).parent.glob("[a-z]*.py")):
        for model_type in _declared(path):
            found[model_type] = path.stem
    return found


def family(model_type: str) -> Family:
    """The module of a model_type; DataError names the known ones for an unknown one."""
    module = index().get(model_type)
    if module is None:
        near = difflib.get_close_matches(model_type.lower(), index(), n=3, cutoff=0.6)
        hint = f"did you mean {' or '.join(near)}? " if near else ""
        raise DataError(
            f"unknown model_type {model_type!r}: its arithmetic is not described here, and e2r "
            f"does not guess; {hint}known: {', '.join(sorted(index()))}"
        )
    return cast(Family, importlib.import_module(f"{__name__}.{module}"))


def _declared(path: Path) -> list[str]:
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if (
            isinstance(node, ast.AnnAssign)
            and isinstance(node.target, ast.Name)
            and node.target.id == "MODEL_TYPES"
            and isinstance(node.value, ast.Dict)
        ):
            return [str(key.value) for key in node.value.keys if isinstance(key, ast.Constant)]
    return []
