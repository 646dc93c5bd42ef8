"""The one clock: what the calls of a query take on a device, in seconds, joules and money.

`estimate`, `plan`, `budget`, `capacity`, `evaluate` and the what-if page ask it and nobody else.
Two figures are told apart by name everywhere. The floor is a roofline at a data sheet's peaks and
proven: no run that does the arithmetic of the convention `ideal` is faster (ADR 6 has the proof).
The expected one follows from a calibration of the device, else from a stated utilisation.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any

from e2r.errors import DataError, UsageError
from e2r.flops.expression import Constant, Expression, Variable, maximum, minimum
from e2r.flops.first_stage import Stage
from e2r.flops.hardware import Accelerator, call_memory
from e2r.forecast.calibration import Calibration
from e2r.forecast.demand import Demand

BATCH = 16
"""Calls that share a pass at most, as `e2r run` has it unless told otherwise."""
FULL_BITS = 16
"""Bits of a weight, where nothing else is said."""

_SHARED = Variable("concurrency")
_PASSES = maximum(Variable("rounds") / _SHARED, Variable("calls") / Variable("batch_size"))
_STEPS = maximum(
    Variable("rounds") * Variable("fewest_steps") / _SHARED,
    Variable("steps") / Variable("batch_size"),
)
_CACHE = Variable("cache")


def _read(weights: str) -> Expression:
    return Variable(weights) * Variable("weight_bits") / FULL_BITS


def _kept(weights: Expression) -> Expression:
    return maximum(weights - _CACHE, 0)


_FURTHER = _read("decode_weight_bytes")
FLOOR: Mapping[str, Expression] = {
    "prefill": maximum(
        Variable("prefill_flops") / Variable("peak_flops"),
        _PASSES * _kept(_read("prefill_weight_bytes")) / Variable("bandwidth"),
    ),
    "decode": maximum(
        Variable("decode_flops") / Variable("peak_flops"),
        maximum(
            _STEPS * _kept(_FURTHER)
            + Variable("cache_read_bytes")
            - Variable("steps") * maximum(_CACHE - _FURTHER, 0),
            0,
        )
        / Variable("bandwidth"),
    ),
    "first_stage": maximum(
        Variable("first_stage_flops") / Variable("peak_flops"),
        _kept(Variable("first_stage_bytes")) / _SHARED / Variable("bandwidth"),
    ),
}
"""Least seconds of the device for a query, by part, as expressions that a page evaluates too.

A phase takes the longer of its arithmetic and its reading. The rounds of a query wait for one
another, so that it takes a pass a round at least; the calls of a round, and of the queries in
flight, share passes up to the batch. Each pass reads the weights, and each decoding step the keys
and values of its calls, but for what the chip can keep.
"""
SECONDS = Variable("seconds")
OF_SECONDS: Mapping[str, Expression] = {
    "latency": SECONDS * _SHARED,
    "queries_per_second": Constant(1) / SECONDS,
    "accelerators": SECONDS * Variable("qps"),
    "joules": SECONDS * Variable("watts"),
    "price_per_million": SECONDS * Variable("price_per_hour") * 1_000_000 / 3600,
    "expected": SECONDS / Variable("utilization"),
}
"""What follows from the device's seconds for a query, whichever they are.

