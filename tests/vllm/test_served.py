"""A real vLLM answers as the same model here does, and counts the FLOPs that e2r counts.

`make test-vllm` builds its environment; without one (E2R_VLLM names its python) these are skipped.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from e2r.flops.architecture import Architecture
from e2r.flops.estimate import estimate
from e2r.flops.work import Usage
from e2r.records.ledger import read_ledger
from e2r.records.spec import Spec
from e2r.runner import run
from tests.models.server.local_servers import free_port
from tests.small_collection import write_collection
from tests.tiny_models import save_tokenizer

PYTHON = os.environ.get("E2R_VLLM", "")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not PYTHON, reason="no vLLM at hand: run make test-vllm"),
]
QUIET = {
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    "HF_HUB_OFFLINE": "1",
    "VLLM_HOST_IP": "127.0.0.1",
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_CPU_NUM_OF_RESERVED_CPU": "0",
}
METHODS = (
    "pointwise.yes_no",
    "pointwise.qlm",
    "setwise.heapsort",
    "setwise.heapsort.likelihood",
    "listwise.generation",
    "listwise.likelihood",
)


def save_qwen2(folder: Path) -> Path:
    """Heads of 64, the smallest that vLLM's kernels for processors know."""
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    size = save_tokenizer(folder, chat=True)
    torch.manual_seed(1)
    config = Qwen2Config(
        vocab_size=size,
        hidden_size=128,
        intermediate_size=160,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=1024,
        tie_word_embeddings=False,
        initializer_range=0.2,
        bos_token_id=None,
        eos_token_id=2,
        pad_token_id=0,
    )
    Qwen2ForCausalLM(config).save_pretrained(folder)
    # A penalty that the checkpoint names, and that no method asks for.
    path = folder / "generation_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "repetition_penalty": 1.3}))
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_qwen2(tmp_path_factory.mktemp("qwen2"))


@pytest.fixture(scope="module")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_collection(tmp_path_factory.mktemp("small") / "small", queries=2, candidates=20)


@pytest.fixture(scope="module")
def url(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    port, log = free_port(), tmp_path_factory.mktemp("log") / "vllm.log"
    words = ["--model", str(model), "--served-model-name", "tiny", "--host", "127.0.0.1"]
    words += ["--port", str(port), "--dtype", "float32", "--max-model-len", "1024"]
    words += ["--enable-prompt-tokens-details", "--enforce-eager", "--enable-mfu-metrics"]
    with log.open("w") as stream:
        server = subprocess.Popen(
            [PYTHON, "-m", "vllm.entrypoints.openai.api_server", *words],
            env={**os.environ, **QUIET},
            stdout=stream,
            stderr=stream,
        )
    try:
        while "Application startup complete" not in log.read_text():
            assert server.poll() is None, log.read_text()[-3000:]
            time.sleep(0.2)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        server.terminate()
        server.wait(600)


def spec(collection: Path, method: str, model: dict[str, Any], url: str | None = None) -> Spec:
    server = {} if url is None else {"server": {"base_url": url, "timeout": 600}}
    tables = {
        "data": {
            "dataset": f"beir:{collection}",
            "candidates": str(collection / "first.run"),
            "depth": 20,
        },
        "model": model,
        "method": {"name": method, "k": 5},
        "prompt": {"passage_tokens": 16, "answer_tokens": 24},
        "execution": {"device": "cpu", **server},
    }
    return Spec.of(tables, "the test")


@pytest.mark.parametrize("method", METHODS)
def test_a_served_run_equals_the_same_model_here(
    url: str, collection: Path, model: Path, tmp_path: Path, method: str
) -> None:
    """Rankings, answers and token counts; a likelihood's last token is read by the server too."""
    asked = {"source": "openai:tiny", "tokenizer": str(model)}
    served = run(spec(collection, method, asked, url), tmp_path / "served")
    here = run(spec(collection, method, {"source": str(model)}), tmp_path / "here")
    assert served.ranking() == here.ranking()
    shifts = method == "pointwise.qlm"
    for one, other in zip(
        *(read_ledger(f.ledger_path).to_pylist() for f in (served, here)), strict=True
    ):
        for name in ("docids", "parsed", "generated_tokens", "truncated"):
            assert one[name] == other[name], name
        assert one["prompt_tokens"] - other["prompt_tokens"] == shifts
    record = served.manifest().model.server
    assert record is not None
    assert (record.version, record.cache) == ("version: 0.32.0", "isolated")


def test_a_repeated_run_costs_what_the_first_cost(
    url: str, collection: Path, model: Path, tmp_path: Path
) -> None:
    """Each run has the server's prefix cache to itself."""
    asked = spec(
        collection, "setwise.heapsort", {"source": "openai:tiny", "tokenizer": str(model)}, url
    )
    first, second = (
        read_ledger(run(asked, tmp_path / part).ledger_path)["cached_tokens"].to_pylist()
        for part in "ab"
    )
    assert sum(first) == sum(second)


def flops(url: str) -> int:
    """What vLLM has counted by its own formulas."""
    with urllib.request.urlopen(url.removesuffix("v1") + "metrics") as response:
        found = re.search(
            r"^vllm:estimated_flops_per_gpu_total\S* (\S+)$", response.read().decode(), re.MULTILINE
        )
    return 0 if found is None else int(float(found[1]))


@pytest.mark.parametrize(("prompt", "new"), [(90, 1), (17, 9)])
def test_vllm_counts_the_flops_that_torch_counts(
    url: str, model: Path, prompt: int, new: int
) -> None:
    body = {
        "model": "tiny",
        "prompt": [7 + (prompt * place) % 300 for place in range(prompt)],
        "max_tokens": new,
        "min_tokens": new,
        "temperature": 0,
        "cache_salt": f"{prompt}",
    }
    before = flops(url)
    request = urllib.request.Request(
        f"{url}/completions",
        json.dumps(body).encode(),
        {"content-type": "application/json"},
    )
    with urllib.request.urlopen(request) as response:
        usage = json.loads(response.read())["usage"]
    assert (usage["prompt_tokens"], usage["completion_tokens"]) == (prompt, new)
    ours = estimate(Architecture.load(str(model)), Usage(prompt, new), convention="torch").flops
    deadline = time.monotonic() + 60
    while flops(url) - before < ours and time.monotonic() < deadline:
        time.sleep(0.05)  # the counter follows the answer
    assert flops(url) - before == ours
