"""GPT-NeoX and Pythia: fused projections with biases, two-matrix FFN, untied head."""

from __future__ import annotations

from collections.abc import Mapping

from e2r.flops.blocks import Term, attention, embedding, linear, norm, plain_ffn, residual
from e2r.flops.config import Config
from e2r.flops.heads import Classes, decoder
from e2r.flops.shapes import decoder_only, repeat, sizes
from e2r.flops.structure import Layer, PaperShape, Structure

MODEL_TYPES: Mapping[str, Mapping[str, object]] = {
    "gpt_neox": {
        **sizes(vocab=50432, width=6144, inner=24576, layers=44, heads=64),
        "hidden_act": "gelu",
        "max_position_embeddings": 2048,
        "tie_word_embeddings": False,
        "attention_bias": True,
    },
}
HEADS: Mapping[str, Classes] = {
    "gpt_neox": decoder("GPTNeoX"),
}


def build(config: Config) -> Structure:
    """Attention and FFN run in parallel or in turn; the arithmetic is the same."""
    width, inner = config.size("hidden_size"), config.size("intermediate_size")
    _, heads, _, head_dim = config.heads(width, kv_heads=None, head_dim=None)
    bias, function = config.flag("attention_bias"), config.word("hidden_act")

    def layer(_: None) -> Layer:
        terms = (
            norm("input_layernorm", width, "layer"),
            *linear("attention.query_key_value", width, 3 * width, bias),
            *attention("attention.scores", heads, head_dim, stored=2 * width),
            *linear("attention.dense", width, width, bias),
            Term("attention.rotary", "rotary", 0),
            residual("attention"),
            norm("post_attention_layernorm", width, "layer"),
            *plain_ffn(width, inner, function, bias=True, names=("dense_h_to_4h", "dense_4h_to_h")),
        )
        return Layer(terms, PaperShape(heads, heads, inner))

    return decoder_only(
        config,
        repeat(layer, [None] * config.size("num_hidden_layers")),
        width=width,
        final=(norm("final_layer_norm", width, "layer"),),
        embeddings=(embedding("embed_in", config.size("vocab_size"), width),),
        context=config.optional_size("max_position_embeddings"),
    )
