"""The deepspeed convention against the calflops profiler itself, in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from e2r.flops.architecture import Architecture, Task
from e2r.flops.estimate import estimate
from e2r.flops.work import Usage

pytest.importorskip("calflops")
SCRIPT = Path(__file__).with_name("profiled.py")

TINY: dict[str, Any] = {
    "vocab_size": 331,
    "hidden_size": 64,
    "intermediate_size": 90,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
}
T5 = {"vocab_size": 331, "d_model": 64, "d_kv": 24, "d_ff": 90, "num_layers": 2, "num_heads": 3}
DECODERS = {
    "llama": {**TINY, "num_key_value_heads": 2},
    "qwen2": {**TINY, "num_key_value_heads": 2},
    "mistral": {**TINY, "num_key_value_heads": 2},
    "phi3": {**TINY, "pad_token_id": 0},
    "gemma": {**TINY, "num_key_value_heads": 1, "head_dim": 24},
    "qwen3": {**TINY, "num_key_value_heads": 2, "head_dim": 24},
    "olmo2": {**TINY, "num_key_value_heads": 2},
    "cohere": {**TINY, "num_key_value_heads": 2},
    "starcoder2": {**TINY, "num_key_value_heads": 2},
    "gpt_neox": TINY,
    "gpt2": {"vocab_size": 331, "n_embd": 64, "n_layer": 2, "n_head": 4, "n_inner": 90},
    "falcon": {
        "vocab_size": 331,
        "hidden_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
    },
}
ENCODERS = {
    "bert": TINY,
    "electra": TINY,
    "xlm-roberta": TINY,
    "modernbert": {**TINY, "pad_token_id": 0},
    "distilbert": {"vocab_size": 331, "dim": 64, "hidden_dim": 90, "n_layers": 2, "n_heads": 4},
}


def profiled(
    model_type: str, fields: dict[str, Any], auto: str, attention: str = "sdpa", **lengths: int
) -> dict[str, Any]:
    request = {
        "model_type": model_type,
        "fields": fields,
        "auto": auto,
        "attention": attention,
        "lengths": lengths,
    }
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(SCRIPT), json.dumps(request)],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def priced(config: dict[str, Any], usage: Usage, task: Task) -> Any:
    return estimate(Architecture.load(config, task=task), usage, "deepspeed").flops


@pytest.mark.slow
@pytest.mark.parametrize("model_type", DECODERS)
def test_decoders(model_type: str) -> None:
    answer = profiled(model_type, DECODERS[model_type], "AutoModelForCausalLM", input_ids=37)
    usage = Usage(37, head="all")  # calflops asks for the logits of every position.
    assert priced(answer["config"], usage, "generation") == answer["flops"]


@pytest.mark.slow
@pytest.mark.parametrize("activation", ["gated-gelu", "relu"])
def test_t5(activation: str) -> None:
    fields = {**T5, "feed_forward_proj": activation}
    answer = profiled(
        "t5", fields, "AutoModelForSeq2SeqLM", "eager", input_ids=37, decoder_input_ids=3
    )
    usage = Usage(37, decoder_prompt_tokens=3)
    assert priced(answer["config"], usage, "generation") == answer["flops"]


@pytest.mark.slow
@pytest.mark.parametrize("model_type", ENCODERS)
def test_encoders(model_type: str) -> None:
    answer = profiled(
        model_type, ENCODERS[model_type], "AutoModelForSequenceClassification", input_ids=37
    )
    assert priced(answer["config"], Usage(37), "classification") == answer["flops"]
