"""The published closed forms (arXiv 2507.06223v2, Eq. 9-15), their faults kept."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING

from e2r.errors import DataError
from e2r.flops.expression import Expression
from e2r.flops.work import GENERATED, PROMPT

if TYPE_CHECKING:
    from e2r.flops.architecture import Architecture
    from e2r.flops.structure import PaperShape, Stack

NOT_COUNTED = (
    "third matrix of gated FFNs",
    "query heads that share keys (attention is divided by the sharing ratio)",
    "output head",
    "head_dim other than width / heads",
    "cached prefix (the whole prompt is paid for)",
    "decoder prompt",
    "everything but matrix products",
)
"""What the equations leave out, named in reports."""

ATTENDED = PROMPT * GENERATED * 2 + GENERATED * (GENERATED - 1)
"""2·o·n + o·(o-1): twice the pairs of o output tokens over the prompt and their predecessors."""

Row = tuple[str, str, int, Expression]


def operations(arch: Architecture) -> tuple[Row, ...]:
    """(part, name, coefficient, unit) of each term of the equations.

    n is prompt_tokens and o is generated_tokens. The width a of all heads is taken as the model
    width d, as the authors' calculator does. Raises DataError for architectures that the
    equations do not describe, and where they give no whole number.
    """
    if any(term.left for _, term in arch.terms()):
        raise DataError(f"{arch.name}: the paper's equations know no prompt that gets shorter")
    if [stack.part for stack in arch.stacks] == ["encoder", "decoder"]:
        return (*_encoder(arch, arch.stacks[0]), *_decoder(arch, arch.stacks[1]))
    [stack] = arch.stacks
    if stack.part == "encoder":
        return tuple(_encoder(arch, stack))
    return tuple(_decoder_only(arch, stack))


def _decoder_only(arch: Architecture, stack: Stack) -> Iterator[Row]:
    width, shapes = stack.width, _shapes(arch, stack)
    weights = attended = Fraction(0)
    for shape in shapes:
        share = Fraction(shape.kv_heads, shape.heads)
        weights += 2 * width * ((1 + share) * width + shape.ffn_width)
        attended += width * share
    yield "decoder", "prefill, weights", _whole(arch, 2 * weights), PROMPT
    yield "decoder", "prefill, attention", _whole(arch, 4 * attended), PROMPT * PROMPT
    yield "decoder", "decode, weights", _whole(arch, 2 * weights), GENERATED
    yield "decoder", "decode, attention", _whole(arch, 2 * attended), ATTENDED


def _encoder(arch: Architecture, stack: Stack) -> Iterator[Row]:
    width, shapes = stack.width, _shapes(arch, stack)
    weights = sum(2 * width * (2 * width + shape.ffn_width) for shape in shapes)
    yield "encoder", "prefill, weights", 2 * weights, PROMPT
    yield "encoder", "prefill, attention", 4 * len(shapes) * width, PROMPT * PROMPT


def _decoder(arch: Architecture, stack: Stack) -> Iterator[Row]:
    width, shapes = stack.width, _shapes(arch, stack)
    weights = sum(2 * width * (3 * width + shape.ffn_width) for shape in shapes)
    yield "decoder", "cross-attention keys and values", 4 * len(shapes) * width * width, PROMPT
    yield "decoder", "decode, weights", 2 * weights, GENERATED
    yield "decoder", "decode, attention", 2 * len(shapes) * width, ATTENDED


def _shapes(arch: Architecture, stack: Stack) -> list[PaperShape]:
    shapes = [layer.paper for layer in stack.layers if layer.paper is not None]
    if len(shapes) != len(stack.layers):
        raise DataError(
            f"{arch.name}: the paper's equations know only attention layers with an FFN, and "
            f"model_type {arch.model_type} has others; use the convention ideal or torch"
        )
    return shapes


def _whole(arch: Architecture, value: Fraction) -> int:
    if value.denominator != 1:
        raise DataError(
            f"{arch.name}: the paper's equations give no whole number for this head sharing; "
            f"use the convention ideal or torch"
        )
    return value.numerator
