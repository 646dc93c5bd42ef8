"""T5Gemma 1 and 2: Gemma's layers as an encoder, and a decoder that attends to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from e2r.flops.blocks import (
    Term,
    Terms,
    attention,
    embedding,
    gated_ffn,
    linear,
    norm,
    residual,
    self_attention,
)
from e2r.flops.config import Config, Heads
from e2r.flops.heads import Classes
from e2r.flops.shapes import repeat, sliding
from e2r.flops.shared_fields import mode_of, refuse_uneven
from e2r.flops.structure import Layer, Stack, Structure

MODEL_TYPES: Mapping[str, Mapping[str, object]] = {
    "t5gemma": {
        "encoder": None,
        "decoder": None,
        "is_encoder_decoder": True,
        "tie_word_embeddings": True,
    },
    "t5gemma2": {
        "encoder": None,
        "decoder": None,
        "is_encoder_decoder": True,
        "tie_word_embeddings": True,
    },
}
HEADS: Mapping[str, Classes] = {
    "t5gemma": {
        "T5GemmaForConditionalGeneration": "generation",
        "T5GemmaEncoderModel": "embedding",
    },
    "t5gemma2": {"T5Gemma2ForConditionalGeneration": "generation"},
}
_PART: Mapping[str, object] = {
    "hidden_size": 2304,
    "intermediate_size": 9216,
    "num_hidden_layers": 26,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "head_dim": 256,
    "hidden_activation": "gelu_pytorch_tanh",
    "attention_bias": False,
    "sliding_window": 4096,
    "layer_types": None,
}
PARTS: Mapping[str, Mapping[str, object]] = {
    "t5gemma": {**_PART, "vocab_size": 256000, "max_position_embeddings": 8192},
    "t5gemma2": {
        **_PART,
        "vocab_size": 262208,
        "max_position_embeddings": 131072,
        "sliding_window_pattern": 6,
    },
}
"""Defaults of the config classes of an encoder and of a decoder."""
VISION_GAP = "vision tower and projector (images are not priced, their tokens are)"
PATH = "self_attn"


def build(config: Config) -> Structure:
    """Both stacks, or T5Gemma's encoder alone where it only embeds."""
    task = config.task or "generation"
    second = config.model_type == "t5gemma2"
    if task == "classification" or (second and task != "generation"):
        config.refuse("architectures", f"asks for {task}, which is not described for T5Gemma")
    if config.flag("is_encoder_decoder") != (task == "generation"):
        config.refuse("is_encoder_decoder", f"does not fit a model for {task}")
    refuse_uneven(config)
    mode_of(config, task, ())
    source, target = _part(config, "encoder"), _part(config, "decoder")
    width = source.size("hidden_size")
    stacks = [Stack("encoder", "encoder", width, _encoder(source, second), _around(source))]
    head: Terms = ()
    if task == "generation":
        own = target.size("hidden_size")
        tied = config.flag("tie_word_embeddings")
        around = _around(target)
        if second:
            if own != width:
                config.refuse("decoder", f"has width {own}; the encoder's is {width}")
            around = tuple(_shared(term) for term in around) if tied else around
        layers = _merged(target) if second else _decoder(target, width)
        stacks.append(Stack("decoder", "decoder", own, layers, around))
        vocabulary = target.size("vocab_size")
        head = linear("lm_head.out_proj", own, vocabulary, per="position", tied=tied)
    return Structure(
        name=config.source,
        model_type=config.model_type,
        task=task,
        stacks=tuple(stacks),
        head=head,
        context=source.optional_size("max_position_embeddings"),
        config=dict(config.facts),
        gaps=(VISION_GAP,) if second else (),
    )


def _part(config: Config, name: str) -> Config:
    """The nested facts of one side."""
    facts = config.get(name)
    if isinstance(facts, Mapping) and name == "encoder" and config.model_type == "t5gemma2":
        facts = facts.get("text_config", facts)
    if facts is not None and not isinstance(facts, Mapping):
        config.refuse(name, f"is {type(facts).__name__}; it has to be an object")
    nested = {**(facts or {}), "model_type": config.model_type}
    return Config(nested, f"{config.source}: {name}", None, PARTS[config.model_type], nested=True)


