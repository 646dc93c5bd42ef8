"""Qwen3.5 and Qwen3-Next: gated delta nets with gated attention every few layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from e2r.flops.blocks import Term, Terms, gated_ffn, linear, mixture, norm, residual, self_attention
from e2r.flops.config import Config, Heads, Required
from e2r.flops.heads import Classes, decoder
from e2r.flops.shapes import decoder_only, repeat, sizes
from e2r.flops.statespace import DELTA_GAP, DeltaRule, convolution, gated_delta
from e2r.flops.structure import Layer, Structure

_HYBRID: Mapping[str, object] = {
    "head_dim": 256,
    "hidden_act": "silu",
    "max_position_embeddings": 32768,
    "tie_word_embeddings": False,
    "attention_bias": False,
    "linear_conv_kernel_dim": 4,
    "linear_key_head_dim": 128,
    "linear_value_head_dim": 128,
    "linear_num_key_heads": 16,
    "linear_num_value_heads": 32,
    "layer_types": None,
    "full_attention_interval": 4,
}
_EXPERTS: Mapping[str, object] = {
    "moe_intermediate_size": 512,
    "shared_expert_intermediate_size": 512,
    "num_key_value_heads": 2,
}

MODEL_TYPES: Mapping[str, Mapping[str, object]] = {
    "qwen3_5_text": {
        **sizes(vocab=248320, width=4096, inner=12288, layers=32, heads=16),
        **_HYBRID,
        "num_key_value_heads": 4,
    },
    "qwen3_5_moe_text": {
        "vocab_size": Required(248320),
        "hidden_size": Required(2048),
        "num_hidden_layers": Required(40),
        "num_attention_heads": Required(16),
        **_HYBRID,
        **_EXPERTS,
        "num_experts_per_tok": 8,
        "num_experts": 256,
    },
    "qwen3_next": {
        **sizes(vocab=151936, width=2048, inner=5632, layers=48, heads=16),
        **_HYBRID,
        **_EXPERTS,
        "num_experts_per_tok": 10,
        "num_experts": 512,
        "decoder_sparse_step": 1,
        "mlp_only_layers": None,
    },
}
HEADS: Mapping[str, Classes] = {
    "qwen3_5_text": {
        "Qwen3_5ForCausalLM": "generation",
        "Qwen3_5TextForSequenceClassification": "classification",
        "Qwen3_5TextModel": "embedding",
    },
    "qwen3_5_moe_text": {
        "Qwen3_5MoeForCausalLM": "generation",
        "Qwen3_5MoeTextModel": "embedding",
    },
    "qwen3_next": decoder("Qwen3Next"),
}
ALIASES = {"num_local_experts": "num_experts"}
KINDS = ("full_attention", "linear_attention")


def build(config: Config) -> Structure:
    """Attention with a gate as wide as its heads, or the delta rule; then FFN or experts."""
    width, count = config.size("hidden_size"), config.size("num_hidden_layers")
    heads, rule = config.heads(width), _rule(config)
    kernel = config.size("linear_conv_kernel_dim")
    kinds = config.per_layer("layer_types", count, KINDS)
    if kinds is None:
        interval = config.size("full_attention_interval")
        kinds = tuple(KINDS[(i + 1) % interval != 0] for i in range(count))

    def layer(key: tuple[str, bool]) -> Layer:
        kind, sparse = key
        if kind == "full_attention":
            mixing = _gated_attention(config, heads)
        else:
            mixing = _delta_net(config, rule, kernel)
        terms = (
            norm("input_layernorm", width),
            *mixing,
            norm("post_attention_layernorm", width),
            *_ffn(config, sparse),
        )
        return Layer(terms)

    return decoder_only(
        config,
        repeat(layer, list(zip(kinds, _sparse(config, count), strict=True))),
        width=width,
        final=(norm("norm", width),),
        context=config.optional_size("max_position_embeddings"),
        gaps=(DELTA_GAP,),
    )


def _gated_attention(config: Config, heads: Heads) -> Terms:
    """The query projection brings a gate of its own width for the output."""
    bias, inner = config.flag("attention_bias"), heads.query * heads.size
    return (
        *self_attention(heads, bias=bias),
        *linear("self_attn.q_proj.gate", heads.width, inner, bias),
        Term("self_attn.gate", "gate", 0),
        norm("self_attn.q_norm", heads.size),
        norm("self_attn.k_norm", heads.size),
    )


def _delta_net(config: Config, rule: DeltaRule, kernel: int) -> Terms:
    path, width = "linear_attn", config.size("hidden_size")
    channels = 2 * rule.keys + rule.values
    if config.model_type == "qwen3_next":
        inputs: Terms = (
            *linear(f"{path}.in_proj_qkvz", width, channels + rule.values),
            *linear(f"{path}.in_proj_ba", width, 2 * rule.value_heads),
        )
    else:
        inputs = (
            *linear(f"{path}.in_proj_qkv", width, channels),
            *linear(f"{path}.in_proj_z", width, rule.values),
            *linear(f"{path}.in_proj_b", width, rule.value_heads),
            *linear(f"{path}.in_proj_a", width, rule.value_heads),
        )
    return (
        *inputs,
        *convolution(path, channels, kernel, bias=False),
        *gated_delta(path, rule),
        *linear(f"{path}.out_proj", rule.values, width),
        residual(path),
    )


def _rule(config: Config) -> DeltaRule:
    rule = DeltaRule(
        key_heads=config.size("linear_num_key_heads"),
        value_heads=config.size("linear_num_value_heads"),
        key_dim=config.size("linear_key_head_dim"),
        value_dim=config.size("linear_value_head_dim"),
    )
    if rule.value_heads % rule.key_heads:
        config.refuse(
            "linear_num_value_heads",
            f"is {rule.value_heads}, which the {rule.key_heads} key heads do not divide",
        )
    return rule


def _ffn(config: Config, sparse: bool) -> Terms:
    width, function = config.size("hidden_size"), config.word("hidden_act")
    if not sparse:
        return gated_ffn(width, config.size("intermediate_size"), function)
    active, total = config.size("num_experts_per_tok"), config.size("num_experts")
    if active > total:
        config.refuse("num_experts_per_tok", f"is {active}, more than the {total} experts")
    shared = config.size("shared_expert_intermediate_size")
    inner = config.size("moe_intermediate_size")
    return (
        *mixture(width, inner, function, total=total, active=active),
        *gated_ffn(width, shared, function, prefix="mlp.shared_expert"),
        *linear("mlp.shared_expert_gate", width, 1),
    )


def _sparse(config: Config, count: int) -> list[bool]:
    if config.model_type != "qwen3_next":
        return [config.model_type == "qwen3_5_moe_text"] * count
    dense = config.get("mlp_only_layers") or []
    if not isinstance(dense, Sequence) or not all(isinstance(i, int) for i in dense):
        config.refuse("mlp_only_layers", f"is {dense!r}; it has to list layer numbers")
    step, experts = config.size("decoder_sparse_step"), config.count("num_experts")
    return [experts > 0 and i not in dense and (i + 1) % step == 0 for i in range(count)]
