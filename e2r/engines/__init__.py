"""Where the work of a run is done: in this process, or by workers on a cluster."""

from __future__ import annotations

import os
from importlib import import_module

from e2r.data.collection import Judgments
from e2r.engines.engine import Engine
from e2r.errors import MissingError
from e2r.models.answerer import Answerer
from e2r.records.spec import Spec

ENGINES: dict[str, tuple[str, str]] = {
    "local": ("e2r.engines.local:Local", "in this process, with one model"),
    "ray": ("e2r.engines.ray:Ray", "on a Ray cluster, or all of this machine; a model a worker"),
}


def name_of_engine(spec: Spec) -> str:
    """The engine that a spec asks for."""
    return "local" if spec.execution.ray is None else "ray"


def open_engine(spec: Spec, answerer: Answerer, judgments: Judgments | None) -> Engine:
    """The engine that a spec asks for; `answerer` is the one that the spec names.

    Raises MissingError where its package is not installed.
    """
    module, _, attribute = ENGINES[name_of_engine(spec)][0].partition(":")
    # Read by Ray when it is imported. It would call home, and tell of lost workers on stdout.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", ".")
    try:
        engine = getattr(import_module(module), attribute)
    except ModuleNotFoundError as error:
        if error.name != "ray":
            raise
        raise MissingError("--engine ray needs Ray; run: pip install 'e2r[ray]'") from error
    opened: Engine = engine(spec, answerer, judgments)
    return opened
