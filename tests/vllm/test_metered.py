"""The meter beside a real vLLM's offline LLM: alone, and as rank_llm asks it."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import e2r
from tests.vllm.test_served import PYTHON, QUIET, save_qwen2

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not PYTHON, reason="no vLLM at hand: run make test-vllm"),
]
ALONE = """
import json, sys
import vllm

if __name__ == "__main__":
    engine = dict(dtype="float32", max_model_len=1024, enforce_eager=True, block_size=32)
    llm = vllm.LLM(
        sys.argv[1], **engine, gpu_memory_utilization=0.2,
        enable_mfu_metrics=True, disable_log_stats=False,
    )
    asked = vllm.SamplingParams(max_tokens=5, min_tokens=5, temperature=0)
    first, told = list(range(7, 107)), []
    for prompts in ([first, list(range(200, 240))], [first[:64] + [150] * 9]):
        prompts = [{"prompt_token_ids": prompt} for prompt in prompts]
        told += llm.generate(prompts, asked, use_tqdm=False)
    told += llm.chat([{"role": "user", "content": "what do rivers carve"}], asked, use_tqdm=False)
    flops = sum(m.value for m in llm.get_metrics() if m.name.startswith("vllm:estimated_flops"))
    rows = [
        [len(one.prompt_token_ids), one.num_cached_tokens, len(one.outputs[0].token_ids)]
        for one in told
    ]
    print("TOLD", json.dumps([rows, flops]))
"""
# The parts of rank_llm that read LiT5 need an older transformers, and its engine a small machine.
RANK_LLM = """
import json, sys
from unittest.mock import MagicMock

for name in ("rank_fid", "lit5.model"):
    sys.modules["rank_llm.rerank.listwise." + name] = MagicMock()
import vllm

plain = vllm.LLM
small = dict(
    gpu_memory_utilization=0.2, enforce_eager=True, block_size=32, dtype="float32",
    max_model_len=1024,
)
vllm.LLM = lambda **options: plain(**{**options, **small})

if __name__ == "__main__":
    from rank_llm.data import Candidate, Query, Request
    from rank_llm.rerank.listwise import ZephyrReranker

    ranker = ZephyrReranker(sys.argv[1], 1024, window_size=4, stride=2, device="cpu")
    asked = [
        Request(
            Query(f"what do {word} carve", qid),
            [
                Candidate(f"d{place}", 9.0 - place, {"contents": f"of {word} and " * place + "sea"})
                for place in range(1, 9)
            ],
        )
        for qid, word in (("q1", "rivers"), ("q2", "foxes"))
    ]
    told = ranker.rerank_batch(
        asked, rank_end=8, populate_invocations_history=True, top_k_retrieve=8
    )
    rows = [
        [one.query.qid, call.input_token_count, call.output_token_count]
        for one in told
        for call in one.invocations_history
    ]
    print("TOLD", json.dumps([rows, 0]))
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_qwen2(tmp_path_factory.mktemp("qwen2"))


def metered(
    program: str, model: Path, folder: Path, *words: str
) -> tuple[list[dict[str, str]], Any]:
    """The rows that the meter wrote, and what the program told."""
    path, calls = folder / "program.py", folder / "calls.csv"
    path.write_text(program)
    ran = subprocess.run(
        [
            *(sys.executable, "-m", "e2r", "meter", "--out", str(calls), *words),
            *("--", PYTHON, str(path), str(model)),
        ],
        env={**os.environ, **QUIET},
        capture_output=True,
        text=True,
    )
    told = [line for line in ran.stdout.splitlines() if line.startswith("TOLD ")]
    assert ran.returncode == 0, ran.stderr[-3000:]
    assert len(told) == 1, ran.stderr[-3000:]
    with calls.open(newline="") as stream:
        return list(csv.DictReader(stream)), json.loads(told[0].removeprefix("TOLD "))


def test_vllm_counts_the_flops_of_the_requests_that_the_meter_saw(
    model: Path, tmp_path: Path
) -> None:
    """By vLLM's own formulas, to the integer: two prompts together, a cached prefix, a chat."""
    rows, (told, flops) = metered(ALONE, model, tmp_path)
    names = ("prompt_tokens", "cached_tokens", "generated_tokens")
    assert [[int(row[name]) for name in names] for row in rows] == told
    assert told[2] == [73, 64, 5]
    architecture = e2r.Architecture.load(str(tmp_path / rows[0]["model"]))
    usages = [e2r.Usage(prompt, new, cached_tokens=cached) for prompt, cached, new in told]
    ours = [e2r.estimate(architecture, usage, convention="torch").flops for usage in usages]
    assert sum(ours) == flops


def test_rank_llm_tells_the_tokens_that_the_meter_counts(model: Path, tmp_path: Path) -> None:
    """Windows of 4 over 8 passages by steps of 2 are three requests a query, each of its topic."""
    topics = tmp_path / "topics.tsv"
    topics.write_text("q1\twhat do rivers carve\nq2\twhat do foxes carve\n")
    rows, (told, _) = metered(RANK_LLM, model, tmp_path, "--topics", str(topics))
    seen = [[row["qid"], int(row["prompt_tokens"]), int(row["generated_tokens"])] for row in rows]
    assert len(told) == 6
    assert sorted(seen) == sorted(told)
