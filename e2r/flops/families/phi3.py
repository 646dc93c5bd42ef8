"""Phi-3 and Phi-4: fused projections, and a window that holds in every layer."""

from __future__ import annotations

from collections.abc import Mapping

from e2r.flops.blocks import Term, attention, fused_gated_ffn, linear, norm, residual
from e2r.flops.config import Config
from e2r.flops.heads import Classes, decoder
from e2r.flops.shapes import decoder_only, repeat, sizes
from e2r.flops.structure import Layer, PaperShape, Structure

MODEL_TYPES: Mapping[str, Mapping[str, object]] = {
    "phi3": {
        **sizes(vocab=32064, width=3072, inner=8192, layers=32, heads=32),
        "num_key_value_heads": None,
        "head_dim": None,
        "hidden_act": "silu",
        "max_position_embeddings": 4096,
        "tie_word_embeddings": False,
        "sliding_window": None,
    },
}
HEADS: Mapping[str, Classes] = {
    "phi3": decoder("Phi3"),
}


def build(config: Config) -> Structure:
    """One matrix makes queries, keys and values; one makes gate and up."""
    width, inner = config.size("hidden_size"), config.size("intermediate_size")
    _, heads, kv_heads, head_dim = config.heads(width)

    def layer(window: int | None) -> Layer:
        terms = (
            norm("input_layernorm", width),
            *linear("self_attn.qkv_proj", width, (heads + 2 * kv_heads) * head_dim),
            *attention(
                "self_attn.scores", heads, head_dim, window=window, stored=2 * kv_heads * head_dim
            ),
            *linear("self_attn.o_proj", heads * head_dim, width),
            Term("self_attn.rotary", "rotary", 0),
            residual("self_attn"),
            norm("post_attention_layernorm", width),
            *fused_gated_ffn(width, inner, config.word("hidden_act")),
        )
        return Layer(terms, PaperShape(heads, kv_heads, inner))

    window = config.optional_size("sliding_window")
    return decoder_only(
        config,
        repeat(layer, [window] * config.size("num_hidden_layers")),
        width=width,
        final=(norm("norm", width),),
        context=config.optional_size("max_position_embeddings"),
    )
