"""generate() on tiny real models on the CPU, counted while it writes."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

from e2r.flops.architecture import Architecture  # noqa: E402
from e2r.flops.estimate import estimate  # noqa: E402
from e2r.flops.work import Usage  # noqa: E402
from tests.flops.test_torch_decoders import CASES, config_of  # noqa: E402
from tests.flops.test_torch_encoders import PAIRS  # noqa: E402


def counted(model: Any, tokens: int, new: int, **inputs: Any) -> int:
    ids = torch.ones(1, tokens, dtype=torch.long)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        out = model.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=new,
            min_new_tokens=new,
            do_sample=False,
            **inputs,
        )
    assert out.shape[1] in (tokens + new, new + 1)
    return int(counter.get_total_flops())


@pytest.mark.parametrize("new", [1, 2, 7])
@pytest.mark.parametrize("case", ["llama", "qwen2", "mistral slides", "gemma2", "phi3", "gpt2"])
def test_decoders(case: str, new: int) -> None:
    config = config_of(*CASES[case])
    auto = transformers.AutoModelForCausalLM
    model = auto.from_config(config, attn_implementation="eager").eval()
    model.generation_config.pad_token_id = 0
    arch = Architecture.load(config.to_diff_dict())
    assert estimate(arch, Usage(90, new), "torch").flops == counted(model, 90, new)


@pytest.mark.parametrize("new", [1, 2, 7])
@pytest.mark.parametrize("case", ["mt5", "t5"])
def test_encoder_decoders(case: str, new: int) -> None:
    config = config_of(*PAIRS[case])
    config.decoder_start_token_id = 0
    auto = transformers.AutoModelForSeq2SeqLM
    model = auto.from_config(config, attn_implementation="eager").eval()
    arch = Architecture.load(config.to_diff_dict())
    assert estimate(arch, Usage(90, new), "torch").flops == counted(model, 90, new)
