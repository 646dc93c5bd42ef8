"""Architecture → operations: each an exact integer coefficient and the unit that it multiplies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from e2r.flops import paper, recurrent
from e2r.flops.blocks import COUNTED_NAMES, Term
from e2r.flops.expression import Constant, Expression, Json, minimum
from e2r.flops.work import (
    CONTEXT,
    HEAD,
    ONCE,
    PAIRS,
    PASSES,
    PROMPT,
    STEPS,
    TOKENS,
    Mode,
)

if TYPE_CHECKING:
    from e2r.flops.architecture import Architecture
    from e2r.flops.conventions import Convention


@dataclass(frozen=True)
class Operation:
    """`coefficient` FLOPs for each `unit`, in a part of the model: encoder, decoder or head.

    `name` is the module path inside a layer; equal layers are summed into one operation.
    """

    part: str
    name: str
    coefficient: int
    unit: Expression

    def to_json(self) -> dict[str, Json]:
        """The operation as a page's script evaluates it: coefficient times the unit's value."""
        return {
            "part": self.part,
            "name": self.name,
            "coefficient": self.coefficient,
            "unit": self.unit.to_json(),
        }


def operations(arch: Architecture, convention: Convention) -> tuple[Operation, ...]:
    """What the convention counts of an architecture; equal (part, name, unit) are one operation."""
    if convention.closed_form:
        return tuple(Operation(*row) for row in paper.operations(arch))
    sums: dict[tuple[str, str, Expression], int] = {}
    for part, mode, count, term in arch.placed():
        if term.flops and term.kind in convention.kinds:
            key = part, term.name, unit(mode, term, convention)
            sums[key] = sums.get(key, 0) + count * term.flops
    return tuple(Operation(part, name, total, of) for (part, name, of), total in sums.items())


def not_counted(arch: Architecture, convention: Convention) -> tuple[str, ...]:
    """Names of the kinds of arithmetic that the model does and the convention leaves out."""
    if convention.closed_form:
        return (*paper.NOT_COUNTED, *arch.gaps)
    names: dict[str, None] = {}
    for _, term in arch.terms():
        if term.kind not in convention.kinds:
            function = term.kind.removeprefix("activation.")
            names[COUNTED_NAMES.get(term.kind, f"{function} activation")] = None
    return (*names, *arch.gaps)


def unit(mode: Mode, term: Term, convention: Convention) -> Expression:
    """The work that a term's coefficient multiplies in a stack of this mode."""
    return _unit(mode, term, convention).with_(dict(term.left))


def _unit(mode: Mode, term: Term, convention: Convention) -> Expression:
    tokens = TOKENS[mode]
    match term.per:
        case "token":
            return tokens
        case "pair":
            return PAIRS[mode](term.window, convention.mask)
        case "piece pair":
            return PROMPT * PROMPT // (term.window or 1)
        case "source":
            return PROMPT
        case "cross":
            return tokens * PROMPT
        case "context":
            return tokens if convention.mask == "attended" else CONTEXT
        case "relative":
            reach: Expression = Constant(term.window or 0)
            return tokens * (minimum(tokens, reach) if convention.asked_only else reach)
        case "position":
            if mode == "decoder" and convention.whole_decoder_head:
                return tokens
            return HEAD if mode == "encoder" else HEAD + STEPS
        case "score":
            return HEAD if convention.asked_only else tokens
        case "call":
            return ONCE
        case "pass":
            return PASSES[mode]
        case "convolved":
            return tokens if convention.asked_only else recurrent.convolved(term.window or 1)
        case "chunk token" | "chunk pair" | "chunk carry":
            return _chunked(term)
        case "recurrent":
            return tokens if convention.asked_only else recurrent.STEPPED


def _chunked(term: Term) -> Expression:
    size = term.window or 1
    match term.per:
        case "chunk token":
            return recurrent.chunks(size) * size
        case "chunk pair":
            return recurrent.chunks(size) * (size * size)
        case _:
            return recurrent.carried(size)
