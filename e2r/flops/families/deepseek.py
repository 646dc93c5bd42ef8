"""DeepSeek-V2 and V3: latent attention (MLA), dense layers first, then experts."""

from __future__ import annotations

from collections.abc import Mapping

from e2r.flops.blocks import Term, Terms, attention, gated_ffn, linear, mixture, norm, residual
from e2r.flops.config import Config
from e2r.flops.heads import Classes, decoder
from e2r.flops.shapes import decoder_only, repeat, sizes
from e2r.flops.structure import Layer, PaperShape, Structure

_SHARED: Mapping[str, object] = {
    "hidden_act": "silu",
    "tie_word_embeddings": False,
    "attention_bias": False,
    "kv_lora_rank": 512,
    "q_lora_rank": 1536,
    "qk_nope_head_dim": 128,
    "qk_rope_head_dim": 64,
    "v_head_dim": 128,
    "mla_kernel": "expanded",
}

MODEL_TYPES: Mapping[str, Mapping[str, object]] = {
    "deepseek_v2": {
        **sizes(vocab=102400, width=4096, inner=11008, layers=32, heads=32),
        **_SHARED,
        "mlp_bias": False,
        "max_position_embeddings": 2048,
        "moe_intermediate_size": 1407,
        "n_routed_experts": 64,
        "n_shared_experts": 2,
        "num_experts_per_tok": None,
        "first_k_dense_replace": 0,
    },
    "deepseek_v3": {
        **sizes(vocab=129280, width=7168, inner=18432, layers=61, heads=128),
        **_SHARED,
        "max_position_embeddings": 4096,
        "moe_intermediate_size": 2048,
        "n_routed_experts": 256,
        "n_shared_experts": 1,
        "num_experts_per_tok": 8,
        "first_k_dense_replace": 3,
    },
}

HEADS: Mapping[str, Classes] = {
    "deepseek_v2": decoder("DeepseekV2"),
    "deepseek_v3": decoder("DeepseekV3"),
}
ALIASES = {"num_experts": "n_routed_experts", "num_local_experts": "n_routed_experts"}


def build(config: Config) -> Structure:
    """`mla_kernel` (ours, not in config.json) chooses how the latent cache is read.

    "expanded" makes keys and values from the latent: each token's once under ideal, the whole
    context's in each pass under torch, as transformers does. "absorbed" folds that matrix into
    queries and outputs, and attends over the latent itself, as decode kernels do.
    """
    count, dense = config.size("num_hidden_layers"), config.count("first_k_dense_replace")
    width, heads = config.size("hidden_size"), config.size("num_attention_heads")

    def layer(sparse: bool) -> Layer:
        ffn, inner = _ffn(config, sparse)
        terms = (
            norm("input_layernorm", width),
            *_attention(config),
            norm("post_attention_layernorm", width),
            *ffn,
        )
        return Layer(terms, PaperShape(heads, heads, inner))

    return decoder_only(
        config,
        repeat(layer, [i >= dense for i in range(count)]),
        width=width,
        final=(norm("norm", width),),
        context=config.optional_size("max_position_embeddings"),
    )


def _attention(config: Config) -> Terms:
    width, heads = config.size("hidden_size"), config.size("num_attention_heads")
    rank, low = config.size("kv_lora_rank"), config.optional_size("q_lora_rank")
    plain, rotary = config.size("qk_nope_head_dim"), config.size("qk_rope_head_dim")
    value, bias = config.size("v_head_dim"), config.flag("attention_bias")
    query: Terms = linear("self_attn.q_proj", width, heads * (plain + rotary))
    if low is not None:
        query = (
            *linear("self_attn.q_a_proj", width, low, bias),
            norm("self_attn.q_a_layernorm", low),
            *linear("self_attn.q_b_proj", low, heads * (plain + rotary)),
        )
    stored = rank + rotary
    if config.word("mla_kernel", ("expanded", "absorbed")) == "absorbed":
        # The same matrix, met from the query's side and from the output's side.
        core: Terms = (
            *linear("self_attn.kv_b_proj", rank, heads * (plain + value)),
            *attention("self_attn.scores", heads, rank + rotary, rank, stored=stored),
        )
    else:
        core = (
            *linear("self_attn.kv_b_proj", rank, heads * (plain + value), per="context"),
            *attention("self_attn.scores", heads, plain + rotary, value, stored=stored),
        )
    return (
        *query,
        *linear("self_attn.kv_a_proj_with_mqa", width, rank + rotary, bias),
        norm("self_attn.kv_a_layernorm", rank),
        *core,
        *linear("self_attn.o_proj", heads * value, width, bias),
        Term("self_attn.rotary", "rotary", 0),
        residual("self_attn"),
    )


def _ffn(config: Config, sparse: bool) -> tuple[Terms, int]:
    width, function = config.size("hidden_size"), config.word("hidden_act")
    bias = config.flag("mlp_bias")
    if not sparse:
        inner = config.size("intermediate_size")
        return gated_ffn(width, inner, function, bias=bias), inner
    inner = config.size("moe_intermediate_size")
    total, active = config.size("n_routed_experts"), config.size("num_experts_per_tok")
    shared = inner * config.size("n_shared_experts")
    if active > total:
        config.refuse("num_experts_per_tok", f"is {active}, more than the {total} experts")
    terms = (
        *mixture(width, inner, function, total=total, active=active),
        *gated_ffn(width, shared, function, bias=bias, prefix="mlp.shared_experts"),
    )
    return terms, inner * active + shared
