"""Tiny T5, Llama, Qwen2 and BERT models go through every method that fits them, in every mode.

Batched, one query at a time and with reuse, the answers and rankings are the same and scores agree
to 1e-4; and what PyTorch counts of a call is what the estimator says.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from e2r.ranking import METHODS, PRICED_ONLY
from e2r.records.folder import RunFolder
from e2r.records.ledger import read_ledger
from e2r.records.spec import Spec
from e2r.runner import run
from tests.small_collection import write_collection
from tests.tiny_models import (
    save_cross_encoder,
    save_llama,
    save_qwen2,
    save_qwen3_5,
    save_t5,
    save_t5gemma,
)

SAVERS = {
    "llama": save_llama,
    "qwen2": save_qwen2,
    "t5": save_t5,
    "bert": save_cross_encoder,
    "qwen3_5": save_qwen3_5,
    "t5gemma": save_t5gemma,
}
GENERATORS = sorted(set(METHODS) - {"first_stage", "pointwise.cross_encoder"} - PRICED_ONLY)
DECODER_ONLY = {"pointwise.reasoning", "attention.icr"}
CASES = [
    *(("bert", "pointwise.cross_encoder"),),
    *((kind, "pointwise.yes_no") for kind in ("qwen3_5", "t5gemma")),
    *((kind, "setwise.heapsort") for kind in ("qwen3_5", "t5gemma")),
    *((kind, method) for kind in ("llama", "qwen2") for method in GENERATORS),
    *(("t5", method) for method in GENERATORS if method not in DECODER_ONLY),
]


@pytest.fixture(scope="module")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_collection(tmp_path_factory.mktemp("small") / "small", queries=3, candidates=7)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {kind: save(tmp_path_factory.mktemp(kind)) for kind, save in SAVERS.items()}


def spec(collection: Path, model: Path, method: str, **execution: Any) -> Spec:
    tables = {
        "data": {
            "dataset": f"beir:{collection}",
            "candidates": str(collection / "first.run"),
            "depth": 7,
        },
        "model": {"source": str(model)},
        "method": {"name": method, "k": 3},
        "prompt": {"answer_tokens": 5},
        "execution": {"device": "cpu", **execution},
    }
    return Spec.of(tables, "the test")


def rows(folder: RunFolder) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = read_ledger(folder.ledger_path).to_pylist()
    return found


def same_answer(one: str, other: str) -> bool:
    """Equal, or numbers that agree to 1e-4; sums of hundreds to a millionth of themselves."""
    first, second = json.loads(one), json.loads(other)
    if isinstance(first, list) and first and isinstance(first[0], list):
        pairs = [
            (a, b) for x, y in zip(first, second, strict=True) for a, b in zip(x, y, strict=True)
        ]
    else:
        pairs = [(first, second)]
    return all(
        a == (pytest.approx(b, abs=1e-4, rel=1e-6) if isinstance(a, float) else b) for a, b in pairs
    )


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "method"), CASES)
def test_modes_agree_and_costs_are_true(
    collection: Path, models: dict[str, Path], tmp_path: Path, kind: str, method: str
) -> None:
    def made(name: str, **execution: Any) -> RunFolder:
        return run(spec(collection, models[kind], method, **execution), tmp_path / name)

    batched = made("batched", batch_size=16, verify_flops=6)
    alone = made("alone", batch_size=1, latency=True)
    reusing = made("reusing", batch_size=5, reuse=True)
    expected = rows(batched)
    for other in (alone, reusing):
        assert other.manifest().status == "complete"
        assert other.ranking() == batched.ranking()
        for mine, theirs in zip(expected, rows(other), strict=True):
            assert mine["docids"] == theirs["docids"]
            assert same_answer(mine["answer"], theirs["answer"])
            assert mine["parsed"] == theirs["parsed"]
    for mine, theirs in zip(expected, rows(alone), strict=True):
        for name in ("prompt_tokens", "decoder_prompt_tokens", "generated_tokens"):
            assert mine[name] == theirs[name]
        assert theirs["padded_tokens"] == 0 or theirs["batch_size"] > 1
    assert alone.manifest().latency_mode == "one_query_at_a_time"
    verified = batched.manifest().verification
    assert len(verified) == min(6, len(expected))
    assert all(call.counted == call.estimated for call in verified), verified
