"""Fields that transformers' shared code obeys: followed where described, refused elsewhere."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from e2r.errors import DataError  # noqa: E402
from e2r.flops.architecture import Architecture  # noqa: E402
from e2r.flops.estimate import estimate  # noqa: E402
from e2r.flops.work import Usage  # noqa: E402
from tests.flops import counter  # noqa: E402
from tests.flops.test_torch_decoders import CASES, FULL, ODD, SLIDE, config_of  # noqa: E402
from tests.flops.test_torch_encoders import CASES as ENCODERS  # noqa: E402
from tests.flops.test_torch_encoders import PAIRS  # noqa: E402


@pytest.mark.parametrize(
    ("case", "changes", "field"),
    [
        ("llama", {"sliding_window": 16}, "sliding_window"),
        ("llama", {"attention_chunk_size": 16}, "attention_chunk_size"),
        ("llama", {"layer_types": [SLIDE, FULL, FULL]}, "layer_types"),
        ("llama", {"layer_types": [FULL]}, "layer_types"),
        ("llama", {"per_layer_config": {"0": {"intermediate_size": 9}}}, "per_layer_config"),
        ("llama", {"kv_sharing_modes": ["reuse"] * 3}, "kv_sharing_modes"),
        ("phi3", {"layer_types": [FULL] * 3}, "layer_types"),
        ("mistral full", {"attention_chunk_size": 16}, "attention_chunk_size"),
        ("gemma2", {"sliding_window": 1}, "sliding_window"),
        ("cohere2", {"sliding_window": 1}, "sliding_window"),
        ("mistral slides", {"sliding_window": 1}, "sliding_window"),
        ("deepseek_v3", {"sliding_window": 2}, "sliding_window"),
        ("llama", {"is_causal": False}, "is_causal"),
        ("llama", {"is_causal": "no"}, "is_causal"),
    ],
)
def test_what_changes_a_decoder_behind_its_family_is_refused(
    case: str, changes: dict[str, Any], field: str
) -> None:
    facts = config_of(*CASES[case]).to_diff_dict()
    with pytest.raises(DataError, match=f"field '{field}'"):
        Architecture.load({**facts, **changes})


@pytest.mark.parametrize(
    ("case", "changes", "field"),
    [
        ("t5", {"is_encoder_decoder": False}, "is_encoder_decoder"),
        ("t5", {"is_decoder": True}, "is_decoder"),
        ("t5", {"sliding_window": 16}, "sliding_window"),
        ("t5", {"is_causal": False}, "is_causal"),
        ("bart", {"is_encoder_decoder": False}, "is_encoder_decoder"),
        ("bart", {"attention_chunk_size": 16}, "attention_chunk_size"),
        ("bart", {"is_causal": False}, "is_causal"),
    ],
)
def test_what_changes_an_encoder_decoder_is_refused(
    case: str, changes: dict[str, Any], field: str
) -> None:
    facts = config_of(*PAIRS[case]).to_diff_dict()
    with pytest.raises(DataError, match=f"field '{field}'"):
        Architecture.load({**facts, **changes})


def test_what_changes_nothing_is_let_pass() -> None:
    facts = config_of(*CASES["llama"]).to_diff_dict()
    same = {"sliding_window": None, "layer_types": [FULL] * 3, "is_causal": True}
    assert Architecture.load({**facts, **same}).stacks == Architecture.load(facts).stacks
    phi = config_of(*CASES["phi3"]).to_diff_dict()
    same = {"layer_types": [SLIDE] * 3}
    assert Architecture.load({**phi, **same}).stacks == Architecture.load(phi).stacks
    bert = config_of(*ENCODERS["bert"]).to_diff_dict()
    assert Architecture.load({**bert, "sliding_window": 4}).stacks == Architecture.load(bert).stacks
    with pytest.raises(DataError, match="per_layer_config"):
        Architecture.load({**bert, "per_layer_config": {"0": {"intermediate_size": 9}}})


@pytest.mark.parametrize(("case", "window"), [("llama", None), ("qwen2", None), ("gemma2", 64)])
def test_an_embedder_that_sees_both_ways_is_an_encoder(case: str, window: int | None) -> None:
    config = config_of(case, {**ODD, "is_causal": False, "pad_token_id": 0})
    facts = {**config.to_diff_dict(), "is_causal": False}
    if window is not None:
        with pytest.raises(DataError, match="is_causal"):
            Architecture.load(facts, task="embedding")
        return
    arch = Architecture.load(facts, task="embedding")
    model = counter.build(config, transformers.AutoModel)
    for tokens in (1, 37):
        counted = counter.call_counts(model, input_ids=counter.ids(tokens))
        assert counter.ours(arch, Usage(tokens), model) == counted
        # Every pair attends, so that the mathematics asks for the whole rectangle.
        ideal, torch = (estimate(arch, Usage(tokens), name).flops for name in ("ideal", "torch"))
        assert ideal == torch
    with pytest.raises(DataError, match="cached_tokens"):
        estimate(arch, Usage(37, cached_tokens=5))


def test_an_embedder_that_sees_both_ways_really_does() -> None:
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    for causal in (True, False):
        config = config_of("llama", {**ODD, "is_causal": causal})
        model = transformers.AutoModel.from_config(config, attn_implementation="eager").eval()
        with torch.no_grad():
            one, other = (
                model(input_ids=torch.tensor([[5, 6, last]])).last_hidden_state[0, 0]
                for last in (7, 8)
            )
        assert torch.equal(one, other) == causal


def test_recurrent_layers_without_a_cache_are_refused() -> None:
    facts = {**config_of(*CASES["jamba"]).to_diff_dict(), "use_cache": False}
    assert Architecture.load(facts).task == "generation"
    with pytest.raises(DataError, match="use_cache"):
        Architecture.load(facts, task="classification")


def test_gte_obeys_a_head_width_that_it_does_not_declare() -> None:
    config = config_of("gte", {**ENCODERS["gte"][1], "head_dim": 22})
    model = counter.build(config, transformers.AutoModel)
    arch = Architecture.load({**config.to_diff_dict(), "head_dim": 22}, task="embedding")
    assert arch.parameters.total == sum(weight.numel() for weight in model.parameters())
    counted = counter.call_counts(model, input_ids=counter.ids(37))
    assert counter.ours(arch, Usage(37), model) == counted


def test_falcons_old_name_of_its_width() -> None:
    fields = {**CASES["falcon 7b"][1], "n_embed": 140}
    model = counter.build(config_of("falcon", fields))
    arch = Architecture.load({"model_type": "falcon", **fields})
    assert arch.parameters.total == sum(weight.numel() for weight in model.parameters())
