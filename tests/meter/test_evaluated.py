"""What a metered program's rows are worth to `e2r evaluate`, and e2r's own run metered."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

import e2r  # noqa: E402
from e2r.errors import DataError  # noqa: E402
from e2r.metrics.runs.foreign import Foreign  # noqa: E402
from tests import tiny_models  # noqa: E402
from tests.small_collection import write_collection  # noqa: E402

PASSAGES = {"d1": "the flea lives for a year", "d2": "concrete floors cost little", "d3": "rivers"}
QUERIES = {"q1": "flea", "q2": "what do concrete floors cost"}


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any]:
    folder = tiny_models.save_llama(tmp_path_factory.mktemp("models") / "theirs")
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager")
    return model.eval(), transformers.AutoTokenizer.from_pretrained(folder)


def rerank(model: Any, tokenizer: Any, query: str) -> list[str]:
    """A batch of prompts, padded on the left, and the first logits after each."""
    tokenizer.padding_side = "left"
    prompts = [f"{query} Passage: {text}" for text in PASSAGES.values()]
    given = tokenizer(prompts, return_tensors="pt", padding=True)
    with torch.no_grad():
        scores = model(given["input_ids"], attention_mask=given["attention_mask"], logits_to_keep=1)
    values = dict(zip(PASSAGES, scores.logits[:, -1, 0].tolist(), strict=True))
    return sorted(values, key=lambda docid: -values[docid])


def written(folder: Path, rankings: dict[str, list[str]]) -> None:
    (folder / "theirs.run").write_text(
        "".join(
            f"{qid} Q0 {docid} {place} {-place} theirs\n"
            for qid, docids in rankings.items()
            for place, docid in enumerate(docids, start=1)
        )
    )
    (folder / "qrels.txt").write_text("q1 0 d1 1\nq2 0 d2 2\n")


@pytest.mark.parametrize("attributed", [True, False])
def test_two_steps_give_a_row_whose_flops_are_pytorchs_own(
    attributed: bool, stranger: tuple[Any, Any], tmp_path: Path, monkeypatch: Any
) -> None:
    rankings = {}
    with (
        FlopCounterMode(display=False) as counter,
        e2r.meter(tmp_path / "calls.csv") as meter,
    ):
        for qid, query in QUERIES.items():
            if attributed:
                with meter.query(qid):
                    rankings[qid] = rerank(*stranger, query)
            else:
                rankings[qid] = rerank(*stranger, query)
    written(tmp_path, rankings)
    # The facts are found beside the rows, wherever the command is given.
    monkeypatch.chdir(tmp_path.parent)
    found = {}
    for convention in ("torch", "ideal"):
        [row] = e2r.evaluate(
            [],
            ["nDCG@10"],
            convention,
            qrels=str(tmp_path / "qrels.txt"),
            foreign=[Foreign(tmp_path / "theirs.run", tmp_path / "calls.csv")],
        ).rows
        assert row.cost.per_query is not None
        found[convention] = sum(row.cost.per_query.values())
        assert row.rpp["nDCG@10"].ratio.value is not None
        assert (row.petaflops.low is not None) == attributed
        assert any("name no query" in note for note in row.notes) != attributed
        assert row.manifest.model.name.endswith("--theirs")
    assert found["torch"] == counter.get_total_flops() == meter.total("torch").flops
    assert found["ideal"] == meter.total("ideal").flops
    assert found["ideal"] < found["torch"]
    table = meter.to_pandas()
    assert int(table["flops"].sum()) == found["ideal"]
    assert meter.petaflops == found["ideal"] / 10**15
    assert meter.calls == len(table) == 6


def test_calls_of_no_query_need_their_ranking(stranger: tuple[Any, Any], tmp_path: Path) -> None:
    with e2r.meter(tmp_path / "calls.csv"):
        rerank(*stranger, "flea")
    with pytest.raises(DataError, match="none of its calls names a query"):
        e2r.evaluate([], foreign=[Foreign(None, tmp_path / "calls.csv")])


@pytest.mark.parametrize(
    ("name", "method"),
    [
        ("llama", "pointwise.yes_no"),
        ("llama", "setwise.heapsort"),
        ("llama", "listwise.generation"),
        ("t5", "pointwise.qlm"),
        ("t5", "setwise.heapsort"),
        ("cross_encoder", "pointwise.cross_encoder"),
    ],
)
def test_our_own_run_metered_from_outside_is_its_own_ledger(
    name: str, method: str, tmp_path: Path
) -> None:
    from e2r.metrics.cost import price
    from e2r.metrics.runs.recorded import Recorded
    from e2r.records.spec import Spec

    collection = write_collection(tmp_path / "small")
    model = getattr(tiny_models, f"save_{name}")(tmp_path / name)
    spec = Spec.of(
        {
            "data": {
                "dataset": f"beir:{collection}",
                "candidates": str(collection / "first.run"),
                "depth": 5,
                "limit": 3,
            },
            "model": {"source": str(model), "dtype": "float32"},
            "method": {"name": method, "k": 2},
            "prompt": {"passage_tokens": 20},
            "execution": {"device": "cpu"},
        },
        "the test",
    )
    with e2r.meter(tmp_path / "calls.csv") as meter:
        folder = e2r.run(spec, tmp_path / "runs")
    run = Recorded.load(folder.path)
    cost = price(run)
    assert cost.per_query is not None
    table = meter.to_pandas()
    ledger = run.ledger.to_pandas()
    assert meter.calls == len(ledger)
    for count in ("prompt_tokens", "cached_tokens", "decoder_prompt_tokens", "head_positions"):
        assert table[count].sum() == ledger[count].sum(), count
    assert meter.total("ideal").flops == sum(cost.per_query.values())
    assert json.loads((folder.path / "manifest.json").read_text())["status"] == "complete"
