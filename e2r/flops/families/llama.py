"""Llama and the families that keep its layer: Mistral, Granite, SmolLM3, Nemotron's rerankers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from e2r.flops.blocks import gated_ffn, linear, norm, self_attention
from e2r.flops.config import Config
from e2r.flops.heads import Classes, decoder, language_model
from e2r.flops.shapes import decoder_only, repeat, sizes, sliding
from e2r.flops.structure import Layer, PaperShape, Structure

_LLAMA: Mapping[str, object] = {
    **sizes(vocab=32000, width=4096, inner=11008, layers=32, heads=32),
    "num_key_value_heads": None,
    "head_dim": None,
    "hidden_act": "silu",
    "max_position_embeddings": 2048,
    "tie_word_embeddings": False,
    "attention_bias": False,
    "mlp_bias": False,
}

MODEL_TYPES: Mapping[str, Mapping[str, object]] = {
    "llama": _LLAMA,
    "llama_bidirec": {**_LLAMA, "pooling": "avg"},
    "mistral": {
        **sizes(vocab=32000, width=4096, inner=14336, layers=32, heads=32),
        "num_key_value_heads": 8,
        "head_dim": None,
        "hidden_act": "silu",
        "max_position_embeddings": 131072,
        "tie_word_embeddings": False,
        "sliding_window": 4096,
        "layer_types": None,
    },
    "granite": {
        **sizes(vocab=32000, width=4096, inner=11008, layers=32, heads=32),
        "num_key_value_heads": None,
        "head_dim": None,
        "hidden_act": "silu",
        "max_position_embeddings": 2048,
        "tie_word_embeddings": False,
        "attention_bias": False,
        "mlp_bias": False,
    },
    "smollm3": {
        **sizes(vocab=128256, width=2048, inner=11008, layers=36, heads=16),
        "num_key_value_heads": 4,
        "head_dim": None,
        "hidden_act": "silu",
        "max_position_embeddings": 32768,
        "tie_word_embeddings": True,
        "attention_bias": False,
        "mlp_bias": False,
        "use_sliding_window": False,
        "sliding_window": None,
        "no_rope_layers": None,
        "no_rope_layer_interval": 4,
        "layer_types": None,
    },
}
HEADS: Mapping[str, Classes] = {
    "llama": decoder("Llama"),
    "llama_bidirec": {
        "LlamaBidirectionalForSequenceClassification": "classification",
        "LlamaBidirectionalModel": "embedding",
    },
    "mistral": decoder("Mistral"),
    "granite": language_model("Granite"),
    "smollm3": decoder("SmolLM3"),
}


def build(config: Config) -> Structure:
    """A stack of attention and gated FFN under RMS norms."""
    pooled = None
    if config.model_type == "llama_bidirec":
        # NVIDIA's own code: every token sees all, and the score is read from the pooled state.
        if config.task == "generation":
            config.refuse("architectures", "asks for generation, but every token sees the whole")
        config.word("pooling", ("avg", "cls", "last"))
        task = config.task or "classification"
        config = replace(config, facts={**config.facts, "is_causal": False}, task=task)
        pooled = linear("score", config.size("hidden_size"), config.labels(), per="call")
    width = config.size("hidden_size")
    inner = config.size("intermediate_size")
    heads = config.heads(width)
    shape = PaperShape(heads.query, heads.key_value, inner)

    def layer(window: int | None) -> Layer:
        terms = (
            norm("input_layernorm", width),
            *self_attention(heads, bias=config.flag("attention_bias"), window=window),
            norm("post_attention_layernorm", width),
            *gated_ffn(width, inner, config.word("hidden_act"), bias=config.flag("mlp_bias")),
        )
        return Layer(terms, shape)

    return decoder_only(
        config,
        repeat(layer, _windows(config)),
        width=width,
        final=(norm("norm", width),),
        classifier=pooled,
        context=config.optional_size("max_position_embeddings"),
    )


def _windows(config: Config) -> list[int | None]:
    count = config.size("num_hidden_layers")
    match config.model_type:
        case "mistral":
            if config.get("layer_types") is not None:
                config.refuse("layer_types", "is set; a mixed Mistral is not described here")
            return [config.optional_size("sliding_window")] * count
        case "smollm3":
            # Only layers without rotary positions slide.
            interval = config.size("no_rope_layer_interval")
            rotary = config.get("no_rope_layers")
            if rotary is None:
                rotary = [(i + 1) % interval for i in range(count)]
            if len(rotary) != count:
                config.refuse("no_rope_layers", f"needs one entry for each of the {count} layers")
            slides = config.flag("use_sliding_window") and config.get("sliding_window") is not None
            return sliding(config, default=lambda i: not rotary[i], enabled=slides)
        case _:
            return [None] * count
