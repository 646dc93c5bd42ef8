"""Llama and the families that share its layer: Mistral, Qwen2 and Qwen3 without experts."""

from __future__ import annotations

from collections.abc import Mapping

from e2r.flops.architecture import Architecture, Layer, PaperShape
from e2r.flops.blocks import gated_ffn, norm, self_attention
from e2r.flops.config import Config, Required
from e2r.flops.shapes import decoder_only

_SHARED: Mapping[str, object] = {
    "hidden_act": "silu",
    "tie_word_embeddings": False,
    "head_dim": None,
    "layer_types": None,
}

MODEL_TYPES: Mapping[str, Mapping[str, object]] = {
    "llama": {
        **_SHARED,
        "vocab_size": Required(32000),
        "hidden_size": Required(4096),
        "intermediate_size": Required(11008),
        "num_hidden_layers": Required(32),
        "num_attention_heads": Required(32),
        "num_key_value_heads": None,
        "max_position_embeddings": 2048,
        "attention_bias": False,
        "mlp_bias": False,
    },
    "mistral": {
        **_SHARED,
        "vocab_size": Required(32000),
        "hidden_size": Required(4096),
        "intermediate_size": Required(14336),
        "num_hidden_layers": Required(32),
        "num_attention_heads": Required(32),
        "num_key_value_heads": 8,
        "max_position_embeddings": 131072,
        "sliding_window": 4096,
    },
    "qwen2": {
        **_SHARED,
        "vocab_size": Required(151936),
        "hidden_size": Required(4096),
        "intermediate_size": Required(22016),
        "num_hidden_layers": Required(32),
        "num_attention_heads": Required(32),
        "num_key_value_heads": 32,
        "max_position_embeddings": 32768,
        "use_sliding_window": False,
        "sliding_window": 4096,
        "max_window_layers": 28,
    },
    "qwen3": {
        **_SHARED,
        "vocab_size": Required(151936),
        "hidden_size": Required(4096),
        "intermediate_size": Required(22016),
        "num_hidden_layers": Required(32),
        "num_attention_heads": Required(32),
        "num_key_value_heads": 32,
        "head_dim": 128,
        "max_position_embeddings": 32768,
        "attention_bias": False,
        "use_sliding_window": False,
        "sliding_window": 4096,
        "max_window_layers": 28,
    },
}


def build(config: Config) -> Architecture:
    """A stack of attention and gated FFN under RMS norms."""
    width = config.size("hidden_size")
    heads, kv_heads, head_dim = config.heads(width)
    inner = config.size("intermediate_size")
    function = config.word("hidden_act")
    qkv_bias = config.model_type == "qwen2" or config.flag("attention_bias")
    output_bias = config.model_type != "qwen2" and config.flag("attention_bias")
    head_norms = config.model_type == "qwen3"
    layers: dict[int | None, Layer] = {}
    for window in set(windows(config)):
        terms = (
            norm("input_layernorm", width),
            *self_attention(
                width,
                heads,
                kv_heads,
                head_dim,
                bias=qkv_bias,
                output_bias=output_bias,
                window=window,
            ),
            *(
                (norm("self_attn.q_norm", head_dim), norm("self_attn.k_norm", head_dim))
                if head_norms
                else ()
            ),
            norm("post_attention_layernorm", width),
            *gated_ffn(width, inner, function, bias=config.flag("mlp_bias")),
        )
        layers[window] = Layer(terms, PaperShape(heads, kv_heads, inner))
    return decoder_only(
        config,
        [layers[window] for window in windows(config)],
        width=width,
        final=(norm("norm", width),),
        context=config.optional_size("max_position_embeddings"),
    )


def windows(config: Config) -> list[int | None]:
    """The sliding window of each layer, None where a layer attends to everything.

    Mistral slides in every layer. Qwen does in the layers that layer_types names, or from
    max_window_layers on, and only with use_sliding_window.
    """
    count = config.size("num_hidden_layers")
    if config.model_type == "llama":
        return [None] * count
    window = config.optional_size("sliding_window")
    if config.model_type == "mistral":
        return [window] * count
    window = window if config.flag("use_sliding_window") else None
    kinds = config.per_layer("layer_types", count, ("full_attention", "sliding_attention"))
    if kinds is None:
        first = config.count("max_window_layers")
        return [window if i >= first else None for i in range(count)]
    return [window if kind == "sliding_attention" else None for kind in kinds]
