"""BART and mBART: learned positions, layer norms, two-matrix FFN in both stacks."""

from __future__ import annotations

from collections.abc import Mapping

from e2r.flops.blocks import (
    Term,
    Terms,
    activation,
    attention,
    embedding,
    linear,
    norm,
    residual,
    self_attention,
)
from e2r.flops.config import Config, Heads, Required
from e2r.flops.heads import Classes
from e2r.flops.shared_fields import mode_of, refuse_strays
from e2r.flops.structure import Layer, PaperShape, Stack, Structure

_BART: Mapping[str, object] = {
    "vocab_size": Required(50265),
    "max_position_embeddings": 1024,
    "encoder_layers": Required(12),
    "encoder_ffn_dim": Required(4096),
    "encoder_attention_heads": Required(16),
    "decoder_layers": Required(12),
    "decoder_ffn_dim": Required(4096),
    "decoder_attention_heads": Required(16),
    "activation_function": "gelu",
    "d_model": Required(1024),
    "tie_word_embeddings": True,
    "is_encoder_decoder": True,
}

MODEL_TYPES: Mapping[str, Mapping[str, object]] = {"bart": _BART, "mbart": _BART}

HEADS: Mapping[str, Classes] = {
    "bart": {"BartForConditionalGeneration": "generation"},
    "mbart": {"MBartForConditionalGeneration": "generation"},
}
ALIASES = {
    "num_attention_heads": "encoder_attention_heads",
    "hidden_size": "d_model",
    "num_hidden_layers": "encoder_layers",
}
NAMES = ("q_proj", "k_proj", "v_proj", "out_proj")
UNUSED_POSITIONS = 2
"""Rows of the position table in front of the first position."""


def build(config: Config) -> Structure:
    """Both stacks under one tied head."""
    if config.task not in (None, "generation"):
        config.refuse("architectures", f"asks for {config.task}, which is not described for BART")
    if config.get("is_encoder_decoder") is not True:
        config.refuse("is_encoder_decoder", "is not true; a single stack is not described here")
    mode_of(config, "generation", ())
    width, vocabulary = config.size("d_model"), config.size("vocab_size")
    positions = config.size("max_position_embeddings")
    tied = config.flag("tie_word_embeddings")
    stacks = []
    for part in ("encoder", "decoder"):
        heads = config.heads(width, heads=f"{part}_attention_heads", kv_heads=None, head_dim=None)
        around: Terms = (
            embedding("embed_positions", positions + UNUSED_POSITIONS, width),
            norm("layernorm_embedding", width, "layer"),
        )
        if part == "encoder":
            around = (embedding("shared", vocabulary, width), *around)
        if not tied:
            around = (embedding("embed_tokens", vocabulary, width), *around)
        if config.model_type == "mbart":
            around = (*around, norm("layer_norm", width, "layer"))
        layer = _layer(config, part, heads)
        refuse_strays(config, (layer,) * config.size(f"{part}_layers"))
        stacks.append(
            Stack(
                part,
                "encoder" if part == "encoder" else "decoder",
                width,
                (layer,) * config.size(f"{part}_layers"),
                around,
            )
        )
    return Structure(
        name=config.source,
        model_type=config.model_type,
        task="generation",
        stacks=tuple(stacks),
        head=linear("lm_head", width, vocabulary, per="position", tied=tied),
        context=positions,
        config=dict(config.facts),
    )


def _layer(config: Config, part: str, heads: Heads) -> Layer:
    width, inner = heads.width, config.size(f"{part}_ffn_dim")
    terms = (
        *self_attention(heads, bias=True, names=NAMES, rotary=False),
        norm("self_attn_layer_norm", width, "layer"),
        *(_cross(heads) if part == "decoder" else ()),
        *linear("fc1", width, inner, bias=True),
        activation("fc1", inner, config.word("activation_function")),
        *linear("fc2", inner, width, bias=True),
        residual("fc2"),
        norm("final_layer_norm", width, "layer"),
    )
    return Layer(terms, PaperShape(heads.query, heads.query, inner))


def _cross(heads: Heads) -> Terms:
    width, path = heads.width, "encoder_attn"
    terms: tuple[Term, ...] = (
        *linear(f"{path}.q_proj", width, width, bias=True),
        *linear(f"{path}.k_proj", width, width, bias=True, per="source"),
        *linear(f"{path}.v_proj", width, width, bias=True, per="source"),
        *attention(f"{path}.scores", heads.query, heads.size, per="cross", stored=2 * width),
        *linear(f"{path}.out_proj", width, width, bias=True),
        residual(path),
        norm("encoder_attn_layer_norm", width, "layer"),
    )
    return terms
