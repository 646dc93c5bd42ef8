"""Decoders that keep Llama's layer under other norms, biases and windows, and EuroBERT."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from e2r.flops.blocks import Terms, activation, embedding, gated_ffn, linear, norm, plain_ffn
from e2r.flops.blocks import self_attention as attends
from e2r.flops.config import Config, Heads
from e2r.flops.heads import Classes, decoder, encoder, language_model
from e2r.flops.shapes import bidirectional, decoder_only, repeat, sizes, sliding
from e2r.flops.structure import Layer, PaperShape, Structure

_USUAL: Mapping[str, object] = {
    "num_key_value_heads": None,
    "head_dim": None,
    "hidden_act": "silu",
    "tie_word_embeddings": False,
}

MODEL_TYPES: Mapping[str, Mapping[str, object]] = {
    "arcee": {
        **_USUAL,
        **sizes(vocab=32000, width=2560, inner=18432, layers=32, heads=32),
        "hidden_act": "relu2",
        "max_position_embeddings": 4096,
        "attention_bias": False,
        "mlp_bias": False,
    },
    "ernie4_5": {
        **_USUAL,
        **sizes(vocab=103424, width=1024, inner=3072, layers=18, heads=16),
        "num_key_value_heads": 2,
        "head_dim": 128,
        "max_position_embeddings": 131072,
        "tie_word_embeddings": True,
        "use_bias": False,
    },
    "eurobert": {
        **_USUAL,
        **sizes(vocab=128256, width=768, inner=3072, layers=12, heads=12),
        "max_position_embeddings": 8192,
        "attention_bias": False,
        "mlp_bias": False,
        "classifier_pooling": "late",
    },
    "exaone4": {
        **_USUAL,
        **sizes(vocab=102400, width=4096, inner=16384, layers=32, heads=32),
        "num_key_value_heads": 32,
        "max_position_embeddings": 2048,
        "sliding_window": 4096,
        "sliding_window_pattern": 4,
        "layer_types": None,
    },
    "helium": {
        **_USUAL,
        **sizes(vocab=48000, width=2560, inner=7040, layers=24, heads=20),
        "num_key_value_heads": 20,
        "head_dim": 128,
        "max_position_embeddings": 4096,
        "attention_bias": False,
        "mlp_bias": False,
    },
    "hunyuan_v1_dense": {
        **_USUAL,
        **sizes(vocab=290943, width=4096, inner=11008, layers=32, heads=32),
        "max_position_embeddings": 2048,
        "attention_bias": False,
    },
    "ministral": {
        **_USUAL,
        **sizes(vocab=32000, width=4096, inner=14336, layers=32, heads=32),
        "num_key_value_heads": 8,
        "max_position_embeddings": 131072,
        "sliding_window": 4096,
        "layer_types": None,
    },
    "ministral3": {
        **_USUAL,
        **sizes(vocab=131072, width=4096, inner=14336, layers=34, heads=32),
        "num_key_value_heads": 8,
        "head_dim": 128,
        "max_position_embeddings": 262144,
        "sliding_window": None,
    },
    "seed_oss": {
        **_USUAL,
        **sizes(vocab=155136, width=4096, inner=27648, layers=64, heads=80),
        "num_key_value_heads": 8,
        "head_dim": 128,
        "max_position_embeddings": 524288,
        "attention_bias": True,
        "attention_out_bias": False,
        "mlp_bias": False,
    },
}
HEADS: Mapping[str, Classes] = {
    "arcee": decoder("Arcee"),
    "ernie4_5": language_model("Ernie4_5"),
    "eurobert": encoder("EuroBert"),
    "exaone4": decoder("Exaone4"),
    "helium": decoder("Helium"),
    "hunyuan_v1_dense": decoder("HunYuanDenseV1"),
    "ministral": decoder("Ministral"),
    "ministral3": decoder("Ministral3"),
    "seed_oss": decoder("SeedOss"),
}
BEFORE = ("input_layernorm", "post_attention_layernorm")
NORMS = {"exaone4": ("post_attention_layernorm", "post_feedforward_layernorm")}
"""Two norms a layer, before its halves, or behind them."""
HEAD_NORMS = {
    "exaone4": ("q_norm", "k_norm"),
    "hunyuan_v1_dense": ("query_layernorm", "key_layernorm"),
}


class Biases(NamedTuple):
    """Which of a layer's matrices have a bias."""

    attention: bool
    output: bool
    ffn: bool


