"""StarCoder2: biased projections, two-matrix FFN, and a window that holds in every layer."""

from __future__ import annotations

from collections.abc import Mapping

from e2r.flops.blocks import norm, plain_ffn, self_attention
from e2r.flops.config import Config
from e2r.flops.heads import Classes, decoder
from e2r.flops.shapes import decoder_only, repeat, sizes
from e2r.flops.structure import Layer, PaperShape, Structure

MODEL_TYPES: Mapping[str, Mapping[str, object]] = {
    "starcoder2": {
        **sizes(vocab=49152, width=3072, inner=12288, layers=30, heads=24),
        "num_key_value_heads": 2,
        "head_dim": None,
        "hidden_act": "gelu_pytorch_tanh",
        "max_position_embeddings": 4096,
        "tie_word_embeddings": True,
        "sliding_window": None,
        "use_bias": True,
    },
}
HEADS: Mapping[str, Classes] = {
    "starcoder2": decoder("Starcoder2"),
}


def build(config: Config) -> Structure:
    """Layer norms around attention and FFN."""
    width, inner = config.size("hidden_size"), config.size("intermediate_size")
    heads, bias = config.heads(width), config.flag("use_bias")
    function = config.word("hidden_act")

    def layer(window: int | None) -> Layer:
        terms = (
            norm("input_layernorm", width, "layer"),
            *self_attention(heads, bias=bias, window=window),
            norm("post_attention_layernorm", width, "layer"),
            *plain_ffn(width, inner, function, bias=bias, names=("c_fc", "c_proj")),
        )
        return Layer(terms, PaperShape(heads.query, heads.key_value, inner))

    window = config.optional_size("sliding_window")
    return decoder_only(
        config,
        repeat(layer, [window] * config.size("num_hidden_layers")),
        width=width,
        final=(norm("norm", width, "layer"),),
        context=config.optional_size("max_position_embeddings"),
    )
