"""Parameters are the model's own, tied and untied, for every model type that is priced."""

from __future__ import annotations

import re
from itertools import product
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from e2r.flops.architecture import Architecture  # noqa: E402
from tests.flops import counter  # noqa: E402
from tests.flops.test_torch_decoders import CASES as DECODERS  # noqa: E402
from tests.flops.test_torch_decoders import VISION, config_of  # noqa: E402
from tests.flops.test_torch_encoders import CASES as ENCODERS  # noqa: E402
from tests.flops.test_torch_encoders import PAIRS  # noqa: E402

WHOLE: dict[str, tuple[dict[str, Any], Any]] = {}
for _cases, _auto in (
    (DECODERS, transformers.AutoModelForCausalLM),
    (ENCODERS, transformers.AutoModelForMaskedLM),
    (PAIRS, transformers.AutoModelForSeq2SeqLM),
):
    for _type, _fields in _cases.values():
        WHOLE.setdefault(_type, (_fields, _auto))
_OF_PICTURES = re.compile(r"vision|multi_modal")
T5_KIN = {"t5", "mt5", "umt5"}
"""Tied when built from a config, whatever it says, and untied when loaded from two tables."""


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("model_type", sorted(set(WHOLE) - T5_KIN))
def test_tied_and_untied(model_type: str, tied: bool) -> None:
    fields, auto = WHOLE[model_type]
    fields = {**fields, "tie_word_embeddings": tied}
    model = counter.build(config_of(model_type, fields), auto)
    arch = Architecture.load({**fields, "model_type": model_type}, task="generation")
    # What looks at pictures is no part of a reranker's price.
    text = [weight for name, weight in model.named_parameters() if not _OF_PICTURES.search(name)]
    assert arch.parameters.total == sum(weight.numel() for weight in text)


@pytest.mark.parametrize(("outer", "inner"), [*product([True, False, None], repeat=2)])
@pytest.mark.parametrize("wrapper", VISION)
def test_nested_tie_flags(wrapper: str, outer: bool | None, inner: bool | None) -> None:
    def with_flag(fields: dict[str, Any], flag: bool | None) -> dict[str, Any]:
        return fields if flag is None else {**fields, "tie_word_embeddings": flag}

    facts = with_flag({"text_config": with_flag(VISION[wrapper], inner)}, outer)
    model = counter.build(config_of(wrapper, facts), transformers.AutoModelForImageTextToText)
    text = sum(
        weight.numel()
        for name, weight in model.named_parameters()
        if not any(part in name for part in ("visual", "vision", "projector"))
    )
    assert Architecture.load({**facts, "model_type": wrapper}).parameters.total == text


def test_llava_takes_the_tie_flag_that_its_text_part_has_by_default() -> None:
    fields = {"text_config": {**DECODERS["gemma2 by default"][1], "model_type": "gemma2"}}
    model = counter.build(config_of("llava", fields), transformers.AutoModelForImageTextToText)
    text = model.model.language_model.parameters()
    arch = Architecture.load({**fields, "model_type": "llava"})
    assert arch.parameters.total == sum(weight.numel() for weight in text)


@pytest.mark.parametrize("model_type", sorted(T5_KIN))
def test_an_untied_t5_is_counted_as_its_checkpoint_is_loaded(
    model_type: str, tmp_path: Path
) -> None:
    facts = {**PAIRS[model_type][1], "tie_word_embeddings": False}
    config = transformers.CONFIG_MAPPING[model_type].from_dict(facts)
    model = transformers.AutoModelForSeq2SeqLM.from_config(config)
    arch = Architecture.load({**facts, "model_type": model_type})
    table = facts["vocab_size"] * facts["d_model"]
    assert arch.parameters.total == sum(w.numel() for w in model.parameters()) + table
    model.lm_head.weight = torch.nn.Parameter(torch.rand(facts["vocab_size"], facts["d_model"]))
    model.save_pretrained(tmp_path)
    loaded = transformers.AutoModelForSeq2SeqLM.from_pretrained(tmp_path)
    assert arch.parameters.total == sum(weight.numel() for weight in loaded.parameters())
