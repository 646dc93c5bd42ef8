"""Whole models from their layers: decoder-only and bidirectional ones, with the head asked for."""

from __future__ import annotations

from collections.abc import Sequence

from e2r.flops.architecture import Architecture, Layer, Stack
from e2r.flops.blocks import Term, Terms, embedding, linear
from e2r.flops.config import Config


def decoder_only(
    config: Config,
    layers: Sequence[Layer],
    *,
    width: int,
    final: Terms,
    embeddings: Terms | None = None,
    head: Terms | None = None,
    classifier: Terms | None = None,
    tied: bool | None = None,
    context: int | None = None,
    gaps: tuple[str, ...] = (),
) -> Architecture:
    """A causal stack under a language-model head, a scoring head, or none.

    `head` and `classifier` replace the usual lm_head and score; `embeddings` the usual token table.
    """
    vocabulary = config.size("vocab_size")
    tied = config.flag("tie_word_embeddings") if tied is None else tied
    tables = (embedding("embed_tokens", vocabulary, width),) if embeddings is None else embeddings
    task = config.task or "generation"
    if task == "generation":
        heads = linear("lm_head", width, vocabulary, per="position", tied=tied)
        heads = heads if head is None else head
    elif task == "classification":
        heads = linear("score", width, config.labels(), per="score")
        heads = heads if classifier is None else classifier
    else:
        heads = ()
    return Architecture(
        name=config.source,
        model_type=config.model_type,
        task=task,
        stacks=(Stack("decoder", "causal", width, tuple(layers), (*tables, *final)),),
        head=heads,
        context=context,
        config=dict(config.facts),
        gaps=gaps,
    )


def alternate(kinds: Sequence[str], layers: dict[str, Layer]) -> list[Layer]:
    """One layer object a position, by its kind's name."""
    return [layers[kind] for kind in kinds]


def untouched(*terms: Term | Terms) -> Terms:
    """Terms and groups of terms in one flat tuple."""
    flat: list[Term] = []
    for term in terms:
        flat.extend((term,) if isinstance(term, Term) else term)
    return tuple(flat)
