"""Integer equality with FlopCounterMode, per module, for encoders and encoder-decoder models."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from e2r.flops.architecture import Architecture  # noqa: E402
from e2r.flops.estimate import estimate  # noqa: E402
from e2r.flops.work import Usage  # noqa: E402
from tests.flops import counter  # noqa: E402

ODD: dict[str, Any] = {
    "vocab_size": 331,
    "hidden_size": 112,
    "intermediate_size": 174,
    "num_hidden_layers": 3,
    "num_attention_heads": 7,
    "max_position_embeddings": 600,
}
DISENTANGLED = {
    **ODD,
    "relative_attention": True,
    "position_buckets": 64,
    "norm_rel_ebd": "layer_norm",
    "pos_att_type": ["p2c", "c2p"],
    "position_biased_input": False,
    "type_vocab_size": 0,
}
BART = {
    "vocab_size": 331,
    "d_model": 112,
    "encoder_layers": 2,
    "decoder_layers": 3,
    "encoder_ffn_dim": 174,
    "decoder_ffn_dim": 90,
    "encoder_attention_heads": 7,
    "decoder_attention_heads": 4,
}
T5 = {"vocab_size": 331, "d_model": 112, "d_kv": 26, "d_ff": 174, "num_layers": 2, "num_heads": 3}

CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "bert": ("bert", ODD),
    "roberta": ("roberta", ODD),
    "xlm-roberta": ("xlm-roberta", {**ODD, "type_vocab_size": 1}),
    "camembert": ("camembert", ODD),
    "electra": ("electra", {**ODD, "embedding_size": 46}),
    "electra same width": ("electra", {**ODD, "embedding_size": 112}),
    "eurobert": ("eurobert", {**ODD, "num_key_value_heads": 1, "head_dim": 22, "pad_token_id": 0}),
    "eurobert pooled": (
        "eurobert",
        {
            **ODD,
            "classifier_pooling": "mean",
            "mlp_bias": True,
            "attention_bias": True,
            "pad_token_id": 0,
        },
    ),
    "distilbert": (
        "distilbert",
        {
            "vocab_size": 331,
            "dim": 112,
            "hidden_dim": 174,
            "n_layers": 3,
            "n_heads": 7,
            "max_position_embeddings": 600,
        },
    ),
    "deberta-v3": ("deberta-v2", {**DISENTANGLED, "share_att_key": True}),
    "deberta-v2": ("deberta-v2", {**DISENTANGLED, "conv_kernel_size": 3, "conv_act": "gelu"}),
    "deberta c2p": (
        "deberta-v2",
        {**DISENTANGLED, "pos_att_type": ["c2p"], "position_buckets": -1},
    ),
    "deberta absolute": ("deberta-v2", {**ODD, "type_vocab_size": 2}),
    "modernbert": ("modernbert", {**ODD, "local_attention": 60, "pad_token_id": 0}),
    "gte": ("gte", {**ODD, "pad_token_id": 0}),
    "nomic_bert": ("nomic_bert", {**ODD, "pad_token_id": 0}),
}
TASKS = {
    "classification": transformers.AutoModelForSequenceClassification,
    "generation": transformers.AutoModelForMaskedLM,
    "embedding": transformers.AutoModel,
}
GEMMA = {
    **ODD,
    "num_key_value_heads": 1,
    "head_dim": 34,
    "sliding_window": 64,
    "layer_types": ["sliding_attention", "full_attention", "sliding_attention"],
}
PAIRS: dict[str, tuple[str, dict[str, Any]]] = {
    "t5": ("t5", {**T5, "feed_forward_proj": "relu"}),
    "flan-t5": ("t5", {**T5, "feed_forward_proj": "gated-gelu", "num_decoder_layers": 3}),
    "mt5": ("mt5", T5),
    "umt5": ("umt5", T5),
    "bart": ("bart", BART),
    "mbart": ("mbart", BART),
    "t5gemma": (
        "t5gemma",
        {"encoder": {**GEMMA, "hidden_size": 126}, "decoder": GEMMA, "vocab_size": 331},
    ),
    "t5gemma untied": (
        "t5gemma",
        {
            "encoder": {**GEMMA, "layer_types": None},
            "decoder": {**GEMMA, "layer_types": None, "attention_bias": True},
            "tie_word_embeddings": False,
        },
    ),
    "t5gemma2": ("t5gemma2", {"encoder": {"text_config": GEMMA}, "decoder": GEMMA}),
}


def config_of(model_type: str, fields: dict[str, Any], labels: int = 1) -> Any:
    return transformers.CONFIG_MAPPING[model_type](**fields, num_labels=labels)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("case", CASES)
def test_every_module_of_encoders(case: str, task: str) -> None:
    config = config_of(*CASES[case])
    model = counter.build(config, TASKS[task])
    arch = Architecture.load(config.to_diff_dict(), task=task)  # type: ignore[arg-type]
    for tokens in (1, 37, 257, 512):
        counted = counter.fake_counts(model, tokens)
        assert counter.ours(arch, Usage(tokens), model) == counted, tokens
    assert arch.parameters.total == sum(weight.numel() for weight in model.parameters())


@pytest.mark.parametrize("case", PAIRS)
def test_every_module_of_encoder_decoders(case: str) -> None:
    config = config_of(*PAIRS[case])
    model = counter.build(config, transformers.AutoModelForSeq2SeqLM)
    arch = Architecture.load(config.to_diff_dict())
    for tokens, start, steps in ((1, 1, 0), (37, 3, 2), (257, 1, 3), (512, 5, 0)):
        usage = Usage(tokens, steps + 1, decoder_prompt_tokens=start)
        counted = counter.pair_counts(model, tokens=tokens, start=start, steps=steps)
        assert counter.ours(arch, usage, model) == counted, (tokens, start, steps)
    text = [
        weight.numel()
        for name, weight in model.named_parameters()
        if "vision" not in name and "multi_modal" not in name
    ]
    assert arch.parameters.total == sum(text)


@pytest.mark.parametrize(("window", "tokens"), [(64, 200), (63, 200), (64, 30), (2, 5)])
def test_an_encoder_whose_window_is_longer_to_the_right(window: int, tokens: int) -> None:
    masks = pytest.importorskip("transformers.models.t5gemma2.modeling_t5gemma2")
    sees = masks.sliding_window_mask_function(window, is_causal=False)
    pairs = sum(bool(sees(0, 0, i, j)) for i in range(tokens) for j in range(tokens))
    part = {**GEMMA, "sliding_window": window, "layer_types": ["sliding_attention"] * 3}
    facts = {"model_type": "t5gemma2", "encoder": {"text_config": part}, "decoder": GEMMA}
    cost = estimate(Architecture.load(facts), Usage(tokens), "ideal")
    counted = sum(
        operation.flops
        for operation in cost.operations
        if operation.part == "encoder" and "scores" in operation.name
    )
    assert counted == 3 * pairs * 4 * 7 * 34


@pytest.mark.parametrize("case", [CASES["bert"], PAIRS["t5"]])
def test_a_head_reads_what_is_asked_for(case: tuple[str, dict[str, Any]]) -> None:
    arch = Architecture.load({"model_type": case[0], **case[1]}, task="generation")
    start = {} if arch.mode == "encoder" else {"decoder_prompt_tokens": 5}
    prices = {
        (convention, head): estimate(arch, Usage(5, **start, head=head), convention).flops
        for convention in ("ideal", "torch")
        for head in (None, "last", "all", "none")
    }
    for convention in ("ideal", "torch"):
        none, last, whole = (prices[convention, head] for head in ("none", "last", "all"))
        assert whole - none == 5 * (last - none) > 0
    assert prices["ideal", None] == prices["ideal", "last"]
    assert prices["torch", None] == prices["torch", "all"]
