"""The same facts for programs that e2r did not write: `e2r.meter("calls.csv")` counts their calls.

The room is callable, because `e2r.meter` is both this package and the function that users call.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from e2r.meter.instrument import Meter


class _Room(ModuleType):
    def __call__(self, out: Any, *, topics: Any = None) -> Meter:
        from e2r.meter.instrument import Meter

        return Meter(out, topics=topics)


sys.modules[__name__].__class__ = _Room
