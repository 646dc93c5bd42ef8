"""OLMo 2 and OLMo 3: norms after the blocks and over all heads at once."""

from __future__ import annotations

from collections.abc import Mapping

from e2r.flops.blocks import gated_ffn, norm, self_attention
from e2r.flops.config import Config
from e2r.flops.heads import Classes, decoder
from e2r.flops.shapes import decoder_only, repeat, sizes, sliding
from e2r.flops.structure import Layer, PaperShape, Structure

_OLMO2: Mapping[str, object] = {
    **sizes(vocab=50304, width=4096, inner=11008, layers=32, heads=32),
    "num_key_value_heads": None,
    "head_dim": None,
    "hidden_act": "silu",
    "max_position_embeddings": 2048,
    "tie_word_embeddings": False,
    "attention_bias": False,
}

MODEL_TYPES: Mapping[str, Mapping[str, object]] = {
    "olmo2": _OLMO2,
    "olmo3": {**_OLMO2, "sliding_window": 4096, "layer_types": None},
}
HEADS: Mapping[str, Classes] = {
    "olmo2": decoder("Olmo2"),
    "olmo3": decoder("Olmo3"),
}


def build(config: Config) -> Structure:
    """OLMo 3 slides in three layers of four unless layer_types says otherwise."""
    width, inner = config.size("hidden_size"), config.size("intermediate_size")
    heads = config.heads(width)

    def layer(window: int | None) -> Layer:
        terms = (
            *self_attention(heads, bias=config.flag("attention_bias"), window=window),
            norm("self_attn.q_norm", heads.query * heads.size),
            norm("self_attn.k_norm", heads.key_value * heads.size),
            norm("post_attention_layernorm", width),
            *gated_ffn(width, inner, config.word("hidden_act")),
            norm("post_feedforward_layernorm", width),
        )
        return Layer(terms, PaperShape(heads.query, heads.key_value, inner))

    windows: list[int | None] = [None] * config.size("num_hidden_layers")
    if config.model_type == "olmo3":
        windows = sliding(config, default=lambda i: (i + 1) % 4 != 0)
    return decoder_only(
        config,
        repeat(layer, windows),
        width=width,
        final=(norm("norm", width),),
        context=config.optional_size("max_position_embeddings"),
    )