def build(config: Config) -> Structure:
    """Attention and an FFN under two norms, in each family's own fashion."""
    width = config.size("hidden_size")
    inner, function = config.size("intermediate_size"), config.word("hidden_act")
    heads, biases = config.heads(width), _biases(config)
    if config.model_type == "helium" and heads.query * heads.size != width:
        config.refuse("head_dim", f"times the heads is not the width {width}")
    ffn = plain_ffn if config.model_type == "arcee" else gated_ffn
    own = HEAD_NORMS.get(config.model_type, ())

    def layer(window: int | None) -> Layer:
        terms = (
            *(norm(name, width) for name in NORMS.get(config.model_type, BEFORE)),
            *(norm(f"self_attn.{name}", heads.size) for name in own),
            *attends(heads, bias=biases.attention, output_bias=biases.output, window=window),
            *ffn(width, inner, function, bias=biases.ffn),
        )
        return Layer(terms, PaperShape(heads.query, heads.key_value, inner))

    layers = repeat(layer, _windows(config))
    context = config.optional_size("max_position_embeddings")
    if config.model_type == "eurobert":
        return _encoder(config, layers, heads, context)
    final = (norm("norm", width),)
    return decoder_only(config, layers, width=width, final=final, context=context)


def _encoder(
    config: Config, layers: tuple[Layer, ...], heads: Heads, context: int | None
) -> Structure:
    """EuroBERT: each token is scored, or one state of the sequence, as its pooling says."""
    width, vocabulary = heads.width, config.size("vocab_size")
    late = config.word("classifier_pooling", ("late", "bos", "mean")) == "late"
    classifier: Terms = (
        *linear("dense", width, width, bias=True, per="token" if late else "call"),
        activation("activation", width, "gelu", per="token" if late else "call"),
        *linear("classifier", width, config.labels(), bias=True, per="token" if late else "call"),
    )
    tied = config.flag("tie_word_embeddings")
    return bidirectional(
        config,
        layers,
        width=width,
        around=(embedding("embed_tokens", vocabulary, width), norm("norm", width)),
        heads={
            "classification": classifier,
            "generation": linear(
                "lm_head",
                width,
                vocabulary,
                bias=config.flag("mlp_bias"),
                per="position",
                tied=tied,
            ),
            "embedding": (),
        },
        context=context,
    )


def _biases(config: Config) -> Biases:
    attention, ffn = config.flag("attention_bias"), config.flag("mlp_bias")
    match config.model_type:
        case "ernie4_5":
            every = config.flag("use_bias")
            return Biases(every, every, every)
        case "seed_oss":
            return Biases(attention, config.flag("attention_out_bias"), ffn)
        case "helium":
            return Biases(attention, False, ffn)
        case _:
            return Biases(attention, attention, ffn)


def _windows(config: Config) -> list[int | None]:
    count = config.size("num_hidden_layers")
    match config.model_type:
        case "ministral":
            window = config.optional_size("sliding_window")
            return sliding(config, default=lambda _: window is not None)
        case "ministral3":
            return [config.optional_size("sliding_window")] * count
        case "exaone4":
            if config.get("sliding_window") is None:
                return sliding(config)
            period = config.size("sliding_window_pattern")
            return sliding(config, default=lambda i: (i + 1) % period != 0)
        case _:
            return [None] * count
