"""BM25 with the real Pyserini and the real Java: Vaswani whole, the round trip, what is odd."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from e2r.data.bm25 import search as bm25
from e2r.data.bm25.search import Bm25, Found
from e2r.data.sources import Sources, load
from e2r.errors import MissingError
from e2r.metrics import evaluate
from e2r.records.spec import Spec
from e2r.runner import run
from tests.tiny_models import save_llama

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def vaswani(shared_data: Path) -> Path:
    return shared_data / "vaswani"


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def in_cache(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("E2R_CACHE", str(cache))


def spec(vaswani: Path, **parts: dict[str, object]) -> Spec:
    data = {"dataset": f"beir:{vaswani}", "candidates": "bm25", **parts.pop("data", {})}
    return Spec.of({"data": data, **parts}, "the test")


def test_vaswani_is_searched_as_measured_and_the_same_by_two_builds(
    vaswani: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = spec(vaswani, model={"source": "none"}, method={"name": "first_stage"})
    folder = run(asked, tmp_path / "one")
    [row] = evaluate([folder.path], measures=["nDCG@10", "R@100"]).rows
    assert len(row.qids) == 93
    assert row.measures["nDCG@10"].value == pytest.approx(0.4368, abs=5e-5)
    assert row.measures["R@100"].value == pytest.approx(0.6186, abs=5e-5)
    assert row.matched_petaflops is not None
    assert row.first_stage_petaflops is not None
    assert 0 < row.matched_petaflops < row.first_stage_petaflops / 5
    found = folder.manifest().dataset
    assert found.documents == 11_429
    assert found.retrieval is not None
    assert found.retrieval.system.startswith("Pyserini 1.6.0, Java ")
    assert (found.retrieval.k1, found.retrieval.b) == (0.9, 0.4)
    repeated = Spec.load(folder.spec_path)
    assert (repeated.data.bm25_k1, repeated.data.bm25_b) == (0.9, 0.4)
    monkeypatch.setenv("E2R_CACHE", str(tmp_path / "another"))
    again = run(repeated, tmp_path / "two")
    assert again.manifest().dataset == found
    assert again.per_query_path.read_bytes() == folder.per_query_path.read_bytes()


def test_the_whole_round_trip_from_a_corpus_to_a_reranked_and_priced_list(
    vaswani: Path, tmp_path: Path
) -> None:
    asked = spec(
        vaswani,
        data={"depth": 5, "limit": 3},
        model={"source": str(save_llama(tmp_path / "model"))},
        method={"name": "pointwise.yes_no", "k": 5},
        prompt={"passage_tokens": 32},
    )
    folder = run(asked, tmp_path / "runs")
    [row] = evaluate([folder.path], measures=["nDCG@10"]).rows
    assert row.complete
    assert row.work.calls_per_query == 5
    assert row.petaflops.value is not None
    assert row.petaflops.value > (row.first_stage_petaflops or 0) > 0
    value = row.measures["nDCG@10"].value
    assert value is not None
    assert 0 < value < 1


def searched(
    documents: list[tuple[str, str]], queries: dict[str, str], word: str = "bm25"
) -> Found:
    return bm25.search(Bm25(word), queries, lambda: documents, 10, lambda text: None)


def test_any_text_comes_through_java_unharmed(monkeypatch: pytest.MonkeyPatch) -> None:
    # Java writes this to stdout, where replies would stand.
    monkeypatch.setenv("JAVA_TOOL_OPTIONS", "-Xlog:gc*=info:stdout")
    documents = [
        ("é😀", "a smile 😀, naïve\u2028and 𝔘nicode"),
        ("empty", ""),
        ("stops", "the of and"),
        ("long", "w" * 300_000 + " wow"),
        ("b", 'smiles "smile" smiling'),
    ]
    queries = {"1": "smiling naïve", "2": "the", "3": '"smile AND (b: *\0', "4": "", "5": "wow"}
    found = searched(documents, queries)
    assert [docid for docid, _ in found.run["1"]] == ["é😀", "b"]
    assert [docid for docid, _ in found.run["3"]] == ["b", "é😀"]
    assert [docid for docid, _ in found.run["5"]] == ["long"]
    assert found.run["2"] == found.run["4"] == []
    # smile is in two documents, naïve in one: three summands, two terms.
    assert (found.searched["1"].terms, found.searched["1"].postings) == (2, 3)
    assert (found.searched["2"].terms, found.searched["2"].postings) == (0, 0)


def test_a_query_that_finds_nothing_counts_and_scores_0(tmp_path: Path) -> None:
    (tmp_path / "qrels").mkdir()
    (tmp_path / "corpus.jsonl").write_text('{"_id": "d", "text": "fox"}\n')
    topics = '{"_id": "1", "text": "fox"}\n{"_id": "2", "text": "the"}\n'
    (tmp_path / "queries.jsonl").write_text(topics)
    (tmp_path / "qrels" / "test.tsv").write_text("1\td\t1\n2\td\t1\n")
    asked = {"model": {"source": "oracle"}, "method": {"name": "setwise.heapsort"}}
    [row] = evaluate([run(spec(tmp_path, **asked), tmp_path / "runs").path]).rows
    assert row.measures["nDCG@10"].value == 0.5


def test_a_prebuilt_index_that_cannot_be_fetched_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("PYSERINI_CACHE", str(tmp_path))
    with pytest.raises(MissingError, match=rf"https://\S+scifact\S+tar\.gz.*{tmp_path}/indexes/"):
        searched([], {}, "bm25:beir-v1.0.0-scifact.flat")


def test_java_never_enters_this_process(vaswani: Path) -> None:
    load(Sources(dataset=f"beir:{vaswani}", candidates="bm25"), depth=1, limit=1)
    assert not {"jnius", "jnius_config", "pyserini"} & sys.modules.keys()
