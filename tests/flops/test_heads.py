"""Heads: what `architectures` names is known to the last product, or refused by name."""

from __future__ import annotations

from typing import Any

import pytest

from e2r.errors import DataError
from e2r.flops.architecture import Architecture
from e2r.flops.estimate import estimate
from e2r.flops.families import family, index
from e2r.flops.work import Usage
from tests.flops.test_families import OWN_CODE
from tests.flops.test_torch_decoders import CASES as DECODERS
from tests.flops.test_torch_decoders import VISION, config_of
from tests.flops.test_torch_encoders import CASES as ENCODERS
from tests.flops.test_torch_encoders import PAIRS

TEXT_PARTS = {"qwen2_vl_text", "qwen2_5_vl_text", "qwen3_vl_text"}
FIRST: dict[str, dict[str, Any]] = {}
for _type, _fields in (*DECODERS.values(), *ENCODERS.values(), *PAIRS.values()):
    FIRST.setdefault(_type, _fields)
FIRST.update({name: {"text_config": fields} for name, fields in VISION.items()})
"""A config for each model type that stands for itself."""

MAPPINGS = {
    "generation": (
        "MODEL_FOR_CAUSAL_LM_MAPPING_NAMES",
        "MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES",
        "MODEL_FOR_MASKED_LM_MAPPING_NAMES",
        "MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES",
    ),
    "classification": ("MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES",),
    "embedding": ("MODEL_MAPPING_NAMES",),
}
OTHERS = (
    "MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING_NAMES",
    "MODEL_FOR_QUESTION_ANSWERING_MAPPING_NAMES",
    "MODEL_FOR_PRETRAINING_MAPPING_NAMES",
    "MODEL_FOR_MULTIPLE_CHOICE_MAPPING_NAMES",
    "MODEL_FOR_NEXT_SENTENCE_PREDICTION_MAPPING_NAMES",
)
NOT_MAPPED = {
    "T5WithLMHeadModel",
    "T5EncoderModel",
    "MT5EncoderModel",
    "UMT5EncoderModel",
    "T5GemmaEncoderModel",
    "JinaBertForSequenceClassification",
    "JinaBertModel",
    "JinaForRanking",
}
"""A name that old checkpoints hold, encoders that AutoModel does not choose, checkpoints' own."""


def _names(mapping: str, model_type: str) -> set[str]:
    auto = pytest.importorskip("transformers").models.auto.modeling_auto
    found = getattr(auto, mapping).get(model_type, ())
    return {found} if isinstance(found, str) else set(found)


@pytest.mark.parametrize("model_type", sorted(set(index()) - TEXT_PARTS - OWN_CODE))
def test_every_class_of_transformers_is_known_or_refused_by_name(model_type: str) -> None:
    ours = family(model_type).HEADS[model_type]
    mapped = {
        task: set().union(*(_names(mapping, model_type) for mapping in names))
        for task, names in MAPPINGS.items()
    }
    facts = {**config_of(model_type, FIRST[model_type]).to_diff_dict(), "model_type": model_type}
    for name, task in ours.items():
        assert name in mapped[task] | NOT_MAPPED, name
        # Its class refuses a config that has a decoder, and so does the estimator.
        alone = {"is_encoder_decoder": False} if name == "T5GemmaEncoderModel" else {}
        assert Architecture.load({**facts, **alone, "architectures": [name]}).task == task
    theirs = {name for names in mapped.values() for name in names}
    for name in theirs.union(*(_names(m, model_type) for m in OTHERS)) - set(ours):
        with pytest.raises(DataError, match=f"architectures.*{name}"):
            Architecture.load({**facts, "architectures": [name]})


@pytest.mark.parametrize(
    "name", ["Qwen3ForProcessRewardModel", "HF_ColBERT", "qwen3ForCausalLM", ""]
)
def test_heads_of_others_are_refused_by_name(name: str) -> None:
    facts = config_of(*DECODERS["qwen3"]).to_diff_dict()
    with pytest.raises(DataError, match=f"architectures.*'{name}'.*Qwen3ForCausalLM"):
        Architecture.load({**facts, "architectures": [name]})
    given = Architecture.load({**facts, "architectures": [name]}, task="embedding")
    assert given.task == "embedding"


@pytest.mark.parametrize(
    "value",
    [
        5,
        "Qwen3ForCausalLM",
        [5],
        [None],
        {},
        ["Qwen3ForCausalLM", "Qwen3Model"],
    ],
)
def test_architectures_that_say_nothing_clear_are_refused(value: object) -> None:
    facts = config_of(*DECODERS["qwen3"]).to_diff_dict()
    with pytest.raises(DataError, match="architectures"):
        Architecture.load({**facts, "architectures": value})


@pytest.mark.parametrize("value", [None, [], "absent"])
def test_without_architectures_decoders_generate_and_encoders_classify(value: object) -> None:
    for case, task in ((DECODERS["qwen3"], "generation"), (ENCODERS["bert"], "classification")):
        facts = {**config_of(*case).to_diff_dict(), "architectures": value}
        if value == "absent":
            del facts["architectures"]
        assert Architecture.load(facts).task == task


@pytest.mark.parametrize(
    ("wrong", "near"),
    [
        ("lama", "llama"),
        ("xlm_roberta", "xlm-roberta"),
        ("Qwen3-VL", "qwen3_vl"),
    ],
)
def test_unknown_model_types_name_near_matches(wrong: str, near: str) -> None:
    with pytest.raises(DataError, match=f"did you mean {near}"):
        Architecture.load({"model_type": wrong})


def test_a_vision_models_classifier_counts_the_labels_of_the_whole() -> None:
    text = {**VISION["gemma3"], "num_labels": 7}
    facts = {"model_type": "gemma3", "text_config": text, "num_labels": 3}
    arch = Architecture.load({**facts, "architectures": ["Gemma3ForSequenceClassification"]})
    [score] = [c for c in estimate(arch, Usage(10)).operations if c.part == "head"]
    assert score.flops == 2 * text["hidden_size"] * 3
