"""The deepspeed convention against the calflops profiler itself, in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from e2r.flops.architecture import Architecture
from e2r.flops.config import Task
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


CALLS: dict[str, dict[str, Any]] = {
    **{
        name: {
            "model_type": name,
            "fields": fields,
            "auto": "AutoModelForCausalLM",
            "attention": "sdpa",
            "lengths": {"input_ids": 37},
        }
        for name, fields in DECODERS.items()
    },
    **{
        name: {
            "model_type": name,
            "fields": fields,
            "auto": "AutoModelForSequenceClassification",
            "attention": "sdpa",
            "lengths": {"input_ids": 37},
        }
        for name, fields in ENCODERS.items()
    },
    **{
        activation: {
            "model_type": "t5",
            "fields": {**T5, "feed_forward_proj": activation},
            "auto": "AutoModelForSeq2SeqLM",
            "attention": "eager",
            "lengths": {"input_ids": 37, "decoder_input_ids": 3},
        }
        for activation in ("gated-gelu", "relu")
    },
}
USAGES: dict[str, tuple[Usage, Task]] = {
    # calflops asks for the logits of every position.
    **dict.fromkeys(DECODERS, (Usage(37, head="all"), "generation")),
    **dict.fromkeys(ENCODERS, (Usage(37), "classification")),
    **dict.fromkeys(("gated-gelu", "relu"), (Usage(37, decoder_prompt_tokens=3), "generation")),
}


@pytest.fixture(scope="module")
def answers() -> dict[str, Any]:
    """What the profiler says of every call, from one process."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(SCRIPT), json.dumps(CALLS)],
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.slow
@pytest.mark.parametrize("name", CALLS)
def test_equal_to_the_profiler(answers: dict[str, Any], name: str) -> None:
    usage, task = USAGES[name]
    arch = Architecture.load(answers[name]["config"], task=task)
    assert estimate(arch, usage, "deepspeed").flops == answers[name]["flops"]
