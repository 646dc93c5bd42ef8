"""Integer equality with FlopCounterMode, per module, for decoder-only families."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from e2r.flops.architecture import Architecture  # noqa: E402
from e2r.flops.config import Task  # noqa: E402
from e2r.flops.families import family, index  # noqa: E402
from e2r.flops.work import Usage  # noqa: E402
from tests.flops import counter  # noqa: E402

ODD: dict[str, Any] = {
    "vocab_size": 331,
    "hidden_size": 112,
    "intermediate_size": 174,
    "num_hidden_layers": 3,
    "num_attention_heads": 7,
    "num_key_value_heads": 1,
    "pad_token_id": 0,
}
FULL, SLIDE = "full_attention", "sliding_attention"
MIXED = {"sliding_window": 64, "layer_types": [SLIDE, FULL, SLIDE]}
EXPERTS = {"moe_intermediate_size": 46, "num_experts": 6, "num_experts_per_tok": 3}
LATENT = {
    **ODD,
    "num_key_value_heads": 7,
    "moe_intermediate_size": 46,
    "n_routed_experts": 6,
    "num_experts_per_tok": 3,
    "n_shared_experts": 2,
    "kv_lora_rank": 26,
    "q_lora_rank": 34,
    "qk_nope_head_dim": 18,
    "qk_rope_head_dim": 10,
    "v_head_dim": 22,
    "first_k_dense_replace": 1,
    "n_group": 1,
    "topk_group": 1,
}
DELTA = {
    **ODD,
    "num_hidden_layers": 4,
    "head_dim": 22,
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 6,
    "linear_key_head_dim": 10,
    "linear_value_head_dim": 14,
}
DELTA_EXPERTS = {**DELTA, **EXPERTS, "shared_expert_intermediate_size": 58}
SPARSE = {name: value for name, value in DELTA_EXPERTS.items() if name != "intermediate_size"}
GPT2 = {"vocab_size": 331, "n_embd": 112, "n_layer": 3, "n_head": 7, "n_positions": 2048}
FALCON = {
    "vocab_size": 331,
    "hidden_size": 112,
    "num_hidden_layers": 3,
    "num_attention_heads": 14,
    "pad_token_id": 0,
}

MAMBA2 = {
    "vocab_size": 331,
    "hidden_size": 112,
    "num_hidden_layers": 2,
    "num_heads": 14,
    "head_dim": 16,
    "state_size": 10,
    "n_groups": 7,
    "chunk_size": 24,
}
JAMBA = {
    **ODD,
    "num_hidden_layers": 4,
    "num_experts": 5,
    "attn_layer_period": 4,
    "attn_layer_offset": 2,
    "mamba_d_state": 10,
}
GRANITE = {
    **ODD,
    "num_local_experts": 5,
    "num_experts_per_tok": 2,
    "shared_intermediate_size": 90,
    "mamba_n_heads": 14,
    "mamba_d_state": 10,
    "mamba_chunk_size": 24,
    "layer_types": ["linear_attention", FULL, "linear_attention"],
}

CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("llama", ODD),
    "llama head_dim, biases, tied": (
        "llama",
        {
            **ODD,
            "head_dim": 26,
            "attention_bias": True,
            "mlp_bias": True,
            "tie_word_embeddings": True,
        },
    ),
    "mistral slides": ("mistral", {**ODD, "sliding_window": 64}),
    "mistral full": ("mistral", {**ODD, "sliding_window": None, "head_dim": 18}),
    "granite": ("granite", {**ODD, "attention_bias": True}),
    "smollm3": ("smollm3", ODD),
    "smollm3 slides": ("smollm3", {**ODD, "use_sliding_window": True, **MIXED}),
    "qwen2": ("qwen2", ODD),
    "qwen2 slides late": (
        "qwen2",
        {**ODD, "use_sliding_window": True, "sliding_window": 64, "max_window_layers": 1},
    ),
    "qwen3": ("qwen3", {**ODD, "head_dim": 22, "attention_bias": True}),
    "qwen2_moe": (
        "qwen2_moe",
        {**ODD, **EXPERTS, "shared_expert_intermediate_size": 58, "mlp_only_layers": [0]},
    ),
    "qwen3_moe": ("qwen3_moe", {**ODD, **EXPERTS, "head_dim": 22, "decoder_sparse_step": 2}),
    "qwen3_moe slides": (
        "qwen3_moe",
        {**ODD, **EXPERTS, "head_dim": 22, "use_sliding_window": True, "sliding_window": 64},
    ),
    "mixtral": ("mixtral", {**ODD, "num_local_experts": 5, "num_experts_per_tok": 2}),
    "mixtral slides": ("mixtral", {**ODD, "num_local_experts": 5, "sliding_window": 64}),
    "gemma": ("gemma", {**ODD, "head_dim": 34}),
    "gemma2": ("gemma2", {**ODD, "head_dim": 34, **MIXED}),
    "gemma2 by default": ("gemma2", {**ODD, "head_dim": 34, "sliding_window": 64}),
    "gemma3": ("gemma3_text", {**ODD, "head_dim": 34, "sliding_window": 64, "layer_types": None}),
    "phi3": ("phi3", {**ODD, "sliding_window": 64}),
    "olmo2": ("olmo2", ODD),
    "olmo3": ("olmo3", {**ODD, "num_hidden_layers": 4, "sliding_window": 64}),
    "cohere": ("cohere", {**ODD, "use_qk_norm": True}),
    "cohere2": ("cohere2", {**ODD, "num_hidden_layers": 4, "sliding_window": 64}),
    "starcoder2": ("starcoder2", {**ODD, "sliding_window": 64}),
    "glm": ("glm", {**ODD, "head_dim": 16}),
    "glm4": ("glm4", {**ODD, "head_dim": 16}),
    "gpt2": ("gpt2", GPT2),
    "gpt2 inner": ("gpt2", {**GPT2, "n_inner": 90, "tie_word_embeddings": False}),
    "gpt_neox": ("gpt_neox", ODD),
    "falcon 7b": ("falcon", FALCON),
    "falcon 40b": (
        "falcon",
        {**FALCON, "new_decoder_architecture": True, "num_kv_heads": 2, "ffn_hidden_size": 90},
    ),
    "falcon 1b": (
        "falcon",
        {**FALCON, "multi_query": False, "parallel_attn": False, "alibi": True, "bias": True},
    ),
    "gpt_oss": (
        "gpt_oss",
        {**ODD, "head_dim": 22, "num_local_experts": 6, "num_experts_per_tok": 3, **MIXED},
    ),
    "qwen3.5": ("qwen3_5_text", {**DELTA, "tie_word_embeddings": True}),
    "qwen3.5 in turns": (
        "qwen3_5_text",
        {**DELTA, "layer_types": [FULL, "linear_attention"] * 2, "attention_bias": True},
    ),
    "qwen3.5 experts": ("qwen3_5_moe_text", SPARSE),
    "qwen3-next": ("qwen3_next", {**DELTA_EXPERTS, "mlp_only_layers": [0]}),
    "arcee": ("arcee", {**ODD, "mlp_bias": True, "attention_bias": True}),
    "ernie4_5": ("ernie4_5", {**ODD, "head_dim": 22, "use_bias": True}),
    "exaone4": ("exaone4", {**ODD, "num_hidden_layers": 5, "sliding_window": 64}),
    "exaone4 mixed": ("exaone4", {**ODD, **MIXED}),
    "helium": ("helium", {**ODD, "head_dim": 16, "attention_bias": True}),
    "hunyuan": ("hunyuan_v1_dense", {**ODD, "head_dim": 22, "attention_bias": True}),
    "ministral": ("ministral", {**ODD, "head_dim": 18, "sliding_window": 64}),
    "ministral mixed": ("ministral", {**ODD, "head_dim": 22, **MIXED}),
    "ministral3": ("ministral3", {**ODD, "head_dim": 22, "sliding_window": 64}),
    "seed_oss": ("seed_oss", {**ODD, "head_dim": 22, "mlp_bias": True}),
    "mamba2": ("mamba2", MAMBA2),
    "mamba2 odd kernel": ("mamba2", {**MAMBA2, "conv_kernel": 3, "use_bias": True, "n_groups": 1}),
    "lfm2": ("lfm2", {**ODD, "layer_types": ["conv", FULL, "conv"], "conv_L_cache": 4}),
    "lfm2 plain width": (
        "lfm2",
        {**ODD, "full_attn_idxs": [1], "conv_bias": True, "block_auto_adjust_ff_dim": False},
    ),
    "jamba": ("jamba", JAMBA),
    "jamba rank": ("jamba", {**JAMBA, "mamba_dt_rank": 9, "mamba_proj_bias": True}),
    "granite 4": ("granitemoehybrid", GRANITE),
    "granite 4 dense": ("granitemoehybrid", {**GRANITE, "num_local_experts": 0}),
    "deepseek_v2": ("deepseek_v2", LATENT),
    "deepseek_v2 lite": ("deepseek_v2", {**LATENT, "q_lora_rank": None}),
    "deepseek_v3": ("deepseek_v3", {**LATENT, "attention_bias": True}),
}
HEADS = {model_type: family(model_type).HEADS[model_type] for model_type in index()}
MROPE = {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [2, 3, 3]}
VISION: dict[str, dict[str, Any]] = {
    "qwen2_vl": {**ODD, "rope_parameters": MROPE},
    "qwen2_5_vl": {**ODD, "rope_parameters": MROPE, "use_sliding_window": True, **MIXED},
    "qwen3_vl": {**ODD, "head_dim": 22},
    "qwen3_5": {**DELTA, "rope_parameters": MROPE},
    "qwen3_5_moe": {**SPARSE, "rope_parameters": MROPE},
    "gemma3": {**ODD, "head_dim": 34, "sliding_window": 64},
    "llava": {**ODD, "model_type": "llama"},
}
MARKED = [
    pytest.param(case, marks=pytest.mark.slow if case.startswith("jamba") else ()) for case in CASES
]
"""Jamba's reference scans token by token, which takes seconds."""
CACHED, NEW = (0, 100, 300), (1, 37, 257, 512)
"""Cached prefixes (none, past the window, well past it) and new prompt tokens."""
STEPS = {(0, 37): 2, (0, 512): 1, (100, 1): 3, (300, 257): 2, (63, 2): 2}
"""One-token passes after some of the prefills; the last one starts just short of the window."""
GRID = [*product(CACHED, NEW), (63, 2)]


