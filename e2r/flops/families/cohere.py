"""Cohere's Command family: one norm feeds attention and FFN in parallel."""

from __future__ import annotations

from collections.abc import Mapping

from e2r.flops.blocks import gated_ffn, norm, self_attention
from e2r.flops.config import Config
from e2r.flops.heads import Classes, language_model
from e2r.flops.shapes import decoder_only, repeat, sizes, sliding
from e2r.flops.structure import Layer, PaperShape, Structure

_COHERE: Mapping[str, object] = {
    **sizes(vocab=256000, width=8192, inner=22528, layers=40, heads=64),
    "num_key_value_heads": None,
    "head_dim": None,
    "hidden_act": "silu",
    "max_position_embeddings": 8192,
    "tie_word_embeddings": True,
    "attention_bias": False,
}

MODEL_TYPES: Mapping[str, Mapping[str, object]] = {
    "cohere": {**_COHERE, "use_qk_norm": False},
    "cohere2": {
        **_COHERE,
        "sliding_window": 4096,
        "sliding_window_pattern": 4,
        "layer_types": None,
    },
}
HEADS: Mapping[str, Classes] = {
    "cohere": language_model("Cohere"),
    "cohere2": language_model("Cohere2"),
}


def build(config: Config) -> Structure:
    """Command R has full layers only; Command R7B (cohere2) has one full layer in four."""
    width, inner = config.size("hidden_size"), config.size("intermediate_size")
    heads = config.heads(width)

    def layer(window: int | None) -> Layer:
        terms = (
            norm("input_layernorm", width, "own"),
            *self_attention(heads, bias=config.flag("attention_bias"), window=window),
            *gated_ffn(width, inner, config.word("hidden_act")),
        )
        if config.flag("use_qk_norm"):
            terms += (
                norm("self_attn.q_norm", heads.query * heads.size, "own"),
                norm("self_attn.k_norm", heads.key_value * heads.size, "own"),
            )
        return Layer(terms, PaperShape(heads.query, heads.key_value, inner))

    windows: list[int | None] = [None] * config.size("num_hidden_layers")
    if config.model_type == "cohere2":
        period = config.size("sliding_window_pattern")
        windows = sliding(config, default=lambda i: (i + 1) % period != 0)
    return decoder_only(
        config,
        repeat(layer, windows),
        width=width,
        final=(norm("norm", width, "own"),),
        context=config.optional_size("max_position_embeddings"),
    )
