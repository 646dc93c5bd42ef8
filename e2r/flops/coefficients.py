"""Architectures → JSON: the coefficients that a page's script multiplies with units of work."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from e2r.errors import DataError
from e2r.flops.architecture import Architecture
from e2r.flops.conventions import CONVENTIONS
from e2r.flops.estimate import by_unit, priced
from e2r.flops.expression import Expression, Json
from e2r.flops.hardware import least_weight_bytes
from e2r.flops.operations import Operation
from e2r.flops.traffic import resident, traffic
from e2r.flops.work import LONGEST

FORMAT = "e2r-coefficients-3"


def coefficients(models: Mapping[str, Architecture]) -> dict[str, Any]:
    """What prices any call of the models, without what is known about them by name.

    `units` are expressions as `Expression.to_json` writes them. A model's `flops` under a
    convention is a list of [place in units, coefficient]: their products summed are a call's FLOPs.
    `memory` is the same for the bytes held at its end, `longest` for the tokens to compare with
    `context`, for `cache` the bytes of keys and values read and written. A convention that does not
    describe a model is left out. `weight_bytes` are those that no pass can do without: a first one
    that reads no head, a first one that does, and each further one.
    """
    units: dict[Expression, int] = {}

    def listed(operations: Iterable[Operation]) -> list[list[int]]:
        return [
            [units.setdefault(unit, len(units)), total]
            for unit, total in by_unit(operations).items()
        ]

    made = []
    for name, arch in models.items():
        flops = {}
        for convention in CONVENTIONS.values():
            try:
                flops[convention.name] = listed(priced(arch, convention))
            except DataError:
                continue
        made.append(
            {
                "name": name,
                "mode": arch.mode,
                "task": arch.task,
                "context": arch.context,
                "parameters": arch.parameters.total,
                "weight_bytes": list(least_weight_bytes(arch)),
                "longest": [[units.setdefault(LONGEST[arch.mode], len(units)), 1]],
                "memory": listed(resident(arch)),
                "cache": listed(op for op in traffic(arch) if op.name == "cache"),
                "flops": flops,
            }
        )
    exported: list[Json] = [unit.to_json() for unit in units]
    return {"format": FORMAT, "units": exported, "models": made}
