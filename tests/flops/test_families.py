"""What families rest on: transformers' defaults, required fields, refusal of the unknown."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from e2r.errors import DataError, MissingError
from e2r.flops.architecture import Architecture
from e2r.flops.config import Required
from e2r.flops.families import family, index
from tests.flops.test_torch_decoders import CASES, VISION, config_of
from tests.flops.test_torch_encoders import CASES as ENCODERS

OURS = {"mla_kernel"}
"""Fields that no config.json has."""
LEGACY = {
    "layer_types": None,
    "position_embedding_type": "absolute",
    "global_attn_every_n_layers": 3,
    "head_dim": None,
    "attention_head_size": None,
    "embedding_size": None,
    "position_buckets": -1,
    "share_att_key": False,
    "norm_rel_ebd": "none",
    "conv_kernel_size": 0,
    "conv_groups": 1,
    "conv_act": "tanh",
    "n_embed": None,
    "scale_decoder_outputs": True,
    "full_attention_interval": 4,
}
"""Fields that model code reads with a default of its own and the config class does not declare."""

OWN_CODE = {"new", "llama_bidirec", "minicpm", "cost_wise_gemma"}
"""Types that transformers does not have: their checkpoints bring the code (see test_own_code)."""
OWN_FIELDS = {"bert": {"feed_forward_type"}}
"""Fields of such code under a type that transformers has."""
NO_DENSE_LAYERS = {"qwen3_moe slides", "granite 4 dense"}
"""Cases that do not need the width of a dense FFN."""


@pytest.mark.parametrize("model_type", sorted(set(index()) - OWN_CODE))
def test_defaults_are_those_of_the_config_class(model_type: str) -> None:
    transformers = pytest.importorskip("transformers")
    known = _config_class(transformers, model_type)
    declared = {field.name: field.default for field in dataclasses.fields(known)}
    for name, ours in family(model_type).MODEL_TYPES[model_type].items():
        if name in OURS or name in OWN_FIELDS.get(model_type, ()):
            continue
        ours = ours.value if isinstance(ours, Required) else ours
        if name == "tie_word_embeddings" and name not in declared:
            continue  # Text parts and T5 take it from outside the class.
        if name == "sliding_window_pattern":
            continue  # Read from the keyword arguments; the grid against torch covers it.
        theirs = declared.get(name, getattr(known, name, LEGACY.get(name, "absent")))
        assert ours == theirs, name


def _config_class(transformers: Any, model_type: str) -> Any:
    mapping = transformers.CONFIG_MAPPING
    if model_type in mapping:
        return mapping[model_type]
    whole = mapping[model_type.removesuffix("_text")]
    return whole.sub_configs_defaults["text_config"].config_class


@pytest.mark.parametrize("case", CASES)
def test_every_required_field_is_missed(case: str) -> None:
    config = config_of(*CASES[case]).to_diff_dict()
    model_type = config["model_type"]
    whole = Architecture.load(config)
    for name, default in family(model_type).MODEL_TYPES[model_type].items():
        if not isinstance(default, Required):
            continue
        facts = {key: value for key, value in config.items() if key != name}
        if name == "intermediate_size" and case in NO_DENSE_LAYERS:
            assert Architecture.load(facts).stacks == whole.stacks
        else:
            with pytest.raises(DataError, match=name):
                Architecture.load(facts)


@pytest.mark.parametrize("value", [0, -1, 2.5, "64", True, None])
def test_sizes_that_are_none(value: object) -> None:
    config = config_of(*CASES["llama"]).to_diff_dict()
    with pytest.raises(DataError, match="hidden_size"):
        Architecture.load({**config, "hidden_size": value})


@pytest.mark.parametrize(
    ("case", "changes", "field"),
    [
        ("llama", {"num_key_value_heads": 2}, "num_key_value_heads"),
        ("llama", {"hidden_size": 113, "head_dim": None}, "num_attention_heads"),
        ("mistral full", {"layer_types": ["full_attention"] * 3}, "layer_types"),
        ("gemma2", {"layer_types": ["full_attention"]}, "layer_types"),
        ("gemma2", {"layer_types": ["full_attention", "chunked", "x"]}, "layer_types"),
        ("gemma2", {"sliding_window": None}, "sliding_window"),
        ("gemma2", {"use_bidirectional_attention": True}, "use_bidirectional_attention"),
        ("mixtral", {"num_experts_per_tok": 9}, "num_experts_per_tok"),
        ("qwen3_moe", {"num_experts": 7}, "num_experts"),
        ("deepseek_v3", {"mla_kernel": "magic"}, "mla_kernel"),
        ("mamba2", {"num_heads": 13}, "num_heads"),
        ("jamba", {"attn_layer_offset": 4}, "attn_layer_offset"),
    ],
)
def test_contradictions_are_refused(case: str, changes: dict[str, Any], field: str) -> None:
    config = config_of(*CASES[case]).to_diff_dict()
    with pytest.raises(DataError, match=field):
        Architecture.load({**config, **changes})


def test_unknown_model_type_names_the_known() -> None:
    with pytest.raises(DataError, match="qwen2_moe") as caught:
        Architecture.load({"model_type": "rwkv7"})
    assert "rwkv7" in str(caught.value)
    with pytest.raises(DataError, match="model_type"):
        Architecture.load({"hidden_size": 64})


def test_sources(tmp_path: Path) -> None:
    config = config_of(*CASES["llama"]).to_diff_dict()
    path = tmp_path / "config.json"
    with pytest.raises(MissingError, match=r"config\.json"):
        Architecture.load(tmp_path)
    path.write_text(json.dumps(config), encoding="utf-8")
    same = [Architecture.load(source) for source in (tmp_path, path, str(path), config)]
    assert len({arch.parameters for arch in same}) == 1
    assert same[0] == same[3]
    path.write_text("{", encoding="utf-8")
    with pytest.raises(DataError, match="JSON"):
        Architecture.load(path)
    path.write_text("[]", encoding="utf-8")
    with pytest.raises(DataError, match="object"):
        Architecture.load(path)


def test_unknown_name_suggests_near_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(MissingError, match=r"Qwen/Qwen2\.5-7B-Instruct"):
        Architecture.load("Qwen2.5-7B-Instuct")


def test_config_facts_make_the_same_architecture_again() -> None:
    for case in CASES:
        first = Architecture.load(config_of(*CASES[case]).to_diff_dict())
        again = Architecture.load(json.loads(json.dumps(dict(first.config))))
        assert again.stacks == first.stacks
        assert again.head == first.head


@pytest.mark.parametrize("padding", [0, 1, 5])
@pytest.mark.parametrize("model_type", ["roberta", "xlm-roberta", "camembert"])
def test_robertas_positions_start_behind_the_padding_index(model_type: str, padding: int) -> None:
    torch, transformers = (pytest.importorskip(name) for name in ("torch", "transformers"))
    fields = {**ENCODERS[model_type][1], "max_position_embeddings": 40, "pad_token_id": padding}
    config = config_of(model_type, fields)
    context = Architecture.load(config.to_diff_dict()).context
    assert context == 40 - padding - 1
    model = transformers.AutoModel.from_config(config).eval()
    ids = torch.full((1, context + 1), 7)
    with torch.no_grad():
        model(input_ids=ids[:, :-1])
        with pytest.raises((IndexError, RuntimeError)):
            model(input_ids=ids)


@pytest.mark.parametrize("wrapper", VISION)
def test_a_nested_text_part_knows_its_context(wrapper: str) -> None:
    text = {**VISION[wrapper], "max_position_embeddings": 777}
    facts = config_of(wrapper, {"text_config": text}).to_diff_dict()
    assert Architecture.load({**facts, "max_position_embeddings": 5}).context == 777
