"""Starts the meter: Python runs this file first where `e2r meter` has put its folder in front."""

from __future__ import annotations

import importlib.util
import os
import sys
from importlib.machinery import PathFinder
from pathlib import Path


def _start() -> None:
    here = Path(__file__).resolve().parent
    root = here.parents[1]
    sys.path[:] = [place for place in sys.path if Path(place or ".").resolve() != here]
    if "e2r" not in sys.modules:
        # The package alone, from where it lies: what is installed beside it stays out of sight.
        spec = importlib.util.spec_from_file_location(
            "e2r", root / "__init__.py", submodule_search_locations=[str(root)]
        )
        if spec is not None and spec.loader is not None:
            package = importlib.util.module_from_spec(spec)
            sys.modules["e2r"] = package
            spec.loader.exec_module(package)
    from e2r.meter.start import start

    start()


def _others() -> None:
    """Run the sitecustomize that this one stands before, if there is one."""
    spec = PathFinder.find_spec("sitecustomize", sys.path)
    if spec is not None and spec.loader is not None:
        spec.loader.exec_module(importlib.util.module_from_spec(spec))


if "E2R_METER_OUT" in os.environ:
    try:
        _start()
    except Exception as error:
        # The program must run as it would without.
        sys.stderr.write(f"e2r meter: cannot count in this process ({error!r})\n")
    _others()
