"""Jamba: Mamba layers, attention every so often, experts in every other FFN."""

from __future__ import annotations

from collections.abc import Mapping

from e2r.flops.blocks import Term, Terms, gated_ffn, linear, mixture, norm, residual, self_attention
from e2r.flops.config import Config, Heads
from e2r.flops.heads import Classes, decoder
from e2r.flops.shapes import decoder_only, repeat, sizes
from e2r.flops.statespace import SCAN_GAP, convolution
from e2r.flops.structure import Layer, Structure

MODEL_TYPES: Mapping[str, Mapping[str, object]] = {
    "jamba": {
        **sizes(vocab=65536, width=4096, inner=14336, layers=32, heads=32),
        "num_key_value_heads": 8,
        "head_dim": None,
        "hidden_act": "silu",
        "max_position_embeddings": 262144,
        "tie_word_embeddings": False,
        "num_experts_per_tok": 2,
        "num_experts": 16,
        "expert_layer_period": 2,
        "expert_layer_offset": 1,
        "attn_layer_period": 8,
        "attn_layer_offset": 4,
        "mamba_d_state": 16,
        "mamba_d_conv": 4,
        "mamba_expand": 2,
        "mamba_dt_rank": "auto",
        "mamba_conv_bias": True,
        "mamba_proj_bias": False,
    },
}

HEADS: Mapping[str, Classes] = {
    "jamba": decoder("Jamba"),
}
ALIASES = {"num_local_experts": "num_experts"}


def build(config: Config) -> Structure:
    """Attention has no positions; experts take turns with plain FFNs."""
    width, count = config.size("hidden_size"), config.size("num_hidden_layers")
    heads = config.heads(width)
    for name in ("attn_layer", "expert_layer"):
        if config.count(f"{name}_offset") >= config.size(f"{name}_period"):
            config.refuse(f"{name}_offset", f"is not below {name}_period")

    def layer(key: tuple[bool, bool]) -> Layer:
        attends, sparse = key
        terms = (
            norm("input_layernorm", width),
            *(self_attention(heads, rotary=False) if attends else _mamba(config, heads)),
            norm("pre_ff_layernorm", width),
            *_ffn(config, sparse),
        )
        return Layer(terms)

    return decoder_only(
        config,
        repeat(
            layer,
            [
                (
                    _turn(config, "attn", i),
                    config.size("num_experts") > 1 and _turn(config, "expert", i),
                )
                for i in range(count)
            ],
        ),
        width=width,
        final=(norm("final_layernorm", width),),
        context=config.optional_size("max_position_embeddings"),
        gaps=(SCAN_GAP,),
    )


def _turn(config: Config, kind: str, layer: int) -> bool:
    period, offset = config.size(f"{kind}_layer_period"), config.count(f"{kind}_layer_offset")
    return layer % period == offset


def _mamba(config: Config, heads: Heads) -> Terms:
    width, state = heads.width, config.size("mamba_d_state")
    inner, bias = config.size("mamba_expand") * width, config.flag("mamba_proj_bias")
    rank = -(-width // 16)
    if config.get("mamba_dt_rank") != "auto":
        rank = config.size("mamba_dt_rank")
    return (
        *linear("mamba.in_proj", width, 2 * inner, bias),
        *convolution("mamba", inner, config.size("mamba_d_conv"), config.flag("mamba_conv_bias")),
        *linear("mamba.x_proj", inner, rank + 2 * state),
        norm("mamba.dt_layernorm", rank),
        norm("mamba.b_layernorm", state),
        norm("mamba.c_layernorm", state),
        *linear("mamba.time_step", rank, inner, bias=True),
        Term("mamba.decay", "scale", 0, parameters=inner * state + inner),
        Term("mamba.read_out", "scan", 2 * inner * state, "token"),
        Term("mamba.state", "scan.state", 0, "recurrent", stored=inner * state),
        *linear("mamba.out_proj", inner, width, bias),
        residual("mamba"),
    )


def _ffn(config: Config, sparse: bool) -> Terms:
    width, inner = config.size("hidden_size"), config.size("intermediate_size")
    function = config.word("hidden_act")
    if not sparse:
        return gated_ffn(width, inner, function, prefix="feed_forward")
    total, active = config.size("num_experts"), config.size("num_experts_per_tok")
    if active > total:
        config.refuse("num_experts_per_tok", f"is {active}, more than the {total} experts")
    return mixture(
        width,
        inner,
        function,
        total=total,
        active=active,
        prefix="feed_forward",
        router="router",
    )
