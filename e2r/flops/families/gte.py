"""GTE (`gte`, and `new` as its checkpoints say) and Nomic BERT: rotary, with a gated FFN."""

from __future__ import annotations

from collections.abc import Mapping

from e2r.flops.blocks import (
    Terms,
    activation,
    embedding,
    linear,
    norm,
    residual,
    self_attention,
    vocabulary_head,
)
from e2r.flops.config import Config
from e2r.flops.heads import Classes, encoder
from e2r.flops.shapes import bidirectional, repeat, sizes
from e2r.flops.structure import Layer, PaperShape, Structure

MODEL_TYPES: Mapping[str, Mapping[str, object]] = {
    "gte": {
        **sizes(vocab=250048, width=768, inner=3072, layers=12, heads=12),
        "hidden_act": "gelu",
        "max_position_embeddings": 8192,
        "type_vocab_size": 1,
        "tie_word_embeddings": True,
        "head_dim": None,
    },
    "new": {
        **sizes(vocab=30528, width=768, inner=3072, layers=12, heads=12),
        "hidden_act": "gelu",
        "max_position_embeddings": 2048,
        "type_vocab_size": 1,
        "tie_word_embeddings": True,
        "head_dim": None,
        "position_embedding_type": "rope",
        "layer_norm_type": "layer_norm",
        "logn_attention_scale": False,
    },
    "nomic_bert": {
        **sizes(vocab=30528, width=768, inner=3072, layers=12, heads=12),
        "hidden_act": "silu",
        "max_position_embeddings": 2048,
        "type_vocab_size": 2,
        "tie_word_embeddings": True,
        "head_dim": None,
    },
}
HEADS: Mapping[str, Classes] = {
    "gte": encoder("Gte"),
    "new": encoder("New"),
    "nomic_bert": encoder("NomicBert"),
}


def build(config: Config) -> Structure:
    """GTE has biases in attention and after the FFN, Nomic BERT none.

    `new` is the same model by Alibaba's own code (Alibaba-NLP/new-impl), which packs some of the
    matrices.
    """
    gte = config.model_type != "nomic_bert"
    if config.model_type == "new":
        config.word("position_embedding_type", ("rope",))
        config.word("layer_norm_type", ("layer_norm",))
        if config.flag("logn_attention_scale"):
            config.refuse("logn_attention_scale", "is true, which is not described here")
    width, inner = config.size("hidden_size"), config.size("intermediate_size")
    vocabulary = config.size("vocab_size")
    heads = config.heads(width, kv_heads=None, head_dim="head_dim")

    def layer(_: None) -> Layer:
        terms = (
            *self_attention(heads, bias=gte),
            norm("post_attention_layernorm", width, "layer"),
            *linear("mlp.gate_proj", width, inner),
            *linear("mlp.up_proj", width, inner),
            *linear("mlp.down_proj", inner, width, bias=gte),
            activation("mlp", inner, config.word("hidden_act")),
            residual("mlp"),
            norm("post_mlp_layernorm", width, "layer"),
        )
        return Layer(terms, PaperShape(heads.query, heads.query, inner))

    around: Terms = (
        embedding("word_embeddings", vocabulary, width),
        norm("embeddings.LayerNorm", width, "layer"),
    )
    if config.count("type_vocab_size"):
        around += (embedding("token_type_embeddings", config.count("type_vocab_size"), width),)
    pooler = linear("pooler.dense", width, width, bias=True, per="call")
    dense, last = (
        ("lm_head.dense", "lm_head.decoder")
        if gte
        else ("cls.predictions.transform.dense", "cls.predictions.decoder")
    )
    tied = config.flag("tie_word_embeddings")
    return bidirectional(
        config,
        repeat(layer, [None] * config.size("num_hidden_layers")),
        width=width,
        around=around,
        heads={
            "classification": (
                *pooler,
                *linear("classifier", width, config.labels(), bias=True, per="call"),
            ),
            "generation": (
                *linear(dense, width, width, bias=True, per="position"),
                norm("lm_head.layer_norm", width, "layer", per="position"),
                *(
                    linear(last, width, vocabulary, bias=True, per="position", tied=tied)
                    if gte
                    else vocabulary_head(last, width, vocabulary, tied)
                ),
            ),
            "embedding": (),
        },
        context=config.size("max_position_embeddings"),
    )
