"""Collections of ir_datasets are read by the real library, from files that the tests register."""

from __future__ import annotations

import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import ir_datasets
import pytest
from ir_datasets import formats, util

from e2r.data.ir_datasets import IrDataset
from e2r.data.sources import Sources, load
from e2r.errors import DataError, MissingError, UsageError
from tests.data.stored import GRADES, QUERIES, TEXTS, register, tsv, write


@pytest.fixture
def name() -> Iterator[str]:
    """An id that no other test has used."""
    name = f"e2r-test/{uuid.uuid4().hex}"
    yield name
    ir_datasets.registry._registered.pop(name, None)


def test_a_dataset_brings_everything(name: str, tmp_path: Path) -> None:
    register(name, tmp_path)
    collection = load(Sources(dataset=f"ir_datasets:{name}"), depth=2)
    assert collection.name == name
    topics = list(collection.topics)
    assert {t.query.qid: t.query.text for t in topics} == QUERIES
    assert [[c.docid for c in t.candidates] for t in topics] == [["a", "b"], ["c", "d"]]
    assert topics[1].candidates[0].text == TEXTS["c"]
    assert collection.judgments == GRADES
    assert collection.documents == 4
    assert collection.first_stage == f"{name} scoreddocs"
    assert collection.revision == f"ir_datasets:{name} (ir_datasets {ir_datasets.__version__})"


def test_documents_are_looked_up_and_never_listed(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(name, tmp_path)
    corpus = IrDataset(name).corpus()
    assert corpus is not None
    assert list(corpus.documents()) == list(TEXTS.items())
    ir_datasets.load(name).docs_store().build()
    monkeypatch.setattr(formats.TsvDocs, "docs_iter", None)
    assert corpus.texts({"b", "nowhere"}) == ({"b": TEXTS["b"]}, 4)
    texts = corpus.lookup()
    assert texts.of(["c", "nowhere", "a"]) == [TEXTS["c"], None, TEXTS["a"]]
    assert texts.documents == 4


def test_a_document_without_text_is_no_candidate_but_may_be_indexed(
    name: str, tmp_path: Path
) -> None:
    register(name, tmp_path, {"a": "x", "b": " "})
    corpus = IrDataset(name).corpus()
    assert corpus is not None
    assert list(corpus.documents()) == [("a", "x"), ("b", "")]
    with pytest.raises(DataError, match="document b has no text"):
        corpus.lookup().of(["a", "b"])


def test_parts_of_a_dataset_mix_with_files(name: str, tmp_path: Path) -> None:
    register(name, tmp_path)
    word = f"ir_datasets:{name}"
    run = write(tmp_path / "my.run", "1 Q0 d 1 1 t\n2 Q0 d 1 1 t\n")
    mixed = Sources(candidates=str(run), queries=word, corpus=word, qrels=word)
    collection = load(mixed, depth=9)
    assert collection.name == "my"
    assert [t.candidates[0].text for t in collection.topics] == [TEXTS["d"]] * 2
    assert collection.judgments == GRADES


def test_scored_documents_without_scores_are_no_ranking(name: str, tmp_path: Path) -> None:
    """Those of msmarco-passage/trec-dl-2019 are such: its file names pairs and no scores."""
    register(name, tmp_path, run="1\ta\n1\tb\n2\td\n2\tc\n")
    with pytest.raises(DataError, match=r"have no scores, so they are in no order; pass --cand"):
        load(Sources(dataset=f"ir_datasets:{name}"), depth=2)


def test_candidates_are_asked_for_where_there_are_none(name: str, tmp_path: Path) -> None:
    register(name, tmp_path, run=None)
    with pytest.raises(UsageError, match="no candidates: pass --candidates"):
        load(Sources(dataset=f"ir_datasets:{name}"), depth=2)
    with pytest.raises(UsageError, match=f"{name} has no candidates"):
        load(Sources(dataset="demo", candidates=f"ir_datasets:{name}"), depth=2)


class Report(NamedTuple):
    """A document whose text no one has declared."""

    doc_id: str
    findings: str


def test_the_text_is_the_librarys_default_or_the_field_named(name: str, tmp_path: Path) -> None:
    topics = (
        "<top>\n<num> Number: 1\n<title> flea\n<desc> Description:\nWhat lives?\n"
        "<narr> Narrative:\nAll.\n</top>\n"
    )
    queries = formats.TrecQueries(util.LocalDownload(write(tmp_path / "topics.txt", topics)))
    documents = util.LocalDownload(write(tmp_path / "docs.tsv", tsv({"a": "x"})))
    dataset = ir_datasets.Dataset(queries, formats.TsvDocs(documents, doc_cls=Report))
    ir_datasets.registry.register(name, dataset)
    opened = IrDataset(name)
    asked = [opened.queries(field) for field in (None, "description")]
    assert [queries.texts for queries in asked if queries] == [{"1": "flea"}, {"1": "What lives?"}]
    with pytest.raises(DataError, match=r"query 1: field 'words' is missing .*title, description"):
        opened.queries("words")
    corpus = opened.corpus()
    assert corpus is not None
    with pytest.raises(DataError, match=r"whose fields are doc_id, findings; pass --corpus"):
        corpus.texts({"a"})
    assert opened.judgments(None) is None
    assert opened.candidates() is None


def test_an_unknown_id_gets_the_nearest_known() -> None:
    with pytest.raises(UsageError, match="'beir/scifakt'; did you mean beir/scifact"):
        IrDataset("beir/scifakt")


def test_a_refused_download_says_what_to_fetch_and_where_to_put_it(fence: list[str]) -> None:
    with pytest.raises(MissingError) as refused:
        IrDataset("beir/scifact/test").queries(None)
    assert "no answer from https://public.ukp" in str(refused.value)
    assert f"copy its ~/.ir_datasets to {util.home_path()}" in str(refused.value)
    assert fence
    fence.clear()


def test_a_licence_that_must_be_signed_is_named() -> None:
    """Robust04's documents come on disks, after an agreement with NIST."""
    corpus = IrDataset("disks45/nocr/trec-robust-2004").corpus()
    assert corpus is not None
    with pytest.raises(MissingError) as refused:
        corpus.texts({"FBIS3-1"})
    assert "requires agreements to be filed with NIST" in str(refused.value)
    assert str(Path("disks45", "corpus")) in str(refused.value)


def test_a_refusal_is_one_message_without_bars() -> None:
    words = "run --corpus ir_datasets:disks45/nocr/trec-robust-2004 --queries demo --qrels demo"
    command = f"{words} --candidates demo --method first_stage"
    done = subprocess.run(
        [sys.executable, "-m", "e2r", *command.split()], capture_output=True, text=True, check=False
    )
    assert done.returncode == 4
    assert done.stdout == ""
    assert done.stderr.startswith("e2r: ir_datasets:disks45/nocr/trec-robust-2004: is not on this")
    assert done.stderr.count("e2r: ") == 1


def test_malformed_files_are_bad_data(name: str, tmp_path: Path) -> None:
    register(name, tmp_path)
    write(tmp_path / "queries.tsv", "1\ta\tb\n")
    with pytest.raises(DataError, match=f"ir_datasets:{name}: cannot be read .expected 2 fields"):
        IrDataset(name).queries(None)
    write(tmp_path / "qrels.txt", "1 0 a 1\n1 0 a 2\n")
    with pytest.raises(DataError, match="document a has two grades for query 1"):
        IrDataset(name).judgments(None)
