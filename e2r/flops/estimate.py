"""estimate(architecture, usage, convention): coefficients times work, exact."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from e2r.errors import UsageError, unknown
from e2r.flops.architecture import Architecture
from e2r.flops.conventions import Convention
from e2r.flops.conventions import convention as by_name
from e2r.flops.expression import Expression
from e2r.flops.operations import Operation, not_counted, operations
from e2r.flops.structure import Parameters
from e2r.flops.traffic import traffic
from e2r.flops.work import LONGEST, Counts, Usage

INT64_END = 2**63


@dataclass(frozen=True)
class Cost:
    """FLOPs of one operation: an int, or an array with one entry a call."""

    part: str
    name: str
    flops: Counts


@dataclass(frozen=True, eq=False)
class Estimate:
    """What a usage costs.

    `flops` is a Python int for a usage of ints, else an array of the usage's shape: int64 where an
    exact bound shows that nothing on the way reaches 2**63, otherwise Python ints (dtype object).
    Both are exact; sum millions of calls with `total`, because an int64 sum may overflow.
    """

    architecture: Architecture
    usage: Usage
    convention: Convention
    variables: Mapping[str, Counts]

    def __repr__(self) -> str:
        name, said = self.architecture.name, self.convention.name
        calls = "" if isinstance(self.flops, int) else f" in {len(self.flops)} calls"
        return f"<Estimate of {name}: {self.total:,} FLOPs by {said}{calls}>"

    def _repr_html_(self) -> str:
        """FLOPs by part and operation, as a notebook shows them."""
        from html import escape

        cell = '<td style="text-align: right">'
        lines = "".join(
            f"<tr><td>{escape(cost.part)}</td><td>{escape(cost.name)}</td>{cell}{_sum(cost.flops):,}"
            f"</td>{cell}{_sum(cost.flops) / max(1, self.total):.1%}</td></tr>"
            for cost in self.operations
        )
        return f"<p>{escape(repr(self))}</p><table>{lines}</table>"

    @cached_property
    def flops(self) -> Counts:
        """FLOPs of each call."""
        key = f"{self.convention.name}/by unit"
        sums = self.architecture.cache.get(key)
        if sums is None:
            sums = by_unit(priced(self.architecture, self.convention))
            self.architecture.cache[key] = sums
        return self._shaped(sums)

    @cached_property
    def operations(self) -> tuple[Cost, ...]:
        """FLOPs of each operation; they sum to `flops`."""
        return tuple(
            Cost(op.part, op.name, evaluate({op.unit: op.coefficient}, self.variables))
            for op in priced(self.architecture, self.convention)
        )

    def pieces(self, most: int) -> Iterator[tuple[slice, Estimate]]:
        """The same of at most so many calls at a time, and their places; for usages of arrays.

        What is made of a piece's figures need not be held for all calls at once.
        """
        of_usage = {field.name: getattr(self.usage, field.name) for field in fields(Usage)}
        [calls] = _shape(self.variables) or (0,)

        def cut(counts: Mapping[str, Any], places: slice) -> dict[str, Any]:
            arrays = {name: value for name, value in counts.items() if hasattr(value, "shape")}
            return {**counts, **{name: value[places] for name, value in arrays.items()}}

        for start in range(0, calls, most):
            places = slice(start, start + most)
            usage = Usage(**cut(of_usage, places))
            yield places, replace(self, usage=usage, variables=cut(self.variables, places))

    @property
    def not_counted(self) -> tuple[str, ...]:
        """Arithmetic that the model does and this convention leaves out, by name."""
        return not_counted(self.architecture, self.convention)

    @property
    def parameters(self) -> Parameters:
        """Stored and active weights of the architecture."""
        return self.architecture.parameters

    @cached_property
    def bytes(self) -> Counts:
        """Bytes moved by each call, at least (see `traffic`)."""
        return self._shaped(by_unit(traffic(self.architecture)))

    @property
    def total(self) -> int:
        """The exact sum over all calls."""
        if isinstance(self.flops, int):
            return self.flops
        if self.flops.dtype == object:
            return int(self.flops.sum())
        high, low = self.flops >> 32, self.flops & 0xFFFFFFFF
        return (int(high.sum()) << 32) + int(low.sum())

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the figures silently assume and the user should know."""
        context = self.architecture.context
        longest = LONGEST[self.architecture.mode].evaluate(self.variables)
        longest = longest if isinstance(longest, int) else int(longest.max())
        if context is None or longest <= context:
            return ()
        return (
            f"{longest} tokens exceed the {context} that {self.architecture.name} was made for; "
            f"the figure is what they would cost",
        )

    def _shaped(self, sums: Mapping[Expression, int]) -> Counts:
        value: Counts = evaluate(sums, self.variables)
        shape = _shape(self.variables)
        if shape is not None and getattr(value, "shape", ()) != shape:
            import numpy

            return numpy.full(shape, value)
        return value


