"""Models whose checkpoints bring their own code: priced as what that code multiplies."""

from __future__ import annotations

from typing import Any

import pytest

from e2r.errors import DataError
from e2r.flops.architecture import Architecture
from e2r.flops.conventions import CONVENTIONS
from e2r.flops.estimate import estimate
from e2r.flops.work import Usage

ENCODER: dict[str, Any] = {
    "vocab_size": 331,
    "hidden_size": 112,
    "intermediate_size": 174,
    "num_hidden_layers": 3,
    "num_attention_heads": 7,
    "max_position_embeddings": 600,
    "id2label": {"0": "LABEL_0"},
}
DECODER: dict[str, Any] = {
    **ENCODER,
    "num_key_value_heads": 1,
    "head_dim": 34,
    "tie_word_embeddings": True,
}
JINA = {"position_embedding_type": "alibi", "feed_forward_type": "geglu"}
LAYERWISE: dict[str, Any] = {"start_layer": 2, "head_multi": True, "head_type": "simple"}
COST_WISE: dict[str, Any] = {"start_layer": 2, "layer_sep": 1, "layer_wise": True}


def load(model_type: str, name: str | None = None, **facts: Any) -> Architecture:
    named = {} if name is None else {"architectures": [name]}
    return Architecture.load({"model_type": model_type, **named, **facts})


def flops(arch: Architecture, convention: str, tokens: int = 37) -> int:
    return int(estimate(arch, Usage(tokens), convention).flops)


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_alibabas_new_is_gte(convention: str) -> None:
    theirs = load("new", "NewForSequenceClassification", type_vocab_size=1, **ENCODER)
    ours = load("gte", "GteForSequenceClassification", type_vocab_size=1, **ENCODER)
    assert flops(theirs, convention) == flops(ours, convention)
    assert theirs.parameters == ours.parameters


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_nemotron_is_llama_without_a_mask_and_a_pooled_score(convention: str) -> None:
    theirs = load("llama_bidirec", "LlamaBidirectionalForSequenceClassification", **DECODER)
    bare = Architecture.load(
        {"model_type": "llama", "is_causal": False, **DECODER}, task="embedding"
    )
    score = 0 if convention == "paper" else 2 * 112
    assert theirs.mode == "encoder"
    assert flops(theirs, convention) == flops(bare, convention) + score
    assert theirs.parameters.total == bare.parameters.total + 112


@pytest.mark.parametrize(
    ("model_type", "name", "own", "base"),
    [
        ("minicpm", "LayerWiseMiniCPMForCausalLM", LAYERWISE, "llama"),
        ("cost_wise_gemma", "CostWiseGemmaForCausalLM", COST_WISE, "gemma2"),
    ],
)
@pytest.mark.parametrize("convention", CONVENTIONS)
def test_layerwise_rerankers_are_their_backbones_under_small_heads(
    model_type: str, name: str, own: dict[str, Any], base: str, convention: str
) -> None:
    theirs = load(model_type, name, **DECODER, **own)
    bare = Architecture.load({"model_type": base, **DECODER}, task="embedding")
    # The reference reads every position by the head, the mathematics the last one.
    read = {"ideal": 1, "paper": 0}.get(convention, 37)
    assert flops(theirs, convention) == flops(bare, convention) + read * 2 * 112
    assert theirs.parameters.total == bare.parameters.total + 2 * 112


def test_jinas_bert_by_hand() -> None:
    arch = load("bert", "JinaBertForSequenceClassification", **ENCODER, **JINA)
    tokens, width, inner = 37, 112, 174
    layer = 2 * tokens * (4 * width**2 + 3 * width * inner) + 4 * tokens**2 * width
    assert flops(arch, "torch") == 3 * layer + 2 * (width**2 + width)
    weights = 4 * width**2 + 3 * width * inner + 5 * width + 4 * width
    around = (331 + 2 + 2) * width + width * (width + 1) + width + 1
    assert arch.parameters.total == 3 * weights + around


@pytest.mark.parametrize(
    ("model_type", "name", "facts", "field"),
    [
        ("new", None, {**ENCODER, "logn_attention_scale": True}, "logn_attention_scale"),
        ("new", None, {**ENCODER, "position_embedding_type": "absolute"}, "position_embedding"),
        ("llama_bidirec", None, {**DECODER, "pooling": "weighted"}, "pooling"),
        ("cost_wise_gemma", None, {**DECODER, "layer_wise": False}, "layer_wise"),
        ("cost_wise_gemma", None, {**DECODER, **COST_WISE, "start_layer": 4}, "start_layer"),
        ("bert", None, {**ENCODER, **JINA, "feed_forward_type": "swiglu"}, "feed_forward_type"),
        ("roberta", None, {**ENCODER, **JINA}, "position_embedding_type"),
    ],
)
def test_what_is_not_described_is_refused(
    model_type: str, name: str | None, facts: dict[str, Any], field: str
) -> None:
    with pytest.raises(DataError, match=field):
        load(model_type, name, **facts)
