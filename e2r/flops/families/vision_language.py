"""Vision-language checkpoints: the text model that reads the prompt, without the vision tower."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from e2r.flops.config import Config
from e2r.flops.families import family
from e2r.flops.heads import Classes
from e2r.flops.structure import Structure

_WRAPPER: Mapping[str, object] = {"text_config": None, "tie_word_embeddings": False}

MODEL_TYPES: Mapping[str, Mapping[str, object]] = {
    "qwen2_vl": _WRAPPER,
    "qwen2_5_vl": _WRAPPER,
    "qwen3_vl": _WRAPPER,
    "qwen3_5": _WRAPPER,
    "qwen3_5_moe": _WRAPPER,
    "gemma3": {**_WRAPPER, "tie_word_embeddings": True},
    "llava": _WRAPPER,
}
TEXT = {
    "qwen2_vl": "qwen2_vl_text",
    "qwen2_5_vl": "qwen2_5_vl_text",
    "qwen3_vl": "qwen3_vl_text",
    "qwen3_5": "qwen3_5_text",
    "qwen3_5_moe": "qwen3_5_moe_text",
    "gemma3": "gemma3_text",
    "llava": "llama",
}
FORWARDED = ("qwen2_vl", "qwen2_5_vl", "llava")
"""Wrappers that take the tie flag of their text part for their own."""
GAP = "vision tower and projector (images are not priced, their tokens are)"
HEADS: Mapping[str, Classes] = {
    "qwen2_vl": {
        "Qwen2VLForConditionalGeneration": "generation",
        "Qwen2VLModel": "embedding",
    },
    "qwen2_5_vl": {
        "Qwen2_5_VLForConditionalGeneration": "generation",
        "Qwen2_5_VLModel": "embedding",
    },
    "qwen3_vl": {
        "Qwen3VLForConditionalGeneration": "generation",
        "Qwen3VLModel": "embedding",
    },
    "qwen3_5": {
        "Qwen3_5ForConditionalGeneration": "generation",
        "Qwen3_5ForSequenceClassification": "classification",
        "Qwen3_5Model": "embedding",
    },
    "qwen3_5_moe": {
        "Qwen3_5MoeForConditionalGeneration": "generation",
        "Qwen3_5MoeModel": "embedding",
    },
    "gemma3": {
        "Gemma3ForConditionalGeneration": "generation",
        "Gemma3ForSequenceClassification": "classification",
        "Gemma3Model": "embedding",
    },
    "llava": {
        "LlavaForConditionalGeneration": "generation",
        "LlavaModel": "embedding",
    },
}


def build(config: Config) -> Structure:
    """The text part as its own family describes it; image tokens count as prompt tokens."""
    nested = config.get("text_config")
    if nested is not None and not isinstance(nested, Mapping):
        config.refuse("text_config", f"is {type(nested).__name__}; it has to be an object")
    facts = dict(config.facts if nested is None else nested)
    model_type = TEXT[config.model_type]
    if nested is not None:
        model_type = str(nested.get("model_type") or model_type)
    # Early Qwen2-VL configs hold the text facts at the top, under the wrapper's own type.
    if model_type in MODEL_TYPES:
        model_type = TEXT[model_type]
    module = family(model_type)
    tied = config.flag("tie_word_embeddings")
    if config.model_type in FORWARDED:
        default = module.MODEL_TYPES[model_type].get("tie_word_embeddings")
        tied = tied or facts.get("tie_word_embeddings", default) is True
    facts.update(model_type=model_type, tie_word_embeddings=tied)
    # A classifier counts the labels of the whole model, whatever the text part says.
    facts.update({name: config.facts.get(name) for name in ("num_labels", "id2label")})
    text = Config(
        facts, config.source, config.task, module.MODEL_TYPES[model_type], nested=nested is not None
    )
    arch = module.build(text.respelled(getattr(module, "ALIASES", {})))
    return replace(
        arch,
        model_type=config.model_type,
        config=dict(config.facts),
        gaps=(*arch.gaps, GAP),
        cache={},
    )
