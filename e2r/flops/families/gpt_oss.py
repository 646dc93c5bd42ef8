"""gpt-oss: every other layer slides, experts in all of them, biases everywhere, attention sinks."""

from __future__ import annotations

from collections.abc import Mapping

from e2r.flops.blocks import Term, mixture, norm, self_attention
from e2r.flops.config import Config
from e2r.flops.heads import Classes, decoder
from e2r.flops.shapes import decoder_only, repeat, sizes, sliding
from e2r.flops.structure import Layer, PaperShape, Structure

MODEL_TYPES: Mapping[str, Mapping[str, object]] = {
    "gpt_oss": {
        **sizes(vocab=201088, width=2880, inner=2880, layers=36, heads=64),
        "num_key_value_heads": 8,
        "head_dim": 64,
        "hidden_act": "silu",
        "max_position_embeddings": 131072,
        "tie_word_embeddings": False,
        "attention_bias": True,
        "sliding_window": 128,
        "layer_types": None,
        "num_local_experts": 128,
        "num_experts_per_tok": 4,
    },
}

HEADS: Mapping[str, Classes] = {
    "gpt_oss": decoder("GptOss"),
}
ALIASES = {"num_experts": "num_local_experts"}


def build(config: Config) -> Structure:
    """The sink of each head is one more softmax entry and no product."""
    width, inner = config.size("hidden_size"), config.size("intermediate_size")
    total, active = config.size("num_local_experts"), config.size("num_experts_per_tok")
    if active > total:
        config.refuse("num_experts_per_tok", f"is {active}, more than the {total} experts")
    heads = config.heads(width)

    def layer(window: int | None) -> Layer:
        terms = (
            norm("input_layernorm", width),
            *self_attention(heads, bias=config.flag("attention_bias"), window=window),
            Term("self_attn.sinks", "scale", 0, parameters=heads.query),
            norm("post_attention_layernorm", width),
            *mixture(
                width,
                inner,
                "swiglu",
                total=total,
                active=active,
                router="router",
                router_bias=True,
                bias=True,
            ),
        )
        return Layer(terms, PaperShape(heads.query, heads.key_value, inner * active))

    return decoder_only(
        config,
        repeat(layer, sliding(config, default=lambda i: i % 2 == 0)),
        width=width,
        final=(norm("norm", width),),
        context=config.optional_size("max_position_embeddings"),
    )
