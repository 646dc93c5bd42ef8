"""GPT-2: fused projections, learned positions, two-matrix FFN, tied head."""

from __future__ import annotations

from collections.abc import Mapping

from e2r.flops.blocks import activation, added_product, attention, embedding, norm, residual
from e2r.flops.config import Config, Required
from e2r.flops.heads import Classes
from e2r.flops.shapes import decoder_only, repeat
from e2r.flops.structure import Layer, PaperShape, Structure

MODEL_TYPES: Mapping[str, Mapping[str, object]] = {
    "gpt2": {
        "vocab_size": Required(50257),
        "n_positions": 1024,
        "n_embd": Required(768),
        "n_layer": Required(12),
        "n_head": Required(12),
        "n_inner": None,
        "activation_function": "gelu_new",
        "tie_word_embeddings": True,
        "add_cross_attention": False,
    },
}

HEADS: Mapping[str, Classes] = {
    "gpt2": {
        "GPT2LMHeadModel": "generation",
        "GPT2ForSequenceClassification": "classification",
        "GPT2Model": "embedding",
    },
}
ALIASES = {
    "hidden_size": "n_embd",
    "max_position_embeddings": "n_positions",
    "num_attention_heads": "n_head",
    "num_hidden_layers": "n_layer",
}


def build(config: Config) -> Structure:
    """Layer norms before attention and FFN."""
    if config.flag("add_cross_attention"):
        config.refuse("add_cross_attention", "is true, which is not described here")
    width = config.size("n_embd")
    _, heads, _, head_dim = config.heads(width, heads="n_head", kv_heads=None, head_dim=None)
    inner = config.optional_size("n_inner") or 4 * width
    function = config.word("activation_function")

    def layer(_: None) -> Layer:
        terms = (
            norm("ln_1", width, "layer"),
            *added_product("attn.c_attn", width, 3 * width),
            *attention("attn.scores", heads, head_dim, stored=2 * width),
            *added_product("attn.c_proj", width, width),
            residual("attn"),
            norm("ln_2", width, "layer"),
            *added_product("mlp.c_fc", width, inner),
            *added_product("mlp.c_proj", inner, width),
            activation("mlp", inner, function),
            residual("mlp"),
        )
        return Layer(terms, PaperShape(heads, heads, inner))

    positions = config.size("n_positions")
    return decoder_only(
        config,
        repeat(layer, [None] * config.size("n_layer")),
        width=width,
        final=(norm("ln_f", width, "layer"),),
        embeddings=(
            embedding("wte", config.size("vocab_size"), width),
            embedding("wpe", positions, width),
        ),
        context=positions,
    )
