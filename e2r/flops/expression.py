"""Expressions over named variables: evaluated on numbers or arrays, exported as JSON.

The vocabulary is closed: constants, variables, +, -, *, //, min, max and, where a result need not
be whole, /. A unit of work is such an expression of integers, so that Python, NumPy and a page's
script evaluate the same formula and cannot differ.
"""

from __future__ import annotations

import operator
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

Number: TypeAlias = Any  # int, Fraction, or an array of either integers or objects
Json: TypeAlias = "int | str | list[Json]"
Interval: TypeAlias = tuple[int, int]


class Expression(ABC):
    """A node; arithmetic on nodes builds larger ones."""

    @abstractmethod
    def evaluate(self, variables: Mapping[str, Number]) -> Number:
        """The value, in the type of the variables: an int for ints, an array for arrays."""

    @abstractmethod
    def bounds(self, variables: Mapping[str, Interval]) -> tuple[Interval, int]:
        """An interval that holds the value, and the largest magnitude met on the way to it."""

    @abstractmethod
    def with_(self, replaced: Mapping[str, Expression]) -> Expression:
        """The same with other expressions in the place of some variables."""

    @abstractmethod
    def to_json(self) -> Json:
        """A number, a variable's name, or [operator, left, right]."""

    def __add__(self, other: Expression | int) -> Expression:
        return Binary("+", self, _node(other))

    def __sub__(self, other: Expression | int) -> Expression:
        return Binary("-", self, _node(other))

    def __mul__(self, other: Expression | int) -> Expression:
        return Binary("*", self, _node(other))

    def __floordiv__(self, other: int) -> Expression:
        return Binary("//", self, _node(other))

    def __truediv__(self, other: Expression | int) -> Expression:
        return Binary("/", self, _node(other))


@dataclass(frozen=True, slots=True)
class Constant(Expression):
    """An integer."""

    value: int

    def evaluate(self, variables: Mapping[str, Number]) -> Number:
        return self.value

    def bounds(self, variables: Mapping[str, Interval]) -> tuple[Interval, int]:
        return (self.value, self.value), abs(self.value)

    def with_(self, replaced: Mapping[str, Expression]) -> Expression:
        return self

    def to_json(self) -> Json:
        return self.value


@dataclass(frozen=True, slots=True)
class Variable(Expression):
    """A named amount that the usage supplies."""

    name: str

    def evaluate(self, variables: Mapping[str, Number]) -> Number:
        return variables[self.name]

    def bounds(self, variables: Mapping[str, Interval]) -> tuple[Interval, int]:
        low, high = variables[self.name]
        return (low, high), max(abs(low), abs(high))

    def with_(self, replaced: Mapping[str, Expression]) -> Expression:
        return replaced.get(self.name, self)

    def to_json(self) -> Json:
        return self.name


@dataclass(frozen=True, slots=True)
class Binary(Expression):
    """One of + - * // / min max on two expressions."""

    operator: str
    left: Expression
    right: Expression

    def evaluate(self, variables: Mapping[str, Number]) -> Number:
        left = self.left.evaluate(variables)
        return _APPLY[self.operator](left, self.right.evaluate(variables))

    def bounds(self, variables: Mapping[str, Interval]) -> tuple[Interval, int]:
        (low, high), seen = self.left.bounds(variables)
        (low2, high2), seen2 = self.right.bounds(variables)
        apply = _APPLY[self.operator]
        match self.operator:
            case "-":
                corners = [low - high2, high - low2]
            case "*" | "//" | "/":
                corners = [apply(a, b) for a in (low, high) for b in (low2, high2)]
            case _:
                corners = [apply(low, low2), apply(high, high2)]
        interval = (min(corners), max(corners))
        return interval, max(seen, seen2, abs(interval[0]), abs(interval[1]))

    def with_(self, replaced: Mapping[str, Expression]) -> Expression:
        return Binary(self.operator, self.left.with_(replaced), self.right.with_(replaced))

    def to_json(self) -> Json:
        return [self.operator, self.left.to_json(), self.right.to_json()]


def minimum(left: Expression | int, right: Expression | int) -> Expression:
    """The smaller of the two."""
    return Binary("min", _node(left), _node(right))


def maximum(left: Expression | int, right: Expression | int) -> Expression:
    """The larger of the two."""
    return Binary("max", _node(left), _node(right))


def from_json(value: Json) -> Expression:
    """The expression that `to_json` wrote."""
    if isinstance(value, int):
        return Constant(value)
    if isinstance(value, str):
        return Variable(value)
    symbol, left, right = value
    return Binary(str(symbol), from_json(left), from_json(right))


def _node(value: Expression | int) -> Expression:
    return value if isinstance(value, Expression) else Constant(value)


def _smaller(left: Number, right: Number) -> Number:
    if isinstance(left, int | float) and isinstance(right, int | float):
        return left if left < right else right
    return _numpy().minimum(left, right)


def _larger(left: Number, right: Number) -> Number:
    if isinstance(left, int | float) and isinstance(right, int | float):
        return left if left > right else right
    return _numpy().maximum(left, right)


def _numpy() -> Any:
    import numpy

    return numpy


_APPLY: dict[str, Callable[[Number, Number], Number]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "//": operator.floordiv,
    "/": operator.truediv,
    "min": _smaller,
    "max": _larger,
}
