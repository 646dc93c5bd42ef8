"""Gemma 1, 2 and 3 (text): own head width, tied head, and sliding layers between full ones."""

from __future__ import annotations

from collections.abc import Mapping

from e2r.flops.blocks import gated_ffn, norm, self_attention
from e2r.flops.config import Config
from e2r.flops.heads import Classes, decoder
from e2r.flops.shapes import decoder_only, repeat, sizes, sliding
from e2r.flops.structure import Layer, PaperShape, Structure

_SHARED: Mapping[str, object] = {
    "head_dim": 256,
    "tie_word_embeddings": True,
    "attention_bias": False,
    "use_bidirectional_attention": None,
}
_SLIDING: Mapping[str, object] = {
    **_SHARED,
    "num_key_value_heads": 4,
    "hidden_activation": "gelu_pytorch_tanh",
    "sliding_window": 4096,
    "layer_types": None,
}

MODEL_TYPES: Mapping[str, Mapping[str, object]] = {
    "gemma": {
        **sizes(vocab=256000, width=3072, inner=24576, layers=28, heads=16),
        **_SHARED,
        "num_key_value_heads": 16,
        "hidden_act": "gelu_pytorch_tanh",
        "max_position_embeddings": 8192,
    },
    "gemma2": {
        **sizes(vocab=256000, width=2304, inner=9216, layers=26, heads=8),
        **_SLIDING,
        "max_position_embeddings": 8192,
    },
    "gemma3_text": {
        **sizes(vocab=262208, width=2304, inner=9216, layers=26, heads=8),
        **_SLIDING,
        "use_bidirectional_attention": False,
        "max_position_embeddings": 131072,
        "sliding_window_pattern": 6,
    },
}
HEADS: Mapping[str, Classes] = {
    "gemma": decoder("Gemma"),
    "gemma2": decoder("Gemma2"),
    "gemma3_text": {
        "Gemma3ForCausalLM": "generation",
        "Gemma3TextForSequenceClassification": "classification",
        "Gemma3TextModel": "embedding",
    },
}


def build(config: Config) -> Structure:
    """Two norms a block in Gemma 1, four from Gemma 2 on, and normed heads in Gemma 3."""
    if config.flag("use_bidirectional_attention"):
        config.refuse("use_bidirectional_attention", "is true, which is not described here")
    width, inner = config.size("hidden_size"), config.size("intermediate_size")
    heads = config.heads(width)
    first = config.model_type == "gemma"
    # Gemma 1 runs the tanh form whatever its config calls it.
    function = "gelu_pytorch_tanh" if first else config.word("hidden_activation")
    norms = ["input_layernorm", "post_attention_layernorm"]
    if not first:
        norms += ["pre_feedforward_layernorm", "post_feedforward_layernorm"]
    head_norms = ("q_norm", "k_norm") if config.model_type == "gemma3_text" else ()

    def layer(window: int | None) -> Layer:
        terms = (
            *(norm(name, width) for name in norms),
            *(norm(f"self_attn.{name}", heads.size) for name in head_norms),
            *self_attention(heads, bias=config.flag("attention_bias"), window=window),
            *gated_ffn(width, inner, function),
        )
        return Layer(terms, PaperShape(heads.query, heads.key_value, inner))

    return decoder_only(
        config,
        repeat(layer, _windows(config)),
        width=width,
        final=(norm("norm", width),),
        context=config.optional_size("max_position_embeddings"),
    )


def _windows(config: Config) -> list[int | None]:
    if config.model_type == "gemma":
        return [None] * config.size("num_hidden_layers")
    period = config.size("sliding_window_pattern") if config.model_type == "gemma3_text" else 2
    return sliding(config, default=lambda i: (i + 1) % period != 0)