def _around(part: Config) -> Terms:
    width = part.size("hidden_size")
    table = (embedding("embed_tokens", part.size("vocab_size"), width), norm("norm", width))
    if part.model_type == "t5gemma2":
        return *table, embedding("embed_tokens.eoi", 1, width)
    return table


def _shared(term: Term) -> Term:
    """A decoder's table that is the encoder's own."""
    return replace(term, parameters=0, active=0) if term.kind == "embedding" else term


def _windows(part: Config) -> list[int | None]:
    period = part.size("sliding_window_pattern") if part.model_type == "t5gemma2" else 2
    return sliding(part, default=lambda i: (i + 1) % period != 0)


def _encoder(part: Config, second: bool) -> tuple[Layer, ...]:
    heads = part.heads(part.size("hidden_size"))

    def layer(window: int | None) -> Layer:
        attends = self_attention(
            heads, bias=part.flag("attention_bias"), window=None if second else window
        )
        if second:
            attends = tuple(
                part
                for term in attends
                for part in (_uneven(term, window) if term.per == "pair" else (term,))
            )
        return Layer((*_norms(heads, second), *attends, *_ffn(part)))

    return repeat(layer, _windows(part))


def _uneven(term: Term, window: int | None) -> Terms:
    """The pairs of a window that T5Gemma 2's encoder cuts in two, its right half one longer.

    Half the coefficient over each half's reach on both sides is the whole over the two halves.
    """
    if window is None or term.kind.startswith("softmax"):
        return (term,)
    left, right = (window + 1) // 2 - 1, window // 2
    half = replace(term, flops=term.flops // 2)
    return (
        replace(half, name=f"{term.name}[left={left}]", window=left),
        replace(half, name=f"{term.name}[right={right}]", window=right, stored=0),
    )


def _decoder(part: Config, source: int) -> tuple[Layer, ...]:
    heads, bias = part.heads(part.size("hidden_size")), part.flag("attention_bias")
    shared, everything = heads.key_value * heads.size, heads.query * heads.size

    def layer(window: int | None) -> Layer:
        return Layer(
            (
                *_norms(heads, False),
                *self_attention(heads, bias=bias, window=window),
                norm("pre_cross_attn_layernorm", heads.width),
                norm("post_cross_attn_layernorm", heads.width),
                *linear("cross_attn.q_proj", heads.width, everything, bias),
                *linear("cross_attn.k_proj", source, shared, bias, per="source"),
                *linear("cross_attn.v_proj", source, shared, bias, per="source"),
                *attention(
                    "cross_attn.scores", heads.query, heads.size, per="cross", stored=2 * shared
                ),
                *linear("cross_attn.o_proj", everything, heads.width, bias),
                residual("cross_attn"),
                *_ffn(part),
            )
        )

    return repeat(layer, _windows(part))


def _merged(part: Config) -> tuple[Layer, ...]:
    """T5Gemma 2's decoder: one attention over its own tokens and the encoder's states."""
    heads, bias = part.heads(part.size("hidden_size")), part.flag("attention_bias")
    shared = heads.key_value * heads.size

    def layer(window: int | None) -> Layer:
        return Layer(
            (
                *_norms(heads, True),
                *self_attention(heads, bias=bias, window=window),
                *linear(f"{PATH}.k_proj.source", heads.width, shared, per="source", tied=True),
                *linear(f"{PATH}.v_proj.source", heads.width, shared, per="source", tied=True),
                *attention(
                    f"{PATH}.source_scores", heads.query, heads.size, per="cross", stored=2 * shared
                ),
                *_ffn(part),
            )
        )

    return repeat(layer, _windows(part))


def _norms(heads: Heads, normed: bool) -> Terms:
    width = heads.width
    around = ("pre_self_attn", "post_self_attn", "pre_feedforward", "post_feedforward")
    return (
        *(norm(f"{name}_layernorm", width) for name in around),
        *((norm(f"{PATH}.{name}", heads.size) for name in ("q_norm", "k_norm")) if normed else ()),
    )


def _ffn(part: Config) -> Terms:
    width, inner = part.size("hidden_size"), part.size("intermediate_size")
    return gated_ffn(width, inner, part.word("hidden_activation"))
