"""Bytes that a call moves and holds, as coefficients times the same units of work as FLOPs.

A floor, not a measurement: each pass reads each weight it needs once, each product reads its input
and writes its output once, keys and values are written once and read once a pass, and attention
scores never leave the chip. Weights, cache and activations have VALUE bytes each.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from e2r.flops.blocks import Term
from e2r.flops.conventions import CONVENTIONS
from e2r.flops.expression import Constant, Expression, maximum, minimum
from e2r.flops.operations import Operation, unit
from e2r.flops.work import (
    CACHED,
    DECODER_PROMPT,
    HEAD,
    ONCE,
    PASSES,
    PROMPT,
    STEPS,
    TOKENS,
    Mode,
    band,
)

if TYPE_CHECKING:
    from e2r.flops.architecture import Architecture

VALUE = 2
"""Bytes of one number: 16-bit floating point."""


def traffic(arch: Architecture) -> tuple[Operation, ...]:
    """Bytes moved: weights, cache and activations of each part."""
    sums: dict[tuple[str, str, Expression], int] = {}

    def add(part: str, name: str, values: int, of: Expression) -> None:
        if values:
            sums[part, name, of] = sums.get((part, name, of), 0) + VALUE * values

    for part, mode, count, term in arch.placed():
        add(part, "weights", count * _weights(term), _whole(term, _readings(mode, term, part)))
        add(part, "activations", count * _activations(term), _unit(mode, term))
        if term.stored:
            add(part, "cache", count * term.stored, _whole(term, _cache(mode, term)))
    return tuple(Operation(part, name, total, of) for (part, name, of), total in sums.items())


def resident(arch: Architecture) -> tuple[Operation, ...]:
    """Bytes held at once, at most: all weights, and the fuller stack at work.

    A stack at work holds its cache and its widest product. An encoder keeps no cache: the keys and
    values of one layer are gone before the next is read.
    """
    kept: dict[Mode, Expression] = {}
    widest: dict[Mode, int] = {}
    layer: dict[Mode, int] = {}
    for part, mode, count, term in arch.placed():
        if term.stored and mode == "encoder":
            layer[mode] = max(layer.get(mode, 0), term.stored)
        elif term.stored:
            cache = _whole(term, _kept(mode, term)) * (VALUE * count * term.stored)
            kept[mode] = kept[mode] + cache if mode in kept else cache
        if part != "head":
            widest[mode] = max(widest.get(mode, 0), _activations(term))
    at_work = [
        kept.get(mode, Constant(0)) + FIRST_PASS[mode] * (VALUE * (values + layer.get(mode, 0)))
        for mode, values in widest.items()
    ]
    fullest = at_work[0]
    for other in at_work[1:]:
        fullest = maximum(fullest, other)
    return (
        Operation("model", "weights", VALUE * arch.parameters.total, ONCE),
        Operation("model", "cache and activations", 1, fullest),
    )


FIRST_PASS: Mapping[Mode, Expression] = {
    "causal": PROMPT - CACHED,
    "encoder": PROMPT,
    "decoder": DECODER_PROMPT,
}
"""Tokens that a stack's first pass works on at once."""


def _whole(term: Term, unit: Expression) -> Expression:
    return unit.with_(dict(term.left))


def _weights(term: Term) -> int:
    if term.kind == "embedding":
        return term.active or 0
    # A tied head owns no weights but reads the embedding's.
    return (term.parameters or term.inputs * term.outputs) // term.total


def _readings(mode: Mode, term: Term, part: str) -> Expression:
    if term.kind == "embedding":
        return TOKENS[mode]
    if term.total > 1:
        touched = minimum(FIRST_PASS[mode] * term.copies, term.total)
        return touched if mode == "encoder" else touched + STEPS * term.copies
    if part == "head" and term.per == "position":
        read = minimum(HEAD, 1)
        return read if mode == "encoder" else read + STEPS
    if term.per in ("source", "call", "score"):
        return ONCE
    return PASSES[mode]


def _activations(term: Term) -> int:
    return term.copies * (term.inputs + term.outputs)


def _unit(mode: Mode, term: Term) -> Expression:
    return unit(mode, term, CONVENTIONS["ideal"])


def _cache(mode: Mode, term: Term) -> Expression:
    if term.per == "recurrent":
        return PASSES[mode] * 2
    if term.per == "cross":
        return PROMPT + PASSES[mode] * PROMPT
    if mode == "encoder":
        return PROMPT * 2
    start = PROMPT if mode == "causal" else DECODER_PROMPT
    steps = band(start + STEPS, term.window) - band(start, term.window)
    if mode == "decoder":
        return TOKENS[mode] + start + steps
    kept: Expression = CACHED if term.window is None else minimum(CACHED, term.window - 1)
    return TOKENS[mode] + (kept + (PROMPT - CACHED)) + steps


def _kept(mode: Mode, term: Term) -> Expression:
    if term.per == "recurrent":
        return ONCE
    if term.per == "cross":
        return PROMPT
    end = (PROMPT if mode == "causal" else DECODER_PROMPT) + STEPS
    return end if term.window is None else minimum(end, Constant(term.window))