def config_of(model_type: str, fields: dict[str, Any]) -> Any:
    return transformers.CONFIG_MAPPING[model_type](**fields)


@pytest.mark.parametrize("case", MARKED)
def test_every_module(case: str) -> None:
    config = config_of(*CASES[case])
    model = counter.build(config)
    arch = Architecture.load(config.to_diff_dict())
    for cached, new in GRID:
        steps = STEPS.get((cached, new), 0)
        head = min(new, 3)
        usage = Usage(cached + new, steps + 1, cached_tokens=cached, head_positions=head)
        counted = counter.decoder_counts(model, cached=cached, new=new, steps=steps, head=head)
        assert counter.ours(arch, usage, model) == counted, (cached, new, steps)


@pytest.mark.parametrize("case", CASES)
def test_parameters(case: str) -> None:
    config = config_of(*CASES[case])
    model = counter.build(config)
    arch = Architecture.load(config.to_diff_dict())
    assert arch.parameters.total == sum(weight.numel() for weight in model.parameters())


@pytest.mark.parametrize("wrapper", VISION)
def test_text_part_of_vision_models(wrapper: str) -> None:
    config = config_of(wrapper, {"text_config": VISION[wrapper]})
    model = counter.build(config, transformers.AutoModelForImageTextToText)
    arch = Architecture.load(config.to_diff_dict())
    for tokens in (1, 37, 257):
        counted = counter.call_counts(model, input_ids=counter.ids(tokens), logits_to_keep=1)
        assert counter.ours(arch, Usage(tokens), model) == counted, tokens
    text = [
        weight.numel()
        for name, weight in model.named_parameters()
        if not any(part in name for part in ("visual", "vision", "projector"))
    ]
    assert arch.parameters.total == sum(text)


TASKS = {
    "classification": transformers.AutoModelForSequenceClassification,
    "embedding": transformers.AutoModel,
}
OTHER_HEADS = [
    pytest.param(case, task, marks=pytest.mark.slow if model_type == "jamba" else ())
    for case, (model_type, fields) in CASES.items()
    for task in TASKS
    if fields is next(f for t, f in CASES.values() if t == model_type)
    and task in HEADS[model_type].values()
]
"""The other tasks of each model type, on the first of its cases."""


@pytest.mark.parametrize(("case", "task"), OTHER_HEADS)
def test_classifiers_and_bare_stacks(case: str, task: Task) -> None:
    model_type, fields = CASES[case]
    # GPT-2 looks for its padding token among the ids, which have no values here.
    padding = None if model_type == "gpt2" else 0
    config = config_of(model_type, {**fields, "pad_token_id": padding, "num_labels": 3})
    model = counter.build(config, TASKS[task])
    arch = Architecture.load(config.to_diff_dict(), task=task)
    for tokens in (1, 37):
        counted = counter.call_counts(model, input_ids=counter.ids(tokens))
        assert counter.ours(arch, Usage(tokens), model) == counted, tokens
    assert arch.parameters.total == sum(weight.numel() for weight in model.parameters())
