"""What a family says of a model: stacks of layers declared as terms, and the head on top."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from e2r.flops.blocks import Term, Terms
from e2r.flops.config import Task
from e2r.flops.work import Mode


@dataclass(frozen=True)
class PaperShape:
    """What Eq. 9-15 of the paper know of a layer: heads and the sum of active FFN widths."""

    heads: int
    kv_heads: int
    ffn_width: int


@dataclass(frozen=True)
class Layer:
    """One layer's terms; layers of equal kind share one object."""

    terms: Terms
    paper: PaperShape | None = None


@dataclass(frozen=True)
class Stack:
    """Layers in order, and the terms around them that every token meets once."""

    part: str
    mode: Mode
    width: int
    layers: tuple[Layer, ...]
    outer: Terms = ()

    def groups(self) -> list[tuple[int, Layer]]:
        """Each distinct layer with the number of times it occurs, in order of first occurrence."""
        counts: dict[int, int] = {}
        layers: dict[int, Layer] = {}
        for layer in self.layers:
            counts[id(layer)] = counts.get(id(layer), 0) + 1
            layers[id(layer)] = layer
        return [(counts[key], layer) for key, layer in layers.items()]


@dataclass(frozen=True)
class Parameters:
    """Weights: all that are stored, and those that one token meets."""

    total: int
    active: int


@dataclass(frozen=True, eq=False)
class Structure:
    """A model as arithmetic. Two are equal when their config facts are.

    `config` holds the config facts as a plain dict, enough to build the same again.
    `gaps` names arithmetic that no term describes; it is reported as not counted. `context` is the
    longest input the model was made for, or None where positions are relative.
    """

    name: str
    model_type: str
    task: Task
    stacks: tuple[Stack, ...]
    head: Terms
    context: int | None
    config: Mapping[str, Any] = field(default_factory=dict)
    gaps: tuple[str, ...] = ()
    cache: dict[str, Any] = field(default_factory=dict, repr=False)

    @property
    def mode(self) -> Mode:
        """How the stack that reads or writes the answer works: its last one."""
        return self.stacks[-1].mode

    @property
    def generates(self) -> bool:
        """Whether it writes tokens."""
        return generates(self.mode, self.task)

    @property
    def parameters(self) -> Parameters:
        """Stored and active weights."""
        total = active = 0
        for count, term in self.terms():
            total += count * term.parameters
            active += count * (term.parameters if term.active is None else term.active)
        return Parameters(total, active)

    def terms(self) -> Iterator[tuple[int, Term]]:
        """Every term with the number of times it occurs."""
        for _, _, count, term in self.placed():
            yield count, term

    def placed(self) -> Iterator[tuple[str, Mode, int, Term]]:
        """Every term as (part, mode, occurrences, term), stacks first, the head last."""
        for stack in self.stacks:
            for term in stack.outer:
                yield stack.part, stack.mode, 1, term
            for count, layer in stack.groups():
                for term in layer.terms:
                    yield stack.part, stack.mode, count, term
        for term in self.head:
            yield "head", self.mode, 1, term

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Structure):
            return NotImplemented
        return (self.config, self.task) == (other.config, other.task)

    def __hash__(self) -> int:
        return hash((self.model_type, self.task, self.name))


def generates(mode: Mode, task: Task) -> bool:
    """Whether such a model writes tokens: encoders, classifiers and embedders only read."""
    return task == "generation" and mode != "encoder"
