"""What-if: the same model with other config facts, fewer layers, or adapters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any, TypeAlias

from e2r.errors import DataError, UsageError
from e2r.flops.architecture import Architecture, build
from e2r.flops.blocks import Term, Terms
from e2r.flops.expression import Expression, maximum, minimum
from e2r.flops.structure import Layer
from e2r.flops.work import CACHED, PROMPT

_Left: TypeAlias = tuple[tuple[str, Expression], ...]


def override(architecture: Architecture, changes: Mapping[str, Any]) -> Architecture:
    """The architecture of the same config with some facts changed.

    Lists with one entry a layer are cut to a smaller number of layers. Raises UsageError for a
    field that neither the config nor its family knows.
    """
    facts = dict(architecture.config)
    known = architecture.fields | set(facts)
    for name in changes:
        if name not in known:
            raise UsageError(
                f"--set {name}: model_type {architecture.model_type} has no such field; "
                f"it reads {', '.join(sorted(architecture.fields))}"
            )
    for field in ("num_hidden_layers", "num_layers", "n_layer"):
        before, after = facts.get(field), changes.get(field)
        if isinstance(before, int) and isinstance(after, int):
            for name, value in facts.items():
                if isinstance(value, list) and len(value) == before and name not in changes:
                    facts[name] = value[:after]
    return build({**facts, **changes}, architecture.name, architecture.task)


def exit_after(architecture: Architecture, layers: int) -> Architecture:
    """The model that leaves its last stack after `layers` layers and goes straight to the head."""
    *before, last = architecture.stacks
    if not 1 <= layers <= len(last.layers):
        raise DataError(
            f"cannot leave after layer {layers}: {architecture.name} has {len(last.layers)} layers"
        )
    shorter = replace(last, layers=last.layers[:layers])
    return replace(architecture, stacks=(*before, shorter), cache={})


def skip(architecture: Architecture, layers: Sequence[int]) -> Architecture:
    """The model without some layers of its last stack, counted from 1: their work and weights."""
    *before, last = architecture.stacks
    left = [layer for place, layer in enumerate(last.layers, 1) if place not in layers]
    wrong = [place for place in layers if not 1 <= place <= len(last.layers)]
    if wrong or not left:
        raise DataError(
            f"cannot skip layers {', '.join(map(str, wrong or layers))}: {architecture.name} has "
            f"{len(last.layers)} layers, and one is left at least"
        )
    shorter = replace(last, layers=tuple(left))
    return replace(architecture, stacks=(*before, shorter), cache={})


def compress(architecture: Architecture, after: int, kept: Fraction) -> Architecture:
    """The model that keeps a share of the prompt's tokens from a layer on (drops or merges them).

    What chooses the tokens is not priced. Raises DataError for a share outside of 0..1, and for
    encoder-decoder models, whose decoder reads what the encoder leaves.
    """
    if len(architecture.stacks) > 1:
        raise DataError(f"{architecture.name}: tokens are compressed in models of one stack alone")
    [stack] = architecture.stacks
    if not 1 <= after < len(stack.layers):
        raise DataError(
            f"cannot compress after layer {after}: {architecture.name} has {len(stack.layers)}"
        )
    if not 0 < kept <= 1:
        raise DataError(f"the share of tokens that is kept is {kept}; it is above 0, at most 1")
    left = tuple(
        (tokens.name, (tokens * kept.numerator + (kept.denominator - 1)) // kept.denominator)
        for tokens in (PROMPT, CACHED)
    )
    made: dict[int, Layer] = {}
    for layer in stack.layers[after:]:
        if id(layer) not in made:
            terms = _with(layer.terms, left if kept < 1 else ())
            # The paper's equations know one length for all layers.
            made[id(layer)] = replace(layer, terms=terms, paper=None)
    later = tuple(made[id(layer)] for layer in stack.layers[after:])
    shorter = replace(stack, layers=(*stack.layers[:after], *later))
    return replace(architecture, stacks=(shorter,), cache={})


def compressed(
    architecture: Architecture, layers: Sequence[int], ratio: int, kept: int
) -> Architecture:
    """The model that pools its passage's states, `ratio` to one, before each of some layers.

    As BGE's lightweight reranker does (layers counted from 0): `kept` tokens of query and
    instruction stay as they are. Raises DataError for a model that writes, and for numbers that
    cannot be.
    """
    stack, *others = architecture.stacks
    count = len(stack.layers)
    if others or architecture.generates:
        raise DataError(f"{architecture.name} writes, or has two stacks; its prompt stays whole")
    if ratio < 2 or kept < 0 or not layers or not all(0 < layer < count for layer in layers):
        raise DataError(
            f"cannot compress by {ratio} before layers {list(layers)}: give a ratio of at least 2 "
            f"and layers from 1 to {count - 1}"
        )
    passage = maximum(PROMPT - kept, 0)
    left: list[_Left] = [()]
    for _ in set(layers):
        passage = (passage + (ratio - 1)) // ratio
        left.append(((PROMPT.name, minimum(PROMPT, kept) + passage),))
    made: dict[tuple[int, int], Layer] = {}
    placed = []
    for number, layer in enumerate(stack.layers):
        times = sum(number >= place for place in set(layers))
        key = id(layer), times
        made.setdefault(key, replace(layer, terms=_with(layer.terms, left[times])))
        placed.append(made[key])
    return replace(
        architecture,
        stacks=(replace(stack, layers=tuple(placed)),),
        head=_with(architecture.head, left[-1]),
        gaps=tuple(gap for gap in architecture.gaps if not gap.startswith("token compression")),
        cache={},
    )


def _with(terms: Terms, left: _Left) -> Terms:
    return tuple(replace(term, left=left) for term in terms)


def fused(architecture: Architecture, passages: int) -> Architecture:
    """The encoder-decoder that encodes `passages` prompts of one length, and decodes over all.

    Fusion in the decoder (Izacard & Grave, 2021): the prompt is their sum, and its pairs in the
    encoder are those inside of each. Raises DataError for a model without an encoder before its
    decoder, or with a window in it.
    """
    encoder, *rest = architecture.stacks
    terms = [term for layer in encoder.layers for term in layer.terms if term.per == "pair"]
    if not rest or encoder.mode != "encoder" or any(term.window for term in terms):
        raise DataError(f"{architecture.name} has no plain encoder to fuse in its decoder")
    made = {
        id(layer): replace(
            layer,
            terms=tuple(
                replace(term, per="piece pair", window=passages) if term.per == "pair" else term
                for term in layer.terms
            ),
        )
        for layer in encoder.layers
    }
    split = replace(encoder, layers=tuple(made[id(layer)] for layer in encoder.layers))
    return replace(architecture, stacks=(split, *rest), cache={})


def with_lora(architecture: Architecture, rank: int, targets: Sequence[str]) -> Architecture:
    """The model with unmerged LoRA adapters of a rank beside some of its layers' matrices.

    Each adds inputs · rank + rank · outputs weights and twice as many FLOPs a unit (Hu et al.,
    2022); merged adapters add nothing. `targets` are ends of matrix names, such as "q_proj".
    """
    if rank < 1:
        raise DataError(f"lora rank is {rank}; it has to be at least 1")
    made: dict[int, Layer] = {}
    found = 0
    stacks = []
    for stack in architecture.stacks:
        for _, layer in stack.groups():
            terms = _adapted(layer.terms, rank, targets)
            found += len(terms) - len(layer.terms)
            made[id(layer)] = replace(layer, terms=terms)
        stacks.append(replace(stack, layers=tuple(made[id(layer)] for layer in stack.layers)))
    if not found:
        raise DataError(
            f"{architecture.name} has no matrix whose name ends in {', '.join(targets)}"
        )
    return replace(architecture, stacks=tuple(stacks), cache={})


def _adapted(terms: Terms, rank: int, targets: Sequence[str]) -> Terms:
    adapted: list[Term] = []
    for term in terms:
        adapted.append(term)
        if term.kind.startswith("linear") and term.name.endswith(tuple(targets)):
            weights = rank * (term.inputs + term.outputs)
            adapted.append(
                replace(
                    term,
                    name=f"{term.name}.lora",
                    flops=2 * weights * term.copies,
                    parameters=weights * term.total,
                    active=weights * term.copies,
                    inputs=term.inputs,
                    outputs=term.outputs,
                )
            )
    return tuple(adapted)
