"""GLM-4: biased projections but no output bias, and a fused gated FFN."""

from __future__ import annotations

from collections.abc import Mapping

from e2r.flops.blocks import fused_gated_ffn, norm, self_attention
from e2r.flops.config import Config
from e2r.flops.heads import Classes, decoder
from e2r.flops.shapes import decoder_only, repeat, sizes
from e2r.flops.structure import Layer, PaperShape, Structure

_GLM: Mapping[str, object] = {
    **sizes(vocab=151552, width=4096, inner=13696, layers=40, heads=32),
    "num_key_value_heads": 2,
    "head_dim": 128,
    "hidden_act": "silu",
    "max_position_embeddings": 131072,
    "tie_word_embeddings": False,
    "attention_bias": True,
}

MODEL_TYPES: Mapping[str, Mapping[str, object]] = {"glm": _GLM, "glm4": _GLM}
HEADS: Mapping[str, Classes] = {
    "glm": decoder("Glm"),
    "glm4": decoder("Glm4"),
}


def build(config: Config) -> Structure:
    """GLM-4-0414 (glm4) norms the output of each block too."""
    width, inner = config.size("hidden_size"), config.size("intermediate_size")
    heads = config.heads(width)
    names = ["input_layernorm", "post_attention_layernorm"]
    if config.model_type == "glm4":
        names += ["post_self_attn_layernorm", "post_mlp_layernorm"]

    def layer(_: None) -> Layer:
        terms = (
            *(norm(name, width) for name in names),
            *self_attention(heads, bias=config.flag("attention_bias"), output_bias=False),
            *fused_gated_ffn(width, inner, config.word("hidden_act")),
        )
        return Layer(terms, PaperShape(heads.query, heads.key_value, inner))

    return decoder_only(
        config,
        repeat(layer, [None] * config.size("num_hidden_layers")),
        width=width,
        final=(norm("norm", width),),
        context=config.optional_size("max_position_embeddings"),
    )
