"""LFM2: short gated convolutions with a few attention layers between them."""

from __future__ import annotations

from collections.abc import Mapping

from e2r.flops.blocks import Term, gated_ffn, linear, norm, residual, self_attention
from e2r.flops.config import Config
from e2r.flops.heads import Classes, language_model
from e2r.flops.shapes import decoder_only, repeat, sizes
from e2r.flops.statespace import convolution
from e2r.flops.structure import Layer, Structure

MODEL_TYPES: Mapping[str, Mapping[str, object]] = {
    "lfm2": {
        **sizes(vocab=65536, width=2560, inner=12288, layers=32, heads=32),
        "num_key_value_heads": 8,
        "head_dim": None,
        "max_position_embeddings": 128000,
        "tie_word_embeddings": True,
        "conv_bias": False,
        "conv_L_cache": 3,
        "block_multiple_of": 256,
        "block_ffn_dim_multiplier": 1.0,
        "block_auto_adjust_ff_dim": True,
        "full_attn_idxs": None,
        "layer_types": None,
    },
}

HEADS: Mapping[str, Classes] = {
    "lfm2": language_model("Lfm2"),
}
ALIASES = {"block_ff_dim": "intermediate_size", "tie_embedding": "tie_word_embeddings"}


def build(config: Config) -> Structure:
    """The FFN width in the config is adjusted before it is used, unless it says otherwise."""
    width, count = config.size("hidden_size"), config.size("num_hidden_layers")
    heads, inner = config.heads(width), _inner(config)
    kernel, bias = config.size("conv_L_cache"), config.flag("conv_bias")

    def layer(kind: str) -> Layer:
        if kind == "conv":
            operator = (
                *linear("conv.in_proj", width, 3 * width, bias),
                *convolution("conv", width, kernel, bias),
                Term("conv.gate", "gate", 0),
                *linear("conv.out_proj", width, width, bias),
                residual("conv"),
            )
        else:
            operator = (
                *self_attention(heads, names=("q_proj", "k_proj", "v_proj", "out_proj")),
                norm("self_attn.q_layernorm", heads.size),
                norm("self_attn.k_layernorm", heads.size),
            )
        terms = (
            norm("operator_norm", width),
            *operator,
            norm("ffn_norm", width),
            *gated_ffn(width, inner, "silu", prefix="feed_forward", names=("w1", "w3", "w2")),
        )
        return Layer(terms)

    return decoder_only(
        config,
        repeat(layer, _kinds(config, count)),
        width=width,
        final=(norm("embedding_norm", width),),
        context=config.optional_size("max_position_embeddings"),
    )


def _kinds(config: Config, count: int) -> list[str]:
    kinds = config.per_layer("layer_types", count, ("full_attention", "conv"))
    if kinds is not None:
        return list(kinds)
    full = config.get("full_attn_idxs")
    full = range(count) if full is None else full
    return ["full_attention" if i in full else "conv" for i in range(count)]


def _inner(config: Config) -> int:
    inner = config.size("intermediate_size")
    if not config.flag("block_auto_adjust_ff_dim"):
        return inner
    inner = int(2 * inner / 3)
    factor = config.get("block_ffn_dim_multiplier")
    if factor is None:
        return inner
    if isinstance(factor, bool) or not isinstance(factor, int | float) or factor <= 0:
        config.refuse("block_ffn_dim_multiplier", f"is {factor!r}; it has to be positive")
    multiple = config.size("block_multiple_of")
    return multiple * ((int(factor * inner) + multiple - 1) // multiple)
