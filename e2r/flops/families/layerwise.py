"""BGE's layerwise rerankers: a decoder with a scoring head for each layer that may end it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from e2r.flops.blocks import Term, linear
from e2r.flops.config import Config
from e2r.flops.families import gemma, llama
from e2r.flops.heads import Classes
from e2r.flops.structure import Structure

MODEL_TYPES: Mapping[str, Mapping[str, object]] = {
    "minicpm": {
        **llama.MODEL_TYPES["llama"],
        "tie_word_embeddings": True,
        "start_layer": 8,
        "head_multi": True,
        "head_type": "simple",
    },
    "cost_wise_gemma": {
        **gemma.MODEL_TYPES["gemma2"],
        "start_layer": 28,
        "layer_sep": 28,
        "layer_wise": False,
    },
}
HEADS: Mapping[str, Classes] = {
    "minicpm": {
        "LayerWiseMiniCPMForCausalLM": "classification",
        "MiniCPMForCausalLM": "generation",
        "MiniCPMModel": "embedding",
    },
    "cost_wise_gemma": {"CostWiseGemmaForCausalLM": "classification"},
}
COMPRESSION_GAP = "token compression (asked for at the call; priced without it)"


def build(config: Config) -> Structure:
    """The backbone as its own family describes it, read by the head of its last layer.

    The reference (FlagOpen/FlagEmbedding) reads every position by the head and keeps the last. A
    smaller cutoff layer is `--exit-after`.
    """
    gemma2 = config.model_type == "cost_wise_gemma"
    task = config.task or ("classification" if gemma2 else "generation")
    if gemma2 and task != "classification":
        config.refuse("architectures", f"asks for {task}; only the scoring heads are described")
    model_type, build_backbone = ("gemma2", gemma.build) if gemma2 else ("llama", llama.build)
    backbone = replace(config, facts={**config.facts, "model_type": model_type}, task=task)
    arch: Structure = build_backbone(backbone)
    if task == "classification":
        width = config.size("hidden_size")
        spare = Term("lm_head.spare", "linear", 0, "score", (_heads(config) - 1) * width, active=0)
        arch = replace(arch, head=(*linear("lm_head", width, 1, per="score"), spare))
    return replace(
        arch,
        model_type=config.model_type,
        config=dict(config.facts),
        gaps=(*arch.gaps, *((COMPRESSION_GAP,) if gemma2 else ())),
        cache={},
    )


def _heads(config: Config) -> int:
    """Scoring heads that are stored: one for each layer from the first that may be the last."""
    layers, start = config.size("num_hidden_layers"), config.size("start_layer")
    if config.model_type == "cost_wise_gemma":
        if not config.flag("layer_wise"):
            config.refuse("layer_wise", "is not true; only the scoring heads are described")
        step = config.size("layer_sep")
    else:
        config.word("head_type", ("simple",))
        if not config.flag("head_multi"):
            return 1
        step = 1
    if start > layers:
        config.refuse("start_layer", f"is {start}, but there are {layers} layers")
    return len(range(start, layers + 1, step))
