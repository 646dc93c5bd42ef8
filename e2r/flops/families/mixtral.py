"""Mixtral: Mistral's layer with experts in place of the FFN."""

from __future__ import annotations

from collections.abc import Mapping

from e2r.flops.blocks import mixture, norm, self_attention
from e2r.flops.config import Config
from e2r.flops.heads import Classes, decoder
from e2r.flops.shapes import decoder_only, repeat, sizes
from e2r.flops.structure import Layer, PaperShape, Structure

MODEL_TYPES: Mapping[str, Mapping[str, object]] = {
    "mixtral": {
        **sizes(vocab=32000, width=4096, inner=14336, layers=32, heads=32),
        "num_key_value_heads": 8,
        "head_dim": None,
        "hidden_act": "silu",
        "max_position_embeddings": 131072,
        "tie_word_embeddings": False,
        "sliding_window": None,
        "num_experts_per_tok": 2,
        "num_local_experts": 8,
    },
}

HEADS: Mapping[str, Classes] = {
    "mixtral": decoder("Mixtral"),
}
ALIASES = {"num_experts": "num_local_experts"}


def build(config: Config) -> Structure:
    """Every layer has the same experts; a sliding window, where set, holds in all of them."""
    width, inner = config.size("hidden_size"), config.size("intermediate_size")
    total, active = config.size("num_local_experts"), config.size("num_experts_per_tok")
    if active > total:
        config.refuse("num_experts_per_tok", f"is {active}, more than the {total} experts")
    heads = config.heads(width)

    def layer(window: int | None) -> Layer:
        terms = (
            norm("input_layernorm", width),
            *self_attention(heads, window=window),
            norm("post_attention_layernorm", width),
            *mixture(width, inner, config.word("hidden_act"), total=total, active=active),
        )
        return Layer(terms, PaperShape(heads.query, heads.key_value, inner * active))

    window = config.optional_size("sliding_window")
    return decoder_only(
        config,
        repeat(layer, [window] * config.size("num_hidden_layers")),
        width=width,
        final=(norm("norm", width),),
        context=config.optional_size("max_position_embeddings"),
    )
