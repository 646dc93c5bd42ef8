"""Falcon: multi-query or grouped keys from one fused projection, two-matrix FFN."""

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
)
from e2r.flops.config import Config, Required
from e2r.flops.heads import Classes, decoder
from e2r.flops.shapes import decoder_only, repeat
from e2r.flops.structure import Layer, PaperShape, Structure

MODEL_TYPES: Mapping[str, Mapping[str, object]] = {
    "falcon": {
        "vocab_size": Required(65024),
        "hidden_size": Required(4544),
        "n_embed": None,
        "num_hidden_layers": Required(32),
        "num_attention_heads": Required(71),
        "num_kv_heads": None,
        "num_ln_in_parallel_attn": None,
        "alibi": False,
        "new_decoder_architecture": False,
        "multi_query": True,
        "parallel_attn": True,
        "bias": False,
        "ffn_hidden_size": None,
        "activation": "gelu",
        "max_position_embeddings": 2048,
        "tie_word_embeddings": True,
    },
}
HEADS: Mapping[str, Classes] = {
    "falcon": decoder("Falcon"),
}


def build(config: Config) -> Structure:
    """7B has one key head, 40B and 180B (new_decoder_architecture) have groups."""
    width = config.optional_size("n_embed") or config.size("hidden_size")
    _, heads, kv_heads, head_dim = config.heads(width, kv_heads="num_kv_heads", head_dim=None)
    grouped = config.flag("new_decoder_architecture")
    if not grouped:
        kv_heads = 1 if config.flag("multi_query") else heads
    inner = config.optional_size("ffn_hidden_size") or 4 * width
    bias, function = config.flag("bias"), config.word("activation")
    fused = (heads + 2 * kv_heads) * head_dim

    def layer(_: None) -> Layer:
        terms = (
            *_norms(config, grouped, width),
            *_product("self_attention.query_key_value", width, fused, bias),
            # Grouped keys are copied to every query head before they are cached.
            *attention(
                "self_attention.scores",
                heads,
                head_dim,
                stored=2 * (heads if grouped else kv_heads) * head_dim,
            ),
            *_product("self_attention.dense", heads * head_dim, width, bias),
            Term("self_attention.position", "position" if config.flag("alibi") else "rotary", 0),
            residual("self_attention"),
            *_product("mlp.dense_h_to_4h", width, inner, bias),
            *_product("mlp.dense_4h_to_h", inner, width, bias),
            activation("mlp", inner, function),
            residual("mlp"),
        )
        return Layer(terms, PaperShape(heads, kv_heads, inner))

    return decoder_only(
        config,
        repeat(layer, [None] * config.size("num_hidden_layers")),
        width=width,
        final=(norm("ln_f", width, "layer"),),
        embeddings=(embedding("word_embeddings", config.size("vocab_size"), width),),
        context=config.optional_size("max_position_embeddings"),
    )


def _product(name: str, inputs: int, outputs: int, bias: bool) -> Terms:
    return linear(name, inputs, outputs, bias, kind="linear.operator")


def _norms(config: Config, grouped: bool, width: int) -> Terms:
    count = config.optional_size("num_ln_in_parallel_attn")
    if count is None and grouped:
        count = 2
    if grouped and count == 2:
        return norm("ln_attn", width, "layer"), norm("ln_mlp", width, "layer")
    names = ["input_layernorm"]
    if not config.flag("parallel_attn"):
        names.append("post_attention_layernorm")
    return tuple(norm(name, width, "layer") for name in names)
