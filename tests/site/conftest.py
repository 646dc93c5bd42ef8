"""The recorded runs of the metrics tests, for pages made of them."""

from __future__ import annotations

import sys
from importlib import util
from pathlib import Path

_HERE = Path(__file__).resolve().parent
_SPEC = util.spec_from_file_location("recorded_runs", _HERE.parent / "metrics" / "conftest.py")
if _SPEC is None or _SPEC.loader is None:
    raise ImportError("tests/metrics/conftest.py is missing")
_MODULE = util.module_from_spec(_SPEC)
sys.modules["recorded_runs"] = _MODULE
_SPEC.loader.exec_module(_MODULE)
make_run = _MODULE.make_run
