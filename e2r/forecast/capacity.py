"""The service question: how many accelerators for so many queries a second, and what saves some."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from math import ceil
from typing import Any

from e2r.errors import E2RError, UsageError
from e2r.flops.architecture import Architecture
from e2r.flops.first_stage import Stage
from e2r.flops.work import Usage
from e2r.forecast.clock import Clock, Timed
from e2r.forecast.demand import Demand, demand, usages_of
from e2r.forecast.lengths import Lengths, shared_beginning
from e2r.forecast.method import Answers, Forecast, forecast
from e2r.ranking import method as find
from e2r.ranking.method import SMALLEST

IN_FLIGHT = 16
"""Queries in flight of the lever that raises them."""


@dataclass(frozen=True)
class Asked:
    """What a service does for a query: a method on a model over so many candidates."""

    model: str
    architecture: Architecture
    method: str
    depth: int = 100
    k: int = 10
    parameters: Mapping[str, int] = field(default_factory=dict)
    lengths: Lengths = field(default_factory=Lengths)
    answers: Answers = "random"

    def forecast(self) -> Forecast:
        """Its price."""
        return forecast(
            self.architecture,
            self.method,
            depth=self.depth,
            k=min(self.k, self.depth),
            parameters=self.parameters,
            lengths=self.lengths,
            answers=self.answers,
        )


@dataclass(frozen=True)
class Service:
    """A service under a load: what a query takes, and the accelerators that the load needs.

    `accelerators` and `queries_per_second` (of one) follow from the expected seconds, else from the
    floor; `least_accelerators` from the floor.
    """

    qps: float
    timed: Timed
    memory: int
    forecast: Forecast

    @property
    def accelerators(self) -> int:
        """Accelerators for the load."""
        return ceil(self.timed.told("accelerators", qps=self.qps) or 0)

    @property
    def least_accelerators(self) -> int:
        """Fewer cannot do it."""
        return ceil(self.timed.told("accelerators", self.timed.floor, qps=self.qps) or 0)

    @property
    def queries_per_second(self) -> float | None:
        """What one accelerator does; None where a query takes nothing."""
        return self.timed.told("queries_per_second")

    def to_json(self) -> dict[str, Any]:
        """Every figure; what is not known is None."""
        return {
            "qps": self.qps,
            "accelerators": self.accelerators,
            "least_accelerators": self.least_accelerators,
            "queries_per_second_each": self.queries_per_second,
            "calls_per_query": self.forecast.calls,
            "rounds_per_query": self.forecast.rounds,
            "flops_per_query": self.forecast.flops,
            "memory_bytes": self.memory,
            **self.timed.figures(),
        }


@dataclass(frozen=True)
class Lever:
    """A change, and the service with it; `why` says where it cannot be had."""

    name: str
    service: Service | None
    why: str = ""


MOST_QPS = 10**9
"""More than all people ask together: beyond it a slip, whose figures no table holds."""


def capacity(asked: Asked, clock: Clock, qps: float, first_stage: tuple[Stage, ...]) -> Service:
    """The service of a load. Raises UsageError for one of no queries, DataError where the model
    with a full batch does not fit into the device."""
    if not 0 < qps <= MOST_QPS:
        raise UsageError(
            f"--qps is {qps:g}; give queries a second, more than 0 and at most {MOST_QPS:,}"
        )
    priced = asked.forecast()
    return _service(asked, clock, qps, first_stage, priced, priced.demand(asked.architecture))


def levers(asked: Asked, clock: Clock, qps: float, first_stage: tuple[Stage, ...]) -> list[Lever]:
    """What else the service would cost: changes that save, and one that wastes."""
    found = []
    for name, change in _changes(asked, clock):
        try:
            changed, at, wanted = change
            priced = changed.forecast()
            needs = wanted or priced.demand(changed.architecture)
            service = _service(changed, at, qps, first_stage, priced, needs)
        except E2RError as error:
            found.append(Lever(name, None, str(error)))
        else:
            found.append(Lever(name, service))
    return found


def _service(
    asked: Asked,
    clock: Clock,
    qps: float,
    first_stage: tuple[Stage, ...],
    priced: Forecast,
    needs: Demand,
) -> Service:
    held = clock.memory(needs)
    clock.refuse_unfit(asked.model, held)
    timed = clock.time(needs, first_stage)
    return Service(qps, timed, held, priced)


_Change = tuple[Asked, Clock, Demand | None]


def _changes(asked: Asked, clock: Clock) -> Iterator[tuple[str, _Change]]:
    lengths = asked.lengths
    half = max(1, lengths.passage // 2)
    shorter = replace(asked, lengths=replace(lengths, passage=half))
    yield f"passages of {half} tokens", (shorter, clock, None)
    if asked.depth > 1:
        yield f"depth {asked.depth // 2}", (replace(asked, depth=asked.depth // 2), clock, None)
    known = find(asked.method)
    chosen = known.complete(dict(asked.parameters))
    for name in ("set_size", "window"):
        if name in chosen:
            for size in (chosen[name] // 2, chosen[name] * 2):
                if SMALLEST[name] <= size <= known.most.get(name, size):
                    changed = {**asked.parameters, name: size}
                    if name == "window" and "step" in chosen:
                        changed["step"] = min(chosen["step"], size)
                    sized = replace(asked, parameters=changed)
                    yield f"{name.replace('_', ' ')} {size}", (sized, clock, None)
    if asked.architecture.mode == "causal" and asked.architecture.generates:
        yield "prefix reuse", (asked, clock, _reused(asked))
    if asked.architecture.mode == "causal" and asked.architecture.generates:
        yield "head at every position, as torch", (asked, clock, _whole_head(asked))
    if clock.weight_bits > 8 and clock.calibration is None:
        yield "8-bit weights", (asked, replace(clock, weight_bits=8), None)
    if clock.concurrency < IN_FLIGHT:
        yield (
            f"{IN_FLIGHT} queries in flight",
            (
                asked,
                replace(clock, concurrency=IN_FLIGHT),
                None,
            ),
        )


def _reused(asked: Asked) -> Demand:
    """The calls with the beginning that they share computed once a query."""
    shared = shared_beginning(find(asked.method).prompted_as, asked.lengths.query)
    priced = asked.forecast()
    whole = 1 / priced.calls if priced.calls else 0.0
    kinds: list[Usage] = []
    weights: list[float] = []
    for usage, weight in zip(priced.usages, priced.weights, strict=True):
        cached = max(int(usage.cached_tokens), min(shared, int(usage.prompt_tokens) - 1))
        kinds += [usage, replace(usage, cached_tokens=cached)]
        weights += [weight * whole, weight * (1 - whole)]
    arch = asked.architecture
    return demand(arch, usages_of(arch, kinds), weights, priced.rounds)


def _whole_head(asked: Asked) -> Demand:
    """The calls with the output head read at every position of the prompt."""
    priced = asked.forecast()
    kinds = [
        replace(
            usage,
            head=None,
            head_positions=int(usage.prompt_tokens) - int(usage.cached_tokens),
        )
        for usage in priced.usages
    ]
    arch = asked.architecture
    return demand(arch, usages_of(arch, kinds), priced.weights, priced.rounds)
