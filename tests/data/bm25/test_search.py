"""The first stage by BM25, with a stand-in for Java: what it keeps, and what it says of faults."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

import pytest

from e2r.data.bm25 import process
from e2r.data.bm25 import search as bm25
from e2r.data.bm25.process import JavaProcess, java_process
from e2r.data.bm25.search import Bm25, Found, search
from e2r.data.cache import cache_folder
from e2r.data.collection import Searched
from e2r.data.sources import Sources, load
from e2r.errors import DataError, E2RError, MissingError, UsageError

FAKE = Path(__file__).with_name("fake_lucene.py")
DOCUMENTS = [("d1", "a flea and a fox"), ("d2", "the fox, the fox fox"), ("d3", ""), ("d4", "oak")]
QUERIES = {"q1": "flea fox", "q2": "unheard"}

Process = Callable[[], AbstractContextManager[JavaProcess]]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("E2R_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "bm25"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "log"
    path.touch()
    return path


def fake(log: Path, fault: str = "") -> Process:
    return lambda: java_process([sys.executable, str(FAKE), str(log), fault])


def found(log: Path, fault: str = "", word: str = "bm25", depth: int = 10) -> Found:
    return search(
        Bm25(word), QUERIES, lambda: DOCUMENTS, depth, lambda text: None, fake(log, fault)
    )


def kept(cache: Path) -> list[Path]:
    return [path for path in cache.iterdir() if path.is_dir()]


def builds(log: Path) -> int:
    return log.read_text().split().count("create")


def test_queries_find_their_documents_and_say_what_the_search_took(log: Path) -> None:
    result = found(log)
    assert result.run == {"q1": [("d1", 2.0), ("d2", 2.0)], "q2": []}
    assert result.searched == {"q1": Searched(terms=2, postings=3), "q2": Searched(1, 0)}
    assert result.documents == len(DOCUMENTS)
    assert (result.retrieval.k1, result.retrieval.b) == (0.9, 0.4)
    assert result.retrieval.index.startswith("sha256:")


def test_depth_limits_the_hits_of_each_query(log: Path) -> None:
    assert len(found(log, depth=1).run["q1"]) == 1


def test_an_index_is_built_once_and_kept_by_what_is_in_the_corpus(log: Path, cache: Path) -> None:
    told: list[str] = []
    for corpus in (DOCUMENTS, list(DOCUMENTS), [*DOCUMENTS, ("d5", "more")], DOCUMENTS):
        search(Bm25("bm25"), QUERIES, lambda rows=corpus: rows, 10, told.append, fake(log))
    assert builds(log) == 2
    assert len(kept(cache)) == 2
    assert len(told) == 2
    assert "4 documents" in told[0]


@pytest.mark.parametrize("damage", ["cut", "lost", "extra", "facts lost", "facts cut"])
def test_a_damaged_index_is_built_again(log: Path, cache: Path, damage: str) -> None:
    before = found(log)
    [index] = kept(cache)
    segments, facts = index / "segments_1", index / "e2r-index.json"
    {
        "cut": lambda: segments.write_text("["),
        "lost": segments.unlink,
        "extra": lambda: (index / "segments_2").touch(),
        "facts lost": facts.unlink,
        "facts cut": lambda: facts.write_text(facts.read_text()[:20]),
    }[damage]()
    assert found(log) == before
    assert builds(log) == 2


def test_what_a_build_that_was_killed_left_behind_is_not_used(log: Path, cache: Path) -> None:
    with pytest.raises(MissingError, match="the heap is full"):
        found(log, "die:commit")
    [half] = kept(cache)
    assert half.name.endswith(".building")
    found(log)
    [whole] = kept(cache)
    assert not whole.name.endswith(".building")


def test_two_that_want_the_same_index_at_once_build_it_once(log: Path) -> None:
    results: list[Found] = []
    threads = [threading.Thread(target=lambda: results.append(found(log))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 4
    assert all(result == results[0] for result in results)
    assert builds(log) == 1


def test_a_corpus_that_changes_between_the_passes_is_refused(log: Path, cache: Path) -> None:
    passes = iter([DOCUMENTS, DOCUMENTS[:2]])
    with pytest.raises(DataError, match="changed while it was indexed"):
        search(Bm25("bm25"), QUERIES, lambda: next(passes), 10, print, fake(log))
    assert kept(cache) == []


def test_an_empty_corpus_is_refused(log: Path) -> None:
    with pytest.raises(DataError, match="no document"):
        search(Bm25("bm25"), QUERIES, list, 10, print, fake(log))


@pytest.mark.parametrize(
    ("fault", "error", "words"),
    [
        ("die:create", MissingError, "exit code 1.*'create'.*the heap is full"),
        ("die:add", MissingError, "the heap is full"),
        ("die:search", MissingError, "'search'.*the heap is full"),
        ("cut:search", MissingError, "ended"),
        ("garbage:open", MissingError, "'open' by b'WARNING.*where JSON is wanted"),
        ("failed:commit", MissingError, "commit failed: IndexNotFound"),
        ("failed:open", DataError, "Lucene cannot read this index.*IndexNotFound"),
        ("twice:search", DataError, "query q1 finds one document twice"),
    ],
)
def test_a_fault_of_the_child_is_told_as_one(
    log: Path, fault: str, error: type[E2RError], words: str
) -> None:
    with pytest.raises(error, match=f"(?s){words}"):
        found(log, fault)


def test_a_child_that_dies_amid_a_large_corpus_does_not_hang_its_parent(log: Path) -> None:
    rows = [(f"d{number}", "x" * 400_000) for number in range(40)]
    with pytest.raises(MissingError, match="the heap is full"):
        search(Bm25("bm25"), QUERIES, lambda: rows, 10, print, fake(log, "die:add"))


def test_a_prebuilt_index_that_is_not_here_says_what_to_fetch_and_where_to_put_it(
    log: Path,
) -> None:
    with pytest.raises(MissingError, match=r"no network.*https://a\.b/c\.tar\.gz.*/c.*bm25:FOLDER"):
        found(log, word="bm25:msmarco-v1-passage")
    with pytest.raises(UsageError, match="did you mean msmarco-v1-passage"):
        found(log, word="bm25:msmarco-v1-passages")


def test_a_folder_of_lucenes_is_known_by_its_commit(log: Path, cache: Path) -> None:
    here = found(log)
    [folder] = kept(cache)
    there = found(log, word=f"bm25:{folder}")
    assert there.run == here.run
    assert there.documents == len(DOCUMENTS)
    assert "sha256:" in there.retrieval.index
    with pytest.raises(DataError, match="no such folder"):
        found(log, word=f"bm25:{folder}/nowhere")
    with pytest.raises(DataError, match="segments_N is missing"):
        found(log, word=f"bm25:{cache.parent}")


def test_words_and_parameters_without_meaning_are_refused(log: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="names no index"):
        found(log, word="bm25:")
    for k1, b in ((-1.0, 0.4), (float("nan"), 0.4), (float("inf"), 0.4), (0.9, 1.5)):
        with pytest.raises(UsageError, match="k1 of at least 0"):
            Bm25("bm25", k1, b)
    with pytest.raises(UsageError, match="are for --candidates bm25"):
        load(Sources(dataset="demo", bm25_k1=1.2), 10)
    assert log.read_text() == ""


def test_a_cache_that_cannot_be_written_is_told(
    log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("E2R_CACHE", str(tmp_path / "file"))
    with pytest.raises(UsageError, match="E2R_CACHE"):
        found(log)


def test_the_cache_lies_where_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("E2R_CACHE", "/own")
    monkeypatch.setenv("XDG_CACHE_HOME", "/shared")
    assert cache_folder() == Path("/own")
    monkeypatch.delenv("E2R_CACHE")
    assert cache_folder() == Path("/shared/e2r")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/someone")
    assert cache_folder() == Path("/home/someone/.cache/e2r")


@pytest.mark.parametrize("package", ["pyserini", "jnius"])
def test_a_missing_extra_is_told_before_the_corpus_is_read(
    package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "find_spec", lambda name: None if name == package else object())
    with pytest.raises(MissingError, match=rf'package {package}; run: pip install "e2r\['):
        search(Bm25("bm25"), QUERIES, lambda: pytest.fail("the corpus was read"), 10, print)


def test_a_collection_carries_what_the_search_found(
    log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bm25, "search", partial(search, process=fake(log)))
    (tmp_path / "corpus.jsonl").write_text(
        "".join(f'{{"_id": "{docid}", "text": "{text}"}}\n' for docid, text in DOCUMENTS)
    )
    (tmp_path / "queries.jsonl").write_text(
        '{"_id": "q0", "text": "of another split"}\n'
        '{"_id": "q1", "text": "flea fox"}\n{"_id": "q2", "text": "oak"}\n'
    )
    (tmp_path / "qrels.txt").write_text("q1 0 d1 1\nq2 0 d4 1\n")
    sources = Sources(
        candidates="bm25",
        corpus=str(tmp_path / "corpus.jsonl"),
        queries=str(tmp_path / "queries.jsonl"),
        qrels=str(tmp_path / "qrels.txt"),
        bm25_k1=1.2,
    )
    collection = load(sources, depth=10)
    first, second = collection.topics
    assert (first.query.qid, second.query.qid) == ("q1", "q2")
    assert first.candidates[0].text == "a flea and a fox"
    assert first.searched == Searched(2, 3)
    assert (collection.name, collection.first_stage, collection.documents) == ("corpus", "BM25", 4)
    assert collection.retrieval is not None
    assert (collection.retrieval.k1, collection.retrieval.b) == (1.2, 0.4)
    [alone] = load(sources, depth=10, limit=1).topics
    assert alone == first
