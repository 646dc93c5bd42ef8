"""What a query asks of a device: its calls, as the clock and a calibration look at them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from e2r.flops.architecture import Architecture
from e2r.flops.estimate import by_unit, estimate, evaluate
from e2r.flops.hardware import least_weight_bytes
from e2r.flops.traffic import traffic
from e2r.flops.work import Usage


@dataclass(frozen=True)
class Demand:
    """What a query asks of a device, as means over queries: the clock's only view of it.

    `steps` are decoding steps, summed over calls, of which every call takes `fewest_steps` at
    least. FLOPs are those of `ideal`. `usages` and `weights` are the kinds of calls and how many
    of each a query makes, which a calibration looks up one by one.
    """

    architecture: Architecture
    calls: float
    rounds: float
    steps: float = 0.0
    fewest_steps: int = 0
    prefill_flops: float = 0.0
    decode_flops: float = 0.0
    cache_read_bytes: float = 0.0
    prefill_weight_bytes: int = 0
    decode_weight_bytes: int = 0
    usages: Usage | None = None
    weights: Any = None

    def variables(self) -> dict[str, float]:
        """The figures that FLOOR reads, by name."""
        names = (
            "calls",
            "rounds",
            "steps",
            "fewest_steps",
            "prefill_flops",
            "decode_flops",
            "cache_read_bytes",
            "prefill_weight_bytes",
            "decode_weight_bytes",
        )
        return {name: getattr(self, name) for name in names}


def demand(architecture: Architecture, usages: Usage | None, weights: Any, rounds: float) -> Demand:
    """What a query asks, from the kinds of its calls (arrays) and how many it makes of each.

    `usages` is None where it asks the model nothing.
    """
    import numpy

    if usages is None:
        return Demand(architecture, 0.0, rounds)
    counts = numpy.asarray(weights, dtype=float)
    first = replace(usages, generated_tokens=numpy.minimum(usages.generated_tokens, 1))
    cache = by_unit(op for op in traffic(architecture) if op.name == "cache")
    flops, read = [], []
    for phase in (first, usages):
        priced = estimate(architecture, phase)
        flops.append(_sum(priced.flops, counts))
        read.append(_sum(evaluate(cache, priced.variables), counts))
    steps = numpy.maximum(usages.generated_tokens, 1) - 1
    heads = usages.head_positions
    headed = heads is None or bool((numpy.asarray(heads) > 0).all())
    without, with_head, further = least_weight_bytes(architecture)
    return Demand(
        architecture,
        calls=float(counts.sum()),
        rounds=float(rounds),
        steps=_sum(steps, counts),
        fewest_steps=int(numpy.min(steps)),
        prefill_flops=flops[0],
        decode_flops=flops[1] - flops[0],
        cache_read_bytes=read[1] - read[0],
        prefill_weight_bytes=with_head if headed else without,
        decode_weight_bytes=further,
        usages=usages,
        weights=counts,
    )


def usages_of(architecture: Architecture, kinds: Sequence[Usage]) -> Usage | None:
    """The kinds of calls as one usage of arrays; None where there is none."""
    import numpy

    if not kinds:
        return None
    rows = [usage.variables(architecture.mode, architecture.generates) for usage in kinds]
    columns: dict[str, Any] = {
        name: numpy.array([row[name] for row in rows], dtype=numpy.int64) for name in rows[0]
    }
    if architecture.mode != "decoder":
        del columns["decoder_prompt_tokens"]
    return Usage(**columns)


def _sum(amounts: Any, counts: Any) -> float:
    import numpy

    values = numpy.broadcast_to(numpy.asarray(amounts, dtype=float), counts.shape)
    return float((values * counts).sum())
