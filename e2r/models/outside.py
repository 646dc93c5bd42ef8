"""Answerers that installed packages bring, by entry points of the group `e2r.models`."""

from __future__ import annotations

from functools import cache
from importlib import metadata

from e2r.errors import DataError, E2RError
from e2r.models.answerer import Answerer
from e2r.prompts.read import Reading
from e2r.prompts.template import PromptTemplate
from e2r.records.spec import Spec

GROUP = "e2r.models"
"""Entry points: a callable that makes the answerer of `--model NAME:WORD`."""
NEEDED = ("record", "prepare", "answer", "device", "batch_size")


@cache
def installed() -> dict[str, metadata.EntryPoint]:
    """The entry points of installed packages by name, which is the word before the colon."""
    return {point.name: point for point in metadata.entry_points(group=GROUP)}


def of_package(
    name: str, word: str, spec: Spec, stages: list[tuple[PromptTemplate, Reading]]
) -> Answerer:
    """The answerer of `NAME:WORD`.

    The entry point is called with the word, the spec, and the template and reading of each stage
    (see docs/own-methods.md). Raises DataError where it makes none.
    """
    point = installed()[name]
    where = f"entry point {name} ({point.value})"
    try:
        made = point.load()(word, spec, stages)
    except E2RError:
        raise
    except Exception as error:
        raise DataError(f"{where}: {type(error).__name__}: {error}") from error
    missing = [part for part in NEEDED if not hasattr(made, part)]
    if missing:
        raise DataError(f"{where}: makes no answerer; it lacks {', '.join(missing)}")
    answerer: Answerer = made
    return answerer
