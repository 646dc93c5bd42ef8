"""Repositories of the Hub are read by the real library `datasets`, from stored folders."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any

import datasets
import pytest

from e2r import hub
from e2r.data import hugging_face
from e2r.data.hugging_face import HubDataset
from e2r.data.sources import Sources, load
from e2r.errors import DataError, MissingError, UsageError
from tests.data.stored import GRADES, QUERIES, RUN, TEXTS, hub_folder, store_parquet, write

COMMIT = "c" * 40


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The library's cache, in the test's folder."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    return tmp_path / "cache"


@pytest.fixture
def streamed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The splits that were streamed."""
    splits: list[str] = []
    stream = datasets.DatasetBuilder.as_streaming_dataset

    def listen(self: Any, split: str) -> Any:
        splits.append(split)
        return stream(self, split)

    monkeypatch.setattr(datasets.DatasetBuilder, "as_streaming_dataset", listen)
    return splits


@pytest.mark.parametrize("form", ["parquet", "jsonl"])
@pytest.mark.parametrize("sized", [True, False])
@pytest.mark.parametrize("companion", [True, False])
def test_a_folder_of_tables_brings_everything(
    tmp_path: Path,
    streamed: list[str],
    capfd: pytest.CaptureFixture[str],
    form: str,
    sized: bool,
    companion: bool,
) -> None:
    folder = hub_folder(tmp_path / "tiny", form=form, sized=sized, companion=companion)
    run = write(tmp_path / "bm25.run", RUN)
    collection = load(Sources(dataset=f"hf:{folder}", candidates=str(run)), depth=2)
    assert collection.name == "tiny"
    topics = list(collection.topics)
    assert {t.query.qid: t.query.text for t in topics} == QUERIES
    assert [[c.docid for c in t.candidates] for t in topics] == [["a", "b"], ["c", "d"]]
    assert topics[0].candidates[0].text == TEXTS["a"]
    assert collection.judgments == GRADES
    assert collection.documents == 4
    assert collection.revision is None
    assert streamed == ([] if sized else ["corpus"])
    assert capfd.readouterr().err == ""


def test_a_corpus_known_to_be_large_is_streamed(
    tmp_path: Path, streamed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hugging_face, "LARGE", 998)
    corpus = HubDataset(str(hub_folder(tmp_path / "tiny"))).corpus()
    assert corpus is not None
    assert corpus.texts({"a"}) == ({"a": TEXTS["a"]}, 4)
    assert list(corpus.documents()) == list(TEXTS.items())
    assert streamed == ["corpus", "corpus"]


def test_a_split_of_the_judgments_can_be_chosen(tmp_path: Path) -> None:
    word = f"hf:{hub_folder(tmp_path / 'tiny')}"
    run = write(tmp_path / "bm25.run", RUN)
    sources = Sources(dataset=word, candidates=str(run), qrels=f"{word}#train")
    assert load(sources, depth=2).judgments == {"1": {"c": 1}}
    for qrels in (f"{word}-qrels", f"{word}-qrels#test"):
        assert load(Sources(dataset=word, candidates=str(run), qrels=qrels), 2).judgments == GRADES
    with pytest.raises(UsageError, match=r"have the splits train, test; name one by .*#SPLIT"):
        HubDataset(f"{tmp_path / 'tiny'}").judgments("dev")


def test_a_field_of_the_queries_can_be_chosen(tmp_path: Path) -> None:
    folder = hub_folder(tmp_path / "tiny", sized=False)
    store_parquet(
        folder / "queries" / "0.parquet", [{"_id": "1", "text": "a", "metadata": {"long": "b"}}]
    )
    dataset = HubDataset(str(folder))
    found = [dataset.queries(field) for field in (None, "metadata.long")]
    assert [queries.texts for queries in found if queries] == [{"1": "a"}, {"1": "b"}]
    with pytest.raises(DataError, match=r"query 1: field 'words' is missing"):
        dataset.queries("words")


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([{"_id": "a", "text": "x"}, {"_id": "a", "text": "x"}], "document a is there twice"),
        ([{"_id": "a", "text": " "}], "document a has no text"),
        ([{"_id": "a", "body": None}], "document a: field 'text' is missing"),
        ([{"name": "a"}], "field '_id' is missing"),
    ],
)
def test_bad_documents_are_refused(
    tmp_path: Path, rows: list[dict[str, object]], says: str
) -> None:
    folder = hub_folder(tmp_path / "tiny", sized=False)
    store_parquet(folder / "corpus" / "0.parquet", rows)
    corpus = HubDataset(str(folder)).corpus()
    assert corpus is not None
    with pytest.raises(DataError, match=f"hf:{folder}: {says}"):
        corpus.texts({"a"})


