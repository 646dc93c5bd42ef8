"""DeBERTa-v2 and v3: content and position attend to each other through shared projections."""

from __future__ import annotations

from collections.abc import Mapping

from e2r.flops.blocks import (
    Term,
    Terms,
    activation,
    attention,
    embedding,
    linear,
    norm,
    residual,
    vocabulary_head,
)
from e2r.flops.config import Config, Heads
from e2r.flops.heads import Classes, encoder
from e2r.flops.shapes import bidirectional, sizes
from e2r.flops.structure import Layer, PaperShape, Structure

MODEL_TYPES: Mapping[str, Mapping[str, object]] = {
    "deberta-v2": {
        **sizes(vocab=128100, width=1536, inner=6144, layers=24, heads=24),
        "hidden_act": "gelu",
        "max_position_embeddings": 512,
        "type_vocab_size": 0,
        "relative_attention": False,
        "max_relative_positions": -1,
        "position_biased_input": True,
        "pos_att_type": None,
        "legacy": True,
        "tie_word_embeddings": True,
        "position_buckets": -1,
        "share_att_key": False,
        "norm_rel_ebd": "none",
        "conv_kernel_size": 0,
        "conv_groups": 1,
        "conv_act": "tanh",
        "attention_head_size": None,
        "embedding_size": None,
    },
}
HEADS: Mapping[str, Classes] = {
    "deberta-v2": encoder("DebertaV2"),
}


def build(config: Config) -> Structure:
    """The first layer is followed by a convolution where conv_kernel_size is set."""
    width, vocabulary = config.size("hidden_size"), config.size("vocab_size")
    heads = config.heads(width, kv_heads=None, head_dim="attention_head_size")
    plain = _layer(config, heads)
    count = config.size("num_hidden_layers")
    layers = [plain] * count
    kernel = config.count("conv_kernel_size")
    if kernel:
        layers[0] = Layer((*plain.terms, *_convolution(config, kernel)), plain.paper)
    pooler = linear("pooler.dense", width, width, bias=True, per="call")
    if config.flag("legacy"):
        narrow = config.optional_size("embedding_size") or width
        names = ("cls.predictions.transform.dense", "cls.predictions.decoder")
    else:
        narrow, names = width, ("lm_predictions.lm_head.dense", "lm_predictions.lm_head")
    return bidirectional(
        config,
        layers,
        width=width,
        around=_embeddings(config),
        heads={
            "classification": (
                *pooler,
                *linear("classifier", width, config.labels(), bias=True, per="call"),
            ),
            "generation": (
                *linear(names[0], width, narrow, bias=True, per="position"),
                norm("head.LayerNorm", narrow, "layer", per="position"),
                *vocabulary_head(names[1], narrow, vocabulary, config.flag("tie_word_embeddings")),
            ),
            "embedding": (),
        },
        context=config.size("max_position_embeddings"),
    )


def _layer(config: Config, heads: Heads) -> Layer:
    width, inner = heads.width, config.size("intermediate_size")
    path, all_heads = "attention.self", heads.query * heads.size
    terms = (
        *linear(f"{path}.query_proj", width, all_heads, bias=True),
        *linear(f"{path}.key_proj", width, all_heads, bias=True),
        *linear(f"{path}.value_proj", width, all_heads, bias=True),
        *attention(f"{path}.scores", heads.query, heads.size, fused=False, stored=2 * all_heads),
        *_relative(config, heads),
        *linear("attention.output.dense", all_heads, width, bias=True),
        residual("attention"),
        norm("attention.output.LayerNorm", width, "layer"),
        *linear("intermediate.dense", width, inner, bias=True),
        activation("intermediate", inner, config.word("hidden_act")),
        *linear("output.dense", inner, width, bias=True),
        residual("output"),
        norm("output.LayerNorm", width, "layer"),
    )
    return Layer(terms, PaperShape(heads.query, heads.query, inner))


def _relative(config: Config, heads: Heads) -> Terms:
    """Content-to-position and position-to-content products over 2 · span relative positions.

    Projecting the position table involves weights alone, so that only the conventions that count
    what the reference runs count it.
    """
    if not config.flag("relative_attention"):
        return ()
    rows, path = 2 * _span(config), "attention.self"
    width, all_heads = heads.width, heads.query * heads.size
    kinds = _kinds(config)
    terms: list[Term] = []
    shared = config.flag("share_att_key")
    sides = (("c2p", "pos_key_proj", "key_proj"), ("p2c", "pos_query_proj", "query_proj"))
    for kind, own, borrowed in sides:
        table = Term(
            f"{path}.{borrowed if shared else own}",
            "constant",
            2 * rows * width * all_heads,
            per="call",
            parameters=0 if shared else width * all_heads + all_heads,
        )
        # With shared projections the reference makes both tables whichever side it needs.
        if kind in kinds or shared:
            terms.append(table)
        if kind in kinds:
            terms.append(
                Term(f"{path}.{kind}", "relative", 2 * all_heads, per="relative", window=rows)
            )
    return tuple(terms)


def _convolution(config: Config, kernel: int) -> Terms:
    width, groups = config.size("hidden_size"), config.size("conv_groups")
    if width % groups or kernel % 2 == 0:
        config.refuse("conv_kernel_size", "has to be odd, and conv_groups has to divide the width")
    weights = width * (width // groups) * kernel
    return (
        Term("conv.conv", "convolution", 2 * weights, parameters=weights + width),
        activation("conv", width, config.word("conv_act")),
        norm("conv.LayerNorm", width, "layer"),
    )


def _embeddings(config: Config) -> Terms:
    width = config.size("hidden_size")
    narrow = config.optional_size("embedding_size") or width
    terms: Terms = (embedding("word_embeddings", config.size("vocab_size"), narrow),)
    if config.flag("position_biased_input"):
        positions = config.size("max_position_embeddings")
        terms += (embedding("position_embeddings", positions, narrow),)
    if config.count("type_vocab_size"):
        terms += (embedding("token_type_embeddings", config.count("type_vocab_size"), narrow),)
    if narrow != width:
        terms += linear("embeddings.embed_proj", narrow, width)
    terms += (norm("embeddings.LayerNorm", width, "layer"),)
    if config.flag("relative_attention"):
        table = Term("rel_embeddings", "embedding", 0, parameters=2 * _span(config) * width)
        terms += (table,)
    if "layer_norm" in config.word("norm_rel_ebd").lower():
        terms += (norm("encoder.LayerNorm", width, "layer"),)
    return terms


def _span(config: Config) -> int:
    buckets, reach = config.get("position_buckets"), config.get("max_relative_positions")
    if isinstance(buckets, int) and buckets > 0:
        return buckets
    if isinstance(reach, int) and reach > 0:
        return reach
    return config.size("max_position_embeddings")


def _kinds(config: Config) -> list[str]:
    value = config.get("pos_att_type") or []
    kinds = value.lower().split("|") if isinstance(value, str) else list(value)
    kinds = [str(kind).strip() for kind in kinds]
    if any(kind not in ("c2p", "p2c") for kind in kinds):
        config.refuse("pos_att_type", f"is {value!r}; known: c2p, p2c")
    return kinds
