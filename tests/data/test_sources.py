"""Collections are joined from their sources and checked as a whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from e2r.data.sources import Sources, load
from e2r.errors import DataError, UsageError


@pytest.fixture
def beir(tmp_path: Path) -> Path:
    """A BEIR folder with two queries over four documents, and a run over it."""
    folder = tmp_path / "tiny"
    (folder / "qrels").mkdir(parents=True)
    (folder / "corpus.jsonl").write_text(
        "".join(
            f'{{"_id": "{d}", "title": "T{d}", "text": "text of {d}"}}\n'
            for d in ("a", "b", "c", "d")
        )
    )
    (folder / "queries.jsonl").write_text(
        '{"_id": "1", "text": "first query"}\n{"_id": "2", "text": "second"}\n'
    )
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\n1\ta\t2\n2\td\t1\n")
    (folder / "bm25.run").write_text(
        "1 Q0 a 1 3 t\n1 Q0 b 2 2 t\n2 Q0 c 1 5 t\n2 Q0 d 2 4 t\n2 Q0 a 3 3 t\n"
    )
    return folder


def sources(folder: Path, **changes: str | None) -> Sources:
    names: dict[str, str | None] = {
        "dataset": f"beir:{folder}",
        "candidates": str(folder / "bm25.run"),
    }
    return Sources(**{**names, **changes})  # type: ignore[arg-type]


def test_a_run_joins_a_beir_folder(beir: Path) -> None:
    collection = load(sources(beir), depth=2)
    assert collection.name == "tiny"
    assert collection.documents == 4
    assert [t.query.text for t in collection.topics] == ["first query", "second"]
    assert [[c.docid for c in t.candidates] for t in collection.topics] == [["a", "b"], ["c", "d"]]
    assert next(iter(collection.topics)).candidates[0].text == "Ta text of a"
    assert collection.judgments == {"1": {"a": 2}, "2": {"d": 1}}
    assert collection.notes == ("2 of 4 candidates have no judgment and count as grade 0",)


def test_queries_that_the_first_stage_lacks_are_listed(beir: Path) -> None:
    """They score 0: a first stage that finds nothing for a query is no fault of the files."""
    (beir / "bm25.run").write_text("1 Q0 a 1 3 t\n")
    collection = load(sources(beir), depth=2)
    assert [topic.query.qid for topic in collection.topics] == ["1"]
    assert "1 judged queries have no candidates and score 0: 2" in collection.notes


def test_without_judgments_too(beir: Path) -> None:
    (beir / "bm25.run").write_text("1 Q0 a 1 3 t\n")
    parts = {name: str(beir / f"{name}.jsonl") for name in ("queries", "corpus")}
    collection = load(sources(beir, dataset=None, **parts), depth=2)
    assert "1 queries have no candidates and are left out: 2" in collection.notes


def test_depth_and_limit_cut_and_change_the_hash(beir: Path) -> None:
    whole = load(sources(beir), depth=3)
    cut = load(sources(beir), depth=2, limit=1)
    assert [len(t.candidates) for t in whole.topics] == [2, 3]
    assert [t.query.qid for t in cut.topics] == ["1"]
    assert whole.candidates_sha256 != cut.candidates_sha256
    assert whole.candidates_sha256 == load(sources(beir), depth=100).candidates_sha256


@pytest.mark.parametrize(
    ("file", "text", "says"),
    [
        ("bm25.run", "1 Q0 a 1 3 t\n2 Q0 z 1 3 t\n", "document z of query 2 is not in .*corpus"),
        ("bm25.run", "1 Q0 a 1 3 t\n2 Q0 a 1 3 t\n9 Q0 a 1 1 t\n", "query 9 is not in .*queries"),
        (
            "qrels/test.tsv",
            "7\ta\t1\n",
            "beir:.*: none of its 1 queries is in the collection .7.; .*another collection",
        ),
        (
            "corpus.jsonl",
            '{"_id": "a", "text": ""}\n' + "".join(f'{{"_id":"{d}","text":"x"}}\n' for d in "bcd"),
            "corpus.jsonl:1: document a has no text",
        ),
        ("corpus.jsonl", '{"_id": "a", "text": "x"}\n' * 2, "corpus.jsonl:2: document a .* twice"),
    ],
)
def test_parts_that_do_not_fit_are_refused(beir: Path, file: str, text: str, says: str) -> None:
    (beir / file).write_text(text)
    with pytest.raises(DataError, match=says):
        load(sources(beir), depth=10)


def test_queries_of_another_split_need_no_candidates(beir: Path) -> None:
    with (beir / "queries.jsonl").open("a") as stream:
        stream.write('{"_id": "train-1", "text": "of the training split"}\n')
    assert len(load(sources(beir), depth=10).topics) == 2


@pytest.mark.parametrize(("limit", "queries"), [(None, 2), (1, 1)])
def test_each_reading_is_told(beir: Path, limit: int | None, queries: int) -> None:
    """The last of them knows how many queries there are, cut or not."""
    heard: list[tuple[str, int, int | None]] = []
    load(sources(beir), 2, limit, working=lambda *told: heard.append(told))
    assert heard == [
        *(("queries read of bm25.run", done, None) for done in range(2)),
        *(("documents read of corpus.jsonl", done, None) for done in range(4)),
        *(("queries checked with their texts", done, queries) for done in range(queries)),
    ]


def test_a_part_is_chosen_unless_a_file_is_called_just_so(beir: Path) -> None:
    (beir / "qrels" / "dev.tsv").write_text("1\tb\t1\n")
    chosen = load(sources(beir, qrels=f"beir:{beir}#dev"), depth=2)
    assert chosen.judgments == {"1": {"b": 1}}
    odd = beir / "queries#old.tsv"
    odd.write_text("1\told\n2\tolder\n")
    collection = load(sources(beir, queries=str(odd)), depth=2)
    assert [topic.query.text for topic in collection.topics] == ["old", "older"]


def test_words_that_are_not_sources_are_refused(beir: Path) -> None:
    with pytest.raises(UsageError, match="unknown source 'msmarco'; known: beir:FOLDER, demo"):
        load(sources(beir, dataset="msmarco"), depth=10)
    with pytest.raises(DataError, match="no such folder"):
        load(sources(beir, dataset="beir:nowhere"), depth=10)
    with pytest.raises(UsageError, match="no candidates"):
        load(sources(beir, candidates=None), depth=10)
    with pytest.raises(UsageError, match="holds no texts"):
        load(sources(beir, dataset=None), depth=10)


def test_a_real_collection_from_requests(shared_data: Path) -> None:
    """TREC DL 2019: 43 queries of 100 candidates, all judged queries among them."""
    folder = shared_data / "trec-dl-2019"
    collection = load(
        Sources(candidates=str(folder / "bm25-top100.jsonl"), qrels=str(folder / "qrels.txt")),
        depth=20,
    )
    assert collection.name == "bm25-top100"
    assert [len(topic.candidates) for topic in collection.topics] == [20] * 43
    assert collection.judgments is not None
    assert len(collection.judgments) == 43