def test_bad_judgments_and_files_are_refused(tmp_path: Path) -> None:
    folder = hub_folder(tmp_path / "tiny", sized=False)
    qrels = tmp_path / "tiny-qrels" / "test.tsv"
    qrels.with_name("train.tsv").unlink()
    head = "query-id\tcorpus-id\tscore\n"
    for text, says in (
        (head + "1\ta\t1\n1\ta\t2\n", "document a has two grades for query 1"),
        (head + "1\ta\t0.5\n", r"whole number\); this one is .*0.5"),
        ("q\td\ts\n1\ta\t1\n", r"a judgment has query-id, corpus-id, score"),
    ):
        write(qrels, text)
        with pytest.raises(DataError, match=says):
            HubDataset(str(folder)).judgments("test")
    (folder / "corpus" / "0.parquet").write_bytes(b"PAR1 no table")
    corpus = HubDataset(str(folder)).corpus()
    assert corpus is not None
    with pytest.raises(DataError, match=f"hf:{folder}: "):
        corpus.texts({"a"})


def test_what_is_not_there_is_asked_for(tmp_path: Path) -> None:
    folder = hub_folder(tmp_path / "tiny")
    shutil.rmtree(tmp_path / "tiny-qrels")
    assert HubDataset(str(folder)).judgments(None) is None
    run = write(tmp_path / "bm25.run", RUN)
    qrels = HubDataset(str(hub_folder(tmp_path / "other"))).judgments(None)
    assert qrels == GRADES
    with pytest.raises(UsageError, match="no candidates: pass --candidates"):
        load(Sources(dataset=f"hf:{folder}"), depth=2)
    with pytest.raises(UsageError, match=r"other-qrels has no queries; name another source"):
        load(Sources(dataset=f"hf:{tmp_path / 'other-qrels'}", candidates=str(run)), depth=2)
    with pytest.raises(UsageError, match="is a folder, without revisions; drop @main"):
        HubDataset(f"{folder}@main")
    with pytest.raises(DataError, match="neither a folder here nor a name as OWNER/NAME"):
        HubDataset("no/such/folder")


def test_a_repository_out_of_reach_says_how_to_fetch_it() -> None:
    began = time.monotonic()
    with pytest.raises(MissingError) as refused:
        HubDataset("BeIR/scifact").queries(None)
    assert "hf download BeIR/scifact --repo-type dataset --local-dir scifact" in str(refused.value)
    assert "pass hf:scifact" in str(refused.value)
    assert time.monotonic() - began < 60, "the library alone would try for minutes"


def test_what_was_fetched_before_is_read_without_the_hub(tmp_path: Path, cache: Path) -> None:
    """The cache as the library leaves it: OWNER___NAME/CONFIGURATION/VERSION/COMMIT."""
    assert not hub.answers()
    folder = hub_folder(tmp_path / "tiny")
    for source, config, name in ((folder, "corpus", "tiny"), (folder, "queries", "tiny"),
                                 (tmp_path / "tiny-qrels", "default", "tiny-qrels")):  # fmt: skip
        builder = datasets.load_dataset_builder(str(source), config)
        builder.download_and_prepare()
        kept = Path(builder.cache_dir)
        target = cache / f"somebody___{name}" / config / "0.0.0" / COMMIT
        shutil.copytree(kept, target)
    run = write(tmp_path / "bm25.run", RUN)
    sources = Sources(dataset="hf:somebody/tiny", candidates=str(run))
    collection = load(sources, depth=2)
    assert collection.name == "somebody/tiny"
    assert collection.revision == f"hf:somebody/tiny@{COMMIT}; hf:somebody/tiny-qrels@{COMMIT}"
    assert collection.judgments == GRADES
    assert collection.documents == 4
    with pytest.raises(MissingError, match=f"the cache holds {COMMIT}, not {'d' * 40}"):
        HubDataset(f"somebody/tiny@{'d' * 40}").queries(None)
