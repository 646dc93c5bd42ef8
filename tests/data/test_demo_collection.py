"""States what the demo collection promises: its size, its judgments and how hard it is for BM25."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from itertools import combinations, pairwise
from pathlib import Path

import ir_measures
import pytest
from ir_measures import Judged, R, nDCG

DEMO = Path(__file__).resolve().parents[2] / "e2r" / "data" / "demo"
HEADER = "query-id\tcorpus-id\tscore"
FUNCTION_WORDS = {
    "does", "during", "first", "from", "have", "into", "should", "some", "that", "what", "when",
    "with", "your",
}  # fmt: skip


def read_jsonl(name: str) -> list[dict[str, str]]:
    return [json.loads(line) for line in (DEMO / name).read_text("utf-8").splitlines()]


def stems(text: str) -> set[str]:
    words = re.findall(r"[a-z]{4,}", text.lower())
    return {word[:5].rstrip("s") for word in words if word not in FUNCTION_WORDS}


def shingles(text: str) -> set[tuple[str, ...]]:
    words = text.lower().split()
    return {tuple(words[i : i + 4]) for i in range(len(words) - 3)}


@pytest.fixture(scope="module")
def corpus() -> list[dict[str, str]]:
    return read_jsonl("corpus.jsonl")


@pytest.fixture(scope="module")
def queries() -> list[dict[str, str]]:
    return read_jsonl("queries.jsonl")


@pytest.fixture(scope="module")
def qrels() -> list[ir_measures.Qrel]:
    header, *rows = (DEMO / "qrels" / "test.tsv").read_text("utf-8").splitlines()
    assert header == HEADER
    fields = [row.split("\t") for row in rows]
    return [ir_measures.Qrel(qid, docid, int(grade)) for qid, docid, grade in fields]


@pytest.fixture(scope="module")
def grades(qrels: list[ir_measures.Qrel]) -> dict[str, dict[str, int]]:
    by_query: dict[str, dict[str, int]] = defaultdict(dict)
    for qrel in qrels:
        by_query[qrel.query_id][qrel.doc_id] = qrel.relevance
    return by_query


@pytest.fixture(scope="module")
def run_rows() -> dict[str, list[list[str]]]:
    by_query: dict[str, list[list[str]]] = defaultdict(list)
    for line in (DEMO / "bm25.run").read_text("utf-8").splitlines():
        row = line.split(" ")
        by_query[row[0]].append(row)
    return by_query


def readme_value(name: str) -> str:
    found = re.search(rf"^\| {re.escape(name)} \| (.+) \|$", (DEMO / "README.md").read_text(), re.M)
    assert found, name
    return found[1]


def test_fields_are_those_of_beir(
    corpus: list[dict[str, str]], queries: list[dict[str, str]]
) -> None:
    assert all(list(passage) == ["_id", "title", "text"] for passage in corpus)
    assert all(list(query) == ["_id", "text"] for query in queries)
    assert all(value == value.strip() != "" for row in corpus + queries for value in row.values())


def test_sizes(corpus: list[dict[str, str]], queries: list[dict[str, str]]) -> None:
    assert 28 <= len(queries) <= 32
    assert 260 <= len(corpus) <= 320


def test_passages_keep_to_the_word_limits(corpus: list[dict[str, str]]) -> None:
    lengths = {passage["_id"]: len(passage["text"].split()) for passage in corpus}
    assert {docid: n for docid, n in lengths.items() if not 40 <= n <= 90} == {}
    assert max(len(passage["title"].split()) for passage in corpus) <= 12


def test_ids_and_texts_are_unique(
    corpus: list[dict[str, str]], queries: list[dict[str, str]]
) -> None:
    for rows, field in [(corpus, "_id"), (corpus, "title"), (corpus, "text")]:
        assert len({row[field] for row in rows}) == len(corpus)
    for field in ("_id", "text"):
        assert len({row[field] for row in queries}) == len(queries)


def test_no_two_passages_are_near_copies(corpus: list[dict[str, str]]) -> None:
    sets = [(passage["_id"], shingles(passage["text"])) for passage in corpus]
    shared = [
        (a, b) for (a, x), (b, y) in combinations(sets, 2) if len(x & y) > 0.1 * min(len(x), len(y))
    ]
    assert shared == []


def test_every_judgment_is_of_a_known_query_and_passage(
    corpus: list[dict[str, str]],
    queries: list[dict[str, str]],
    qrels: list[ir_measures.Qrel],
) -> None:
    assert {qrel.query_id for qrel in qrels} == {query["_id"] for query in queries}
    assert {qrel.doc_id for qrel in qrels} == {passage["_id"] for passage in corpus}
    assert len({(qrel.query_id, qrel.doc_id) for qrel in qrels}) == len(qrels)


def test_every_query_is_judged_in_grades(grades: dict[str, dict[str, int]]) -> None:
    for qid, judged in grades.items():
        values = list(judged.values())
        assert set(values) <= {0, 1, 2, 3}, qid
        assert len(values) >= 9, qid
        assert values.count(3) >= 1, qid
        assert sum(value >= 1 for value in values) >= 3, qid


def test_every_query_has_traps_that_share_its_words(
    corpus: list[dict[str, str]],
    queries: list[dict[str, str]],
    grades: dict[str, dict[str, int]],
) -> None:
    words = {passage["_id"]: stems(f"{passage['title']} {passage['text']}") for passage in corpus}
    for query in queries:
        wanted = stems(query["text"])
        judged_zero = [docid for docid, grade in grades[query["_id"]].items() if grade == 0]
        assert sum(bool(words[docid] & wanted) for docid in judged_zero) >= 3, query["text"]


def test_run_is_a_trec_run_of_twenty_passages_for_every_query(
    corpus: list[dict[str, str]],
    queries: list[dict[str, str]],
    run_rows: dict[str, list[list[str]]],
) -> None:
    known = {passage["_id"] for passage in corpus}
    assert set(run_rows) == {query["_id"] for query in queries}
    for qid, rows in run_rows.items():
        docids = [row[2] for row in rows]
        scores = [float(row[4]) for row in rows]
        assert {(len(row), row[1], row[5]) for row in rows} == {(6, "Q0", "bm25-pyserini")}, qid
        assert [int(row[3]) for row in rows] == list(range(1, 21)), qid
        assert len(set(docids)) == 20, qid
        assert set(docids) <= known, qid
        assert all(above > below for above, below in pairwise(scores)), qid


def test_bm25_leaves_room_and_the_readme_says_how_much(qrels: list[ir_measures.Qrel]) -> None:
    run = list(ir_measures.read_trec_run(str(DEMO / "bm25.run")))
    measures = [nDCG @ 10, nDCG @ 20, R @ 10, R @ 20, Judged @ 10]
    values = ir_measures.calc_aggregate(measures, qrels, run)
    assert 0.5 <= values[nDCG @ 10] <= 0.75
    assert f"{values[nDCG @ 10]:.4f}" == "0.6348"
    for measure in measures[:4]:
        assert readme_value(str(measure)) == f"{values[measure]:.4f}"
    assert values[Judged @ 10] == 1.0


def test_a_perfect_reranking_gains_what_the_readme_says(
    qrels: list[ir_measures.Qrel],
    grades: dict[str, dict[str, int]],
    run_rows: dict[str, list[list[str]]],
) -> None:
    for depth in (10, 20):
        perfect = [
            ir_measures.ScoredDoc(qid, row[2], float(grades[qid].get(row[2], 0)))
            for qid, rows in run_rows.items()
            for row in rows[:depth]
        ]
        value = ir_measures.calc_aggregate([nDCG @ 10], qrels, perfect)[nDCG @ 10]
        stated = readme_value(f"nDCG@10, BM25's top {depth} in perfect order")
        assert stated == f"{value:.4f}"


def test_traps_outrank_relevant_passages_for_most_queries(
    grades: dict[str, dict[str, int]], run_rows: dict[str, list[list[str]]]
) -> None:
    misordered = 0
    for qid, rows in run_rows.items():
        top = [grades[qid][row[2]] for row in rows[:10]]
        misordered += any(above == 0 < below for above, below in combinations(top, 2))
    assert misordered >= 0.9 * len(run_rows)


def test_readme_figures_are_those_of_the_files(
    corpus: list[dict[str, str]],
    queries: list[dict[str, str]],
    qrels: list[ir_measures.Qrel],
    grades: dict[str, dict[str, int]],
) -> None:
    lengths = [len(passage["text"].split()) for passage in corpus]
    counts = [len(judged) for judged in grades.values()]
    graded = [sum(qrel.relevance == grade for qrel in qrels) for grade in (3, 2, 1, 0)]
    mean = sum(lengths) / len(lengths)
    assert readme_value("queries") == str(len(queries))
    assert readme_value("passages") == str(len(corpus))
    assert readme_value("words in a passage's text, least / mean / most") == (
        f"{min(lengths)} / {mean:.1f} / {max(lengths)}"
    )
    assert readme_value("judgments") == str(len(qrels))
    assert readme_value("judged 3 / 2 / 1 / 0") == " / ".join(map(str, graded))
    assert (
        readme_value("judgments for each query, least / most") == f"{min(counts)} / {max(counts)}"
    )


def test_collection_is_dedicated_to_the_public_domain() -> None:
    assert "SPDX-License-Identifier: CC0-1.0" in (DEMO / "LICENSE").read_text("utf-8")
