"""DistilBERT: BERT's layer without token types, and its own head."""

from __future__ import annotations

from collections.abc import Mapping

from e2r.flops.blocks import activation, embedding, linear, norm, plain_ffn, self_attention
from e2r.flops.config import Config, Required
from e2r.flops.heads import Classes, encoder
from e2r.flops.shapes import bidirectional, repeat
from e2r.flops.structure import Layer, PaperShape, Structure

MODEL_TYPES: Mapping[str, Mapping[str, object]] = {
    "distilbert": {
        "vocab_size": Required(30522),
        "max_position_embeddings": 512,
        "n_layers": Required(6),
        "n_heads": Required(12),
        "dim": Required(768),
        "hidden_dim": Required(3072),
        "activation": "gelu",
        "tie_word_embeddings": True,
    },
}

HEADS: Mapping[str, Classes] = {
    "distilbert": encoder("DistilBert"),
}
ALIASES = {"hidden_size": "dim", "num_attention_heads": "n_heads", "num_hidden_layers": "n_layers"}


def build(config: Config) -> Structure:
    """Layer norms after attention and after a two-matrix FFN; every matrix has a bias."""
    width, inner, vocabulary = (
        config.size("dim"),
        config.size("hidden_dim"),
        config.size("vocab_size"),
    )
    heads = config.heads(width, heads="n_heads", kv_heads=None, head_dim=None)

    def layer(_: None) -> Layer:
        terms = (
            *self_attention(
                heads,
                bias=True,
                prefix="attention",
                names=("q_lin", "k_lin", "v_lin", "out_lin"),
                rotary=False,
            ),
            norm("sa_layer_norm", width, "layer"),
            *plain_ffn(
                width,
                inner,
                config.word("activation"),
                bias=True,
                prefix="ffn",
                names=("lin1", "lin2"),
            ),
            norm("output_layer_norm", width, "layer"),
        )
        return Layer(terms, PaperShape(heads.query, heads.query, inner))

    tied = config.flag("tie_word_embeddings")
    return bidirectional(
        config,
        repeat(layer, [None] * config.size("n_layers")),
        width=width,
        around=(
            embedding("word_embeddings", vocabulary, width),
            embedding("position_embeddings", config.size("max_position_embeddings"), width),
            norm("embeddings.LayerNorm", width, "layer"),
        ),
        heads={
            "classification": (
                *linear("pre_classifier", width, width, bias=True, per="call"),
                activation("pre_classifier", width, "relu", per="call"),
                *linear("classifier", width, config.labels(), bias=True, per="call"),
            ),
            "generation": (
                *linear("vocab_transform", width, width, bias=True, per="position"),
                norm("vocab_layer_norm", width, "layer", per="position"),
                *linear("vocab_projector", width, vocabulary, True, per="position", tied=tied),
            ),
            "embedding": (),
        },
        context=config.size("max_position_embeddings"),
    )
