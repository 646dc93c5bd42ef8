"""Large files are read query by query, and say the same as when they are read whole."""

from __future__ import annotations

import gzip
import hashlib
import json
import tracemalloc
from pathlib import Path
from typing import Any

import ir_measures
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ir_measures import nDCG

from e2r.data.collection import Collection, content_sha256
from e2r.data.files import offsets, run_index
from e2r.data.files.corpus import FileCorpus
from e2r.data.files.run_index import RunIndex
from e2r.data.files.trec import read_run
from e2r.data.findings import Report
from e2r.data.sources import Sources, load
from e2r.data.survey import survey
from e2r.errors import DataError
from tests.small_collection import write_collection


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_collection(tmp_path / "small")


def collection(folder: Path, run: str = "first.run", **more: Any) -> Collection:
    return load(Sources(dataset=f"beir:{folder}", candidates=str(folder / run), **more), depth=10)


def scattered(folder: Path) -> list[str]:
    """The run's lines by rank, so that no two lines of a query are together."""
    return sorted((folder / "first.run").read_text().splitlines(True), key=lambda x: x.split()[3])


def test_a_scattered_or_gzipped_run_is_the_same_collection(folder: Path) -> None:
    (folder / "scattered.run").write_text("".join(scattered(folder)))
    (folder / "zipped.run.gz").write_bytes(gzip.compress((folder / "first.run").read_bytes()))
    (folder / "corpus.gz.jsonl.gz").write_bytes(
        gzip.compress((folder / "corpus.jsonl").read_bytes())
    )
    plain = collection(folder)
    zipped = collection(folder, "zipped.run.gz", corpus=str(folder / "corpus.gz.jsonl.gz"))
    apart = collection(folder, "scattered.run")
    assert list(plain.topics) == list(apart.topics) == list(zipped.topics)
    assert plain.candidates_sha256 == apart.candidates_sha256 == zipped.candidates_sha256
    assert any("lines of 6 queries are not together" in note for note in apart.notes)
    assert plain.notes == zipped.notes


def test_the_order_is_that_of_the_queries(folder: Path) -> None:
    """Existing runs are known by a hash over this order, whatever the run file's own."""
    rows = (folder / "first.run").read_text().splitlines(True)
    (folder / "reversed.run").write_text("".join(reversed(rows)))
    turned = collection(folder, "reversed.run")
    assert [topic.query.qid for topic in turned.topics] == [f"q{i}" for i in range(6)]
    assert turned.candidates_sha256 == collection(folder).candidates_sha256


def test_topics_can_be_read_again_but_not_after_a_change(folder: Path) -> None:
    found = collection(folder)
    assert list(found.topics) == list(found.topics)
    assert len(found.topics) == 6
    with (folder / "first.run").open("a") as stream:
        stream.write("q0 Q0 d1 99 0.5 late\n")
    with pytest.raises(DataError, match=r"first\.run: changed since it was checked"):
        list(found.topics)


def test_a_document_twice_is_seen_where_lines_are_apart(folder: Path) -> None:
    rows = (folder / "first.run").read_text()
    (folder / "first.run").write_text(rows + rows.splitlines()[0] + "\n")
    with pytest.raises(DataError, match="is twice in query q0"):
        RunIndex(folder / "first.run")
    with pytest.raises(DataError, match=r"first\.run:73: document .* is twice in query q0"):
        read_run(folder / "first.run")


def test_a_run_in_too_many_pieces_is_refused_with_the_remedy(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "first.run").write_text("".join(scattered(folder)))
    monkeypatch.setattr(run_index, "MOST_PIECES", 20)
    with pytest.raises(DataError, match=r"sort -s -k1,1 .*first\.run"):
        RunIndex(folder / "first.run")


def test_ties_and_ranks_that_contradict_scores_are_told(tmp_path: Path) -> None:
    path = tmp_path / "x.run"
    path.write_text("a Q0 x 1 3 t\na Q0 y 2 3 t\nb Q0 x 1 1 t\nb Q0 y 2 2 t\nc\tQ0\tx\t1\t1\tt\n")
    report = Report()
    RunIndex(path, report.hear)
    assert not report.errors
    told = {(finding.line, finding.message.split(";")[0]) for finding in report.warnings}
    assert told == {
        (1, "both tabs and spaces separate fields"),
        (1, "1 queries have tied scores (query a)"),
        (3, "1 queries have ranks that contradict scores (query b)"),
    }


def test_documents_whose_hashes_meet_are_told_apart(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = ["d3", "d41", "d99", "nobody", "d0"]
    expected = FileCorpus(folder / "corpus.jsonl").lookup().of(wanted)
    monkeypatch.setattr(offsets, "hash", lambda name: len(name), raising=False)
    met = FileCorpus(folder / "corpus.jsonl").lookup()
    assert met.of(wanted) == expected
    assert expected[2:4] == [None, None]
    assert met.documents == 72


def test_memory_does_not_grow_with_the_texts(tmp_path: Path) -> None:
    """8 MB of requests, of which one query's worth is in memory at a time."""
    path = tmp_path / "big.jsonl"
    with path.open("w") as stream:
        for number in range(400):
            docs = [
                {
                    "docid": f"d{i}",
                    "score": 10 - i,
                    "doc": {"text": f"{number} {i} " + "word " * 400},
                }
                for i in range(10)
            ]
            row = {"query": {"qid": str(number), "text": "what"}, "candidates": docs}
            stream.write(json.dumps(row) + "\n")
    tracemalloc.start()
    found = load(Sources(candidates=str(path)), depth=10)
    assert sum(1 for _ in found.topics) == 400
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert path.stat().st_size > 8_000_000
    assert peak < 4_500_000


@given(st.lists(st.tuples(st.text(), st.integers(-(2**31), 2**31)), max_size=5))
def test_the_content_hash_is_that_of_compact_json(rows: list[tuple[str, int]]) -> None:
    """Committed runs are known by it; the standard library says what it is."""
    text = "".join(
        json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n" for row in rows
    )
    assert content_sha256(rows) == hashlib.sha256(text.encode()).hexdigest()


def test_the_ceiling_is_what_a_perfect_reranking_scores(shared_data: Path) -> None:
    data = shared_data / "trec-dl-2019"
    found = load(
        Sources(candidates=str(data / "bm25-top100.jsonl"), qrels=str(data / "qrels.txt")), depth=20
    )
    assert found.judgments is not None
    perfect = {
        topic.query.qid: {
            c.docid: found.judgments[topic.query.qid].get(c.docid, 0) for c in topic.candidates
        }
        for topic in found.topics
    }
    value = ir_measures.calc_aggregate([nDCG @ 10], found.judgments, perfect)[nDCG @ 10]
    notes = survey(found.topics, found.judgments).notes
    assert any(f"nDCG@10 {value:.4f} " in note for note in notes)
    assert notes == found.notes