`latency` is what passes for a query while so many are in flight. `accelerators` is before it is
rounded up. `expected` is the floor at a share of both peaks.
"""
MEMORY = Variable("weight_memory") * Variable("weight_bits") / FULL_BITS + Variable(
    "call_memory"
) * minimum(Variable("batch_size"), Variable("calls") * _SHARED)
"""Bytes held: the weights, and cache and activations of every call of a full pass."""


@dataclass(frozen=True)
class Seconds:
    """Seconds of the device for a query, by part; `first_stage` is in the total."""

    prefill: float
    decode: float
    first_stage: float = 0.0

    @property
    def total(self) -> float:
        """All of them."""
        return self.prefill + self.decode + self.first_stage


@dataclass(frozen=True)
class Timed:
    """A query on a device: the floor, and the expected seconds where something tells them.

    `basis` says what the expected ones follow from. `concurrency` queries are in flight, so that
    one of them lasts as many times longer than the device's seconds for it.
    """

    floor: Seconds
    expected: Seconds | None
    basis: str | None
    device: Accelerator
    concurrency: int = 1
    price_per_hour: float | None = None

    @property
    def best(self) -> Seconds:
        """The expected seconds, else the floor."""
        return self.expected or self.floor

    def told(self, name: str, seconds: Seconds | None = None, **more: float) -> float | None:
        """A figure of OF_SECONDS for the best known seconds; None where something is unknown."""
        taken = (seconds or self.best).total
        known = {
            "concurrency": float(self.concurrency),
            "seconds": taken,
            "watts": self.device.watts,
            "price_per_hour": self.price_per_hour,
            **more,
        }
        if not taken and name == "queries_per_second":
            return None
        try:
            return float(OF_SECONDS[name].evaluate(known))
        except TypeError:
            return None

    def figures(self) -> dict[str, Any]:
        """What commands print, floor and expected apart; None where nothing tells."""
        found: dict[str, Any] = {
            "accelerator": self.device.name,
            "concurrency": self.concurrency,
            "expected_from": self.basis,
        }
        for word, seconds in (("floor", self.floor), ("expected", self.expected)):
            found[f"{word}_seconds_per_query"] = None if seconds is None else seconds.total
            for name, key in TOLD.items():
                found[f"{word}_{key}"] = None if seconds is None else self.told(name, seconds)
        return found


TOLD = {
    "latency": "latency_seconds",
    "joules": "joules_per_query",
    "price_per_million": "price_per_million_queries",
}
"""Figures that are printed beside seconds, and what they are called there."""


@dataclass(frozen=True)
class Clock:
    """A device, and how it is used. Raises UsageError for shares, prices and counts that cannot be.

    `utilization` is the share of both peaks that is reached; with a calibration it is not asked.
    """

    device: Accelerator
    utilization: float | None = None
    calibration: Calibration | None = None
    batch_size: int = BATCH
    concurrency: int = 1
    price_per_hour: float | None = None
    weight_bits: int = FULL_BITS
    batch_tokens: int | None = None

    def __post_init__(self) -> None:
        if self.utilization is not None and not 0 < self.utilization <= 1:
            raise UsageError(
                f"utilization is {self.utilization}; give the share of the peak that is reached, "
                "above 0 and at most 1"
            )
        if self.utilization is not None and self.calibration is not None:
            raise UsageError(
                "a calibration has measured what is reached: drop the utilization, or name an "
                "accelerator"
            )
        if self.weight_bits != FULL_BITS and self.calibration is not None:
            raise UsageError(
                "a calibration has measured its own weights: --weight-bits is for an accelerator"
            )
        if self.price_per_hour is not None and not 0 <= self.price_per_hour < float("inf"):
            raise UsageError(f"the price of an hour is {self.price_per_hour}; it is at least 0")
        for name in ("batch_size", "concurrency", "weight_bits"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} is {getattr(self, name)}; it has to be at least 1")

    def settings(self) -> dict[str, float]:
        """The figures of device and use that FLOOR reads, by name."""
        return {
            "peak_flops": self.device.flops,
            "bandwidth": self.device.bandwidth,
            "cache": self.device.cache,
            "batch_size": float(self.batch_size),
            "concurrency": float(self.concurrency),
            "weight_bits": float(self.weight_bits),
        }

    def time(self, asked: Demand, first_stage: Iterable[Stage] = ()) -> Timed:
        """The seconds of a query."""
        stages = list(first_stage)
        known = {
            **asked.variables(),
            **self.settings(),
            "first_stage_flops": float(sum(stage.flops for stage in stages)),
            "first_stage_bytes": float(sum(stage.bytes for stage in stages)),
        }
        floor = Seconds(**{name: float(part.evaluate(known)) for name, part in FLOOR.items()})
        expected, basis = self._expected(asked, floor)
        return Timed(floor, expected, basis, self.device, self.concurrency, self.price_per_hour)

    def _expected(self, asked: Demand, floor: Seconds) -> tuple[Seconds | None, str | None]:
        if self.calibration is not None:
            prefill, decode = self.calibration.seconds(
                asked, self.batch_size, self.batch_tokens, self.concurrency
            )
            return Seconds(prefill, decode, floor.first_stage), f"calibration {self.device.name}"
        if self.utilization is None:
            return None, None

        def share(seconds: float) -> float:
            known = {"seconds": seconds, "utilization": self.utilization}
            return float(OF_SECONDS["expected"].evaluate(known))

        shares = Seconds(share(floor.prefill), share(floor.decode), share(floor.first_stage))
        return shares, f"utilization {self.utilization:g}"

    def memory(self, asked: Demand) -> int:
        """Bytes held with every call of a full pass at its end (see MEMORY)."""
        weights = 2 * asked.architecture.parameters.total
        held = 0 if asked.usages is None else call_memory(asked.architecture, asked.usages)
        known = {
            **self.settings(),
            "calls": asked.calls,
            "weight_memory": weights,
            "call_memory": held,
        }
        return round(float(MEMORY.evaluate(known)))

    def refuse_unfit(self, name: str, held: float) -> None:
        """Raise DataError where a model needs more memory than the device has; how many hold it."""
        if held > self.device.memory:
            raise DataError(
                f"{name} does not fit into {self.device.name}: it holds {held / 1e9:,.1f} GB of "
                f"{self.device.memory / 1e9:,.0f} GB; {ceil(held / self.device.memory)} of them "
                "would hold it, and fewer bits a weight (--weight-bits) or a smaller --batch-size "
                "need less"
            )