def _sum(flops: Counts) -> int:
    return flops if isinstance(flops, int) else sum(int(value) for value in flops.ravel())


def estimate(
    architecture: Architecture | str | Path | Mapping[str, Any],
    usage: Usage | None = None,
    convention: str | Convention = "ideal",
    **tokens: Any,
) -> Estimate:
    """The cost of a usage under a convention ("ideal", "torch", "deepspeed", "paper").

    The architecture may be named, as in `Architecture.load`; the usage may be said by its fields:
    `estimate("Qwen/Qwen3-8B", prompt_tokens=400)`. Raises UsageError for both at once, for a field
    that a usage does not have and for an unknown convention, and DataError where the usage asks
    for what the architecture does not have.
    """
    if not isinstance(architecture, Architecture):
        architecture = Architecture.load(architecture)
    usage = _usage(usage, tokens)
    chosen = by_name(convention) if isinstance(convention, str) else convention
    unsaid = usage.head is None and usage.head_positions is None
    if unsaid and architecture.mode != "causal" and not chosen.asked_only:
        # Masked-language models and encoder-decoders read every position, whoever asks.
        usage = replace(usage, head="all")
    variables = usage.variables(architecture.mode, architecture.generates)
    return Estimate(architecture, usage, chosen, variables)


def _usage(usage: Usage | None, tokens: Mapping[str, Any]) -> Usage:
    if usage is not None and tokens:
        raise UsageError(f"give a Usage or its fields, not both: {', '.join(tokens)}")
    known = [field.name for field in fields(Usage)]
    for name in tokens:
        if name not in known:
            raise unknown("field of a usage", name, known)
    if usage is None and not tokens:
        raise UsageError("no tokens: give a Usage, or prompt_tokens=400 and its like")
    return Usage(**tokens) if usage is None else usage


def priced(architecture: Architecture, convention: Convention) -> tuple[Operation, ...]:
    """The operations that a convention counts of an architecture, computed once and kept."""
    kept: tuple[Operation, ...] | None = architecture.cache.get(convention.name)
    if kept is None:
        kept = architecture.cache[convention.name] = operations(architecture, convention)
    return kept


def by_unit(operations: Iterable[Operation]) -> dict[Expression, int]:
    """The coefficients of equal units added up, so that each unit is evaluated once."""
    sums: dict[Expression, int] = {}
    for op in operations:
        sums[op.unit] = sums.get(op.unit, 0) + op.coefficient
    return sums


def evaluate(sums: Mapping[Expression, int], variables: Mapping[str, Counts]) -> Any:
    """Coefficients times work, summed: an int, or an array that holds no overflow."""
    if _shape(variables) is not None and not _fits(sums, variables):
        variables = {name: _objects(value) for name, value in variables.items()}
    total: Any = 0
    for unit, coefficient in sums.items():
        total = total + coefficient * unit.evaluate(variables)
    return total


def _fits(sums: Mapping[Expression, int], variables: Mapping[str, Counts]) -> bool:
    ends = {
        name: (value, value) if isinstance(value, int) else (int(value.min()), int(value.max()))
        for name, value in variables.items()
    }
    total = 0
    for unit, coefficient in sums.items():
        (_, high), seen = unit.bounds(ends)
        if seen >= INT64_END:
            return False
        total += coefficient * high
    return total < INT64_END


def _objects(value: Counts) -> Counts:
    return value if isinstance(value, int) else value.astype(object)


def _shape(variables: Mapping[str, Counts]) -> tuple[int, ...] | None:
    arrays = [value for value in variables.values() if not isinstance(value, int)]
    if not arrays:
        return None
    import numpy

    return numpy.broadcast_shapes(*(array.shape for array in arrays))
