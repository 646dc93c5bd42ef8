"""Qwen2 and Qwen3, dense and with experts, and the text parts of their vision models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from e2r.flops.blocks import Terms, activation, gated_ffn, linear, mixture, norm, self_attention
from e2r.flops.config import Config
from e2r.flops.heads import Classes, decoder
from e2r.flops.shapes import decoder_only, repeat, sizes, sliding
from e2r.flops.structure import Layer, PaperShape, Structure

_DENSE: Mapping[str, object] = {
    "num_key_value_heads": 32,
    "head_dim": None,
    "hidden_act": "silu",
    "max_position_embeddings": 32768,
    "tie_word_embeddings": False,
    "use_sliding_window": False,
    "sliding_window": 4096,
    "max_window_layers": 28,
    "layer_types": None,
}
_SPARSE: Mapping[str, object] = {
    "head_dim": None,
    "hidden_act": "silu",
    "max_position_embeddings": 32768,
    "tie_word_embeddings": False,
    "use_sliding_window": False,
    "sliding_window": 4096,
    "decoder_sparse_step": 1,
    "mlp_only_layers": None,
}

_VISION: Mapping[str, object] = {
    **sizes(vocab=152064, width=8192, inner=29568, layers=80, heads=64),
    **_DENSE,
    "num_key_value_heads": 8,
    "max_window_layers": 80,
}

MODEL_TYPES: Mapping[str, Mapping[str, object]] = {
    "qwen2_vl_text": _VISION,
    "qwen2_5_vl_text": _VISION,
    "qwen3_vl_text": {
        **sizes(vocab=151936, width=4096, inner=22016, layers=32, heads=32),
        "num_key_value_heads": 32,
        "head_dim": 128,
        "hidden_act": "silu",
        "max_position_embeddings": 128000,
        "tie_word_embeddings": False,
        "attention_bias": False,
    },
    "qwen2": {
        **sizes(vocab=151936, width=4096, inner=22016, layers=32, heads=32),
        **_DENSE,
    },
    "qwen3": {
        **sizes(vocab=151936, width=4096, inner=22016, layers=32, heads=32),
        **_DENSE,
        "head_dim": 128,
        "attention_bias": False,
    },
    "qwen2_moe": {
        **sizes(vocab=151936, width=2048, inner=5632, layers=24, heads=16),
        **_SPARSE,
        "num_key_value_heads": 16,
        "max_window_layers": 28,
        "layer_types": None,
        "qkv_bias": True,
        "moe_intermediate_size": 1408,
        "shared_expert_intermediate_size": 5632,
        "num_experts_per_tok": 4,
        "num_experts": 60,
    },
    "qwen3_moe": {
        **sizes(vocab=151936, width=2048, inner=6144, layers=24, heads=32),
        **_SPARSE,
        "num_key_value_heads": 4,
        "attention_bias": False,
        "moe_intermediate_size": 768,
        "num_experts_per_tok": 8,
        "num_experts": 128,
    },
}

HEADS: Mapping[str, Classes] = {
    "qwen2_vl_text": {"Qwen2VLTextModel": "embedding"},
    "qwen2_5_vl_text": {"Qwen2_5_VLTextModel": "embedding"},
    "qwen3_vl_text": {"Qwen3VLTextModel": "embedding"},
    "qwen2": decoder("Qwen2"),
    "qwen3": {**decoder("Qwen3"), "JinaForRanking": "embedding"},
    "qwen2_moe": decoder("Qwen2Moe"),
    "qwen3_moe": decoder("Qwen3Moe"),
}
PROJECTED = 512
"""Width of what jina-reranker-v3 compares; its config does not say it, its parameters do."""
ALIASES = {"num_local_experts": "num_experts"}


def build(config: Config) -> Structure:
    """Attention with biased projections (Qwen2) or normed heads (Qwen3), then FFN or experts."""
    width = config.size("hidden_size")
    heads = config.heads(width)
    normed = config.model_type.startswith("qwen3")
    bias = config.flag("attention_bias") if normed else True
    if config.model_type == "qwen2_moe":
        bias = config.flag("qkv_bias")

    def layer(key: tuple[int | None, bool]) -> Layer:
        window, sparse = key
        ffn, inner = _ffn(config, sparse)
        terms = (
            norm("input_layernorm", width),
            *self_attention(heads, bias=bias, output_bias=bias if normed else False, window=window),
            *((norm("self_attn.q_norm", heads.size),) if normed else ()),
            *((norm("self_attn.k_norm", heads.size),) if normed else ()),
            norm("post_attention_layernorm", width),
            *ffn,
        )
        return Layer(terms, PaperShape(heads.query, heads.key_value, inner))

    return decoder_only(
        config,
        repeat(layer, list(zip(_windows(config), _sparse(config), strict=True))),
        width=width,
        final=(norm("norm", width),),
        context=config.optional_size("max_position_embeddings"),
        embedder=_projector(config, width),
    )


def _projector(config: Config, width: int) -> Terms:
    """Of jina-reranker-v3, over the states of the query and of each passage."""
    if config.facts.get("architectures") != ["JinaForRanking"]:
        return ()
    return (
        *linear("projector.0", width, PROJECTED, per="position"),
        activation("projector", PROJECTED, "relu", per="position"),
        *linear("projector.2", PROJECTED, PROJECTED, per="position"),
    )


def _ffn(config: Config, sparse: bool) -> tuple[Terms, int]:
    width, function = config.size("hidden_size"), config.word("hidden_act")
    if not sparse:
        inner = config.size("intermediate_size")
        return gated_ffn(width, inner, function), inner
    inner, active = config.size("moe_intermediate_size"), config.size("num_experts_per_tok")
    total = config.size("num_experts")
    if active > total:
        config.refuse("num_experts_per_tok", f"is {active}, more than the {total} experts")
    routed = mixture(width, inner, function, total=total, active=active)
    if config.model_type == "qwen3_moe":
        return routed, inner * active
    shared = config.size("shared_expert_intermediate_size")
    terms = (
        *routed,
        *gated_ffn(width, shared, function, prefix="mlp.shared_expert"),
        *linear("mlp.shared_expert_gate", width, 1),
    )
    return terms, inner * active + shared


def _sparse(config: Config) -> list[bool]:
    count = config.size("num_hidden_layers")
    if not config.model_type.endswith("_moe"):
        return [False] * count
    dense = config.get("mlp_only_layers") or []
    if not isinstance(dense, Sequence) or not all(isinstance(i, int) for i in dense):
        config.refuse("mlp_only_layers", f"is {dense!r}; it has to list layer numbers")
    step = config.size("decoder_sparse_step")
    if config.count("num_experts") == 0:
        return [False] * count
    return [i not in dense and (i + 1) % step == 0 for i in range(count)]


def _windows(config: Config) -> list[int | None]:
    if config.model_type == "qwen3_vl_text":
        return [None] * config.size("num_hidden_layers")
    enabled = config.flag("use_sliding_window")
    if config.model_type == "qwen3_moe":
        window = config.optional_size("sliding_window") if enabled else None
        return [window] * config.size("num_hidden_layers")
    first = config.count("max_window_layers")
    if config.model_type == "qwen2_moe":
        return sliding(config, default=lambda i: i % 2 == 0 and i < first, enabled=enabled)
    return sliding(config, default=lambda i: i >= first, enabled=enabled)
