"""Granite 4: Mamba-2 layers with attention between them, shared FFN and, in some, experts."""

from __future__ import annotations

from collections.abc import Mapping

from e2r.flops.blocks import Terms, fused_gated_ffn, mixture, norm, self_attention
from e2r.flops.config import Config
from e2r.flops.heads import Classes, language_model
from e2r.flops.shapes import decoder_only, repeat, sizes
from e2r.flops.statespace import SCAN_GAP, Mixer, mamba2
from e2r.flops.structure import Layer, Structure

MODEL_TYPES: Mapping[str, Mapping[str, object]] = {
    "granitemoehybrid": {
        **sizes(vocab=32000, width=4096, inner=11008, layers=32, heads=32),
        "num_key_value_heads": None,
        "head_dim": None,
        "hidden_act": "silu",
        "max_position_embeddings": 2048,
        "tie_word_embeddings": False,
        "attention_bias": False,
        "num_local_experts": 8,
        "num_experts_per_tok": 2,
        "shared_intermediate_size": 1024,
        "layer_types": None,
        "mamba_n_heads": 128,
        "mamba_n_groups": 1,
        "mamba_d_state": 256,
        "mamba_d_head": "auto",
        "mamba_d_conv": 4,
        "mamba_expand": 2,
        "mamba_chunk_size": 256,
        "mamba_conv_bias": True,
        "mamba_proj_bias": False,
    },
}

HEADS: Mapping[str, Classes] = {
    "granitemoehybrid": language_model("GraniteMoeHybrid"),
}
ALIASES = {"layers_block_type": "layer_types"}
KINDS = {
    "attention": True,
    "full_attention": True,
    "mamba": False,
    "linear_attention": False,
}


def build(config: Config) -> Structure:
    """Every layer has the shared FFN; experts come beside it where there are any."""
    width, count = config.size("hidden_size"), config.size("num_hidden_layers")
    heads, mixer = config.heads(width), _mixer(config)
    shared, function = config.size("shared_intermediate_size"), config.word("hidden_act")

    def layer(attends: bool) -> Layer:
        mixing: Terms = mamba2("mamba", mixer)
        if attends:
            mixing = self_attention(heads, bias=config.flag("attention_bias"))
        terms = (
            norm("input_layernorm", width),
            *mixing,
            norm("post_attention_layernorm", width),
            *_experts(config),
            *fused_gated_ffn(
                width,
                shared,
                function,
                prefix="shared_mlp",
                names=("input_linear", "output_linear"),
            ),
        )
        return Layer(terms)

    kinds = config.per_layer("layer_types", count, tuple(KINDS))
    kinds = ("mamba",) * count if kinds is None else kinds
    return decoder_only(
        config,
        repeat(layer, [KINDS[kind] for kind in kinds]),
        width=width,
        final=(norm("norm", width),),
        context=config.optional_size("max_position_embeddings"),
        gaps=(SCAN_GAP,),
    )


def _experts(config: Config) -> Terms:
    total = config.count("num_local_experts")
    if total == 0:
        return ()
    active = config.size("num_experts_per_tok")
    if active > total:
        config.refuse("num_experts_per_tok", f"is {active}, more than the {total} experts")
    return mixture(
        config.size("hidden_size"),
        config.size("intermediate_size"),
        config.word("hidden_act"),
        total=total,
        active=active,
        prefix="block_sparse_moe",
        router="router",
    )


def _mixer(config: Config) -> Mixer:
    width, heads = config.size("hidden_size"), config.size("mamba_n_heads")
    inner = config.size("mamba_expand") * width
    head_dim = inner // heads
    if config.get("mamba_d_head") != "auto":
        head_dim = config.size("mamba_d_head")
    if head_dim * heads != inner:
        config.refuse("mamba_n_heads", f"times the head width {head_dim} is not {inner}")
    return Mixer(
        width=width,
        heads=heads,
        head_dim=head_dim,
        state=config.size("mamba_d_state"),
        groups=config.size("mamba_n_groups"),
        kernel=config.size("mamba_d_conv"),
        chunk=config.size("mamba_chunk_size"),
        bias=config.flag("mamba_proj_bias"),
        conv_bias=config.flag("mamba_conv_bias"),
    )
