"""BERT and its kin: RoBERTa, XLM-RoBERTa, CamemBERT, ELECTRA, MiniLM cross-encoders."""

from __future__ import annotations

from collections.abc import Mapping

from e2r.flops.blocks import (
    Term,
    Terms,
    activation,
    embedding,
    linear,
    norm,
    self_attention,
    vocabulary_head,
)
from e2r.flops.config import Config
from e2r.flops.heads import Classes, encoder
from e2r.flops.shapes import bidirectional, repeat, sizes
from e2r.flops.structure import Layer, PaperShape, Structure

_BERT: Mapping[str, object] = {
    **sizes(vocab=30522, width=768, inner=3072, layers=12, heads=12),
    "hidden_act": "gelu",
    "max_position_embeddings": 512,
    "type_vocab_size": 2,
    "is_decoder": False,
    "add_cross_attention": False,
    "tie_word_embeddings": True,
    "position_embedding_type": "absolute",
}
_JINA: Mapping[str, object] = {**_BERT, "feed_forward_type": "original"}
"""Jina's BERT, which calls itself `bert`: alibi in place of a table, and a gated FFN."""
_PADDED = {**_BERT, "pad_token_id": 1}
_ROBERTA = {
    **_PADDED,
    **sizes(vocab=50265, width=768, inner=3072, layers=12, heads=12),
}

MODEL_TYPES: Mapping[str, Mapping[str, object]] = {
    "bert": _JINA,
    "roberta": _ROBERTA,
    "xlm-roberta": _PADDED,
    "camembert": _PADDED,
    "electra": {
        **_BERT,
        **sizes(vocab=30522, width=256, inner=1024, layers=12, heads=4),
        "embedding_size": 128,
    },
}
GATED = {"geglu": "gelu", "reglu": "relu"}
"""Gated FFNs of Jina's BERT, and their activations."""
HEADS: Mapping[str, Classes] = {
    "bert": {
        **encoder("Bert"),
        "JinaBertForSequenceClassification": "classification",
        "JinaBertModel": "embedding",
    },
    "roberta": encoder("Roberta"),
    "xlm-roberta": encoder("XLMRoberta"),
    "camembert": encoder("Camembert"),
    "electra": encoder("Electra"),
}


def build(config: Config) -> Structure:
    """Layer norms after attention and after a two-matrix FFN; every matrix has a bias."""
    for name in ("is_decoder", "add_cross_attention"):
        if config.flag(name):
            config.refuse(name, "is true; only its use as an encoder is described here")
    own = config.model_type == "bert"
    config.word("position_embedding_type", ("absolute", "alibi") if own else ("absolute",))
    gated = own and config.word("feed_forward_type", ("original", *GATED)) != "original"
    width, inner = config.size("hidden_size"), config.size("intermediate_size")
    heads = config.heads(width, kv_heads=None, head_dim=None)
    function = GATED[config.word("feed_forward_type")] if gated else config.word("hidden_act")

    def layer(_: None) -> Layer:
        terms = (
            *self_attention(
                heads,
                bias=True,
                prefix="attention",
                names=("self.query", "self.key", "self.value", "output.dense"),
                scores="self.scores",
                rotary=False,
            ),
            norm("attention.output.LayerNorm", width, "layer"),
            *(_gated if gated else _plain)(width, inner, function),
        )
        return Layer(terms, PaperShape(heads.query, heads.query, inner))

    pooler: Terms = linear("pooler.dense", width, width, bias=True, per="call")
    return bidirectional(
        config,
        repeat(layer, [None] * config.size("num_hidden_layers")),
        width=width,
        around=_embeddings(config),
        heads={
            "classification": _classifier(config, pooler),
            "generation": _masked_lm(config),
            "embedding": () if config.model_type == "electra" else pooler,
        },
        context=_context(config),
    )


def _plain(width: int, inner: int, function: str) -> Terms:
    return (
        *linear("intermediate.dense", width, inner, bias=True),
        activation("intermediate", inner, function),
        *linear("output.dense", inner, width, bias=True),
        Term("output.residual", "residual", 0),
        norm("output.LayerNorm", width, "layer"),
    )


def _gated(width: int, inner: int, function: str) -> Terms:
    return (
        *linear("mlp.gated_layers", width, 2 * inner),
        activation("mlp", inner, function),
        Term("mlp.gate", "gate", 0),
        *linear("mlp.wo", inner, width, bias=True),
        Term("mlp.residual", "residual", 0),
        norm("mlp.layernorm", width, "layer"),
    )


def _embeddings(config: Config) -> Terms:
    width = config.size("hidden_size")
    narrow = config.size("embedding_size") if config.model_type == "electra" else width
    alibi = config.word("position_embedding_type") == "alibi"
    rows = config.size("max_position_embeddings")
    tables: Terms = (
        embedding("word_embeddings", config.size("vocab_size"), narrow),
        *(() if alibi else (embedding("position_embeddings", rows, narrow),)),
        embedding("token_type_embeddings", config.size("type_vocab_size"), narrow),
        norm("embeddings.LayerNorm", narrow, "layer"),
    )
    if narrow == width:
        return tables
    return *tables, *linear("embeddings_project", narrow, width, bias=True)


def _classifier(config: Config, pooler: Terms) -> Terms:
    width, labels = config.size("hidden_size"), config.labels()
    if config.model_type == "bert":
        return *pooler, *linear("classifier", width, labels, bias=True, per="call")
    return (
        *linear("classifier.dense", width, width, bias=True, per="call"),
        *linear("classifier.out_proj", width, labels, bias=True, per="call"),
    )


def _masked_lm(config: Config) -> Terms:
    width, vocabulary = config.size("hidden_size"), config.size("vocab_size")
    tied = config.flag("tie_word_embeddings")
    narrow = width
    match config.model_type:
        case "electra":
            narrow = config.size("embedding_size")
            dense, after, last = (
                "generator_predictions.dense",
                "generator_predictions.LayerNorm",
                "generator_lm_head",
            )
        case "bert":
            dense, after, last = (
                "cls.predictions.transform.dense",
                "cls.predictions.transform.LayerNorm",
                "cls.predictions.decoder",
            )
        case _:
            dense, after, last = "lm_head.dense", "lm_head.layer_norm", "lm_head.decoder"
    return (
        *linear(dense, width, narrow, bias=True, per="position"),
        norm(after, narrow, "layer", per="position"),
        *(
            linear(last, narrow, vocabulary, bias=True, per="position", tied=tied)
            if config.model_type == "electra"
            else vocabulary_head(last, narrow, vocabulary, tied)
        ),
    )


def _context(config: Config) -> int:
    positions = config.size("max_position_embeddings")
    if config.model_type in ("bert", "electra"):
        return positions
    # RoBERTa's positions start behind the padding index; the rows up to it stay unused.
    return positions - config.count("pad_token_id") - 1
