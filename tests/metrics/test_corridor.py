"""From a collection on disk through the runner to figures: the rooms fit together."""

from __future__ import annotations

from pathlib import Path

import pytest

import e2r
from e2r.data.beir import read_queries
from e2r.metrics.comparison import compare
from e2r.records.spec import Spec
from tests.site.reading import build
from tests.small_collection import write_collection


@pytest.fixture(scope="module")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_collection(tmp_path_factory.mktemp("data") / "small")


@pytest.fixture(scope="module")
def runs(collection: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("out") / "runs"
    for source, method in [
        ("none", "first_stage"),
        ("oracle", "setwise.heapsort"),
        ("random:1", "setwise.heapsort"),
    ]:
        tables = {
            "data": {
                "dataset": f"beir:{collection}",
                "candidates": str(collection / "first.run"),
                "depth": 12,
            },
            "model": {"source": source},
            "method": {"name": method},
        }
        e2r.run(Spec.of(tables, "the test"), out)
    return out


def test_runs_of_the_runner_evaluate(runs: Path, collection: Path) -> None:
    rows = {row.manifest.model.name: row for row in e2r.evaluate(runs, "nDCG@10 AP").rows}
    assert rows["oracle"].measures["nDCG@10"].value == pytest.approx(1)
    assert rows["oracle"].work.calls > 0
    assert rows["random-1"].rpp["nDCG@10"].ratio.value is None
    first = next(row for row in rows.values() if row.manifest.method == "first_stage")
    queries = read_queries(collection / "queries.jsonl")
    terms = [len(text.split()) for text in queries.values()]
    wanted = 11 * (sum(terms) / len(terms)) * first.manifest.dataset.documents / 1e15
    assert first.petaflops.value == pytest.approx(wanted)


def test_runs_of_the_runner_compare_and_make_a_board(
    runs: Path, collection: Path, tmp_path: Path
) -> None:
    qrels = collection / "qrels" / "test.tsv"
    found = compare([runs]).contrasts
    assert len(found) == 2
    page = build(runs, tmp_path / "site", qrels=[f"small={qrels}"]).read_text()
    assert "oracle" in page
