"""Readers give data, or one DataError that says where and what."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from e2r.data.collection import CandidateList
from e2r.data.files.corpus import FileCorpus
from e2r.data.files.qrels import read_qrels
from e2r.data.files.rank_llm import read_requests
from e2r.data.files.run_index import RunIndex
from e2r.data.files.topics import read_queries
from e2r.data.files.trec import read_run
from e2r.data.findings import Finding
from e2r.errors import DataError


def requests(path: Path) -> list[CandidateList]:
    return list(read_requests(path))


READERS = [
    read_run,
    read_qrels,
    requests,
    read_queries,
    RunIndex,
    lambda path: FileCorpus(path).texts({"d"}),
]


def write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def request(**changes: Any) -> str:
    row: dict[str, Any] = {
        "query": {"qid": "q", "text": "what"},
        "candidates": [
            {"docid": "a", "score": 2.0, "doc": {"title": "T", "contents": "text a"}},
            {"docid": 7, "score": 1, "doc": {"text": "text b"}},
        ],
    }
    return json.dumps({**row, **changes}) + "\n"


def test_a_run_is_ordered_by_score_and_ties_by_rank(tmp_path: Path) -> None:
    path = write(
        tmp_path, "x.run", "# ir_metadata\nq Q0 a 3 1.0 t\r\nq Q0 b 2 1.0 t\nq Q0 c 1 5 t\n"
    )
    assert read_run(path) == {"q": [("c", 5.0), ("b", 1.0), ("a", 1.0)]}
    zipped = write(tmp_path, "x.run.gz", gzip.compress(path.read_bytes()))
    assert read_run(zipped) == read_run(path)


def test_judgments_are_read_from_trec_and_beir(tmp_path: Path) -> None:
    trec = write(tmp_path, "qrels.txt", "q 0 a 2\nq 0 b 0\n")
    beir = write(tmp_path, "test.tsv", "query-id\tcorpus-id\tscore\nq\ta\t2\nq\tb\t0\n")
    assert read_qrels(trec) == read_qrels(beir) == {"q": {"a": 2, "b": 0}}


def test_requests_join_title_and_text(tmp_path: Path) -> None:
    [topic] = requests(write(tmp_path, "r.jsonl", request()))
    assert [(c.docid, c.text, c.score) for c in topic.candidates] == [
        ("a", "T text a", 2.0),
        ("7", "text b", 1.0),
    ]


def test_requests_are_ordered_by_score(tmp_path: Path) -> None:
    rows = [{"docid": d, "score": s, "doc": {"text": d}} for d, s in (("a", 1), ("b", 2), ("c", 1))]
    path = write(tmp_path, "r.jsonl.gz", gzip.compress(request(candidates=rows).encode()))
    [topic] = requests(path)
    assert [candidate.docid for candidate in topic.candidates] == ["b", "a", "c"]


@pytest.mark.parametrize(
    ("reader", "content", "says"),
    [
        (read_run, "q Q0 a 1 1.0 t\nq Q0 b 2\n", r"x:2: a run line has 6 fields .*has 4"),
        (read_run, "q Q0 a 1 high t\n", r"x:1: .*score 'high' must be numbers"),
        (read_run, "q Q0 a 1 nan t\n", r"x:1: score 'nan' is not finite"),
        (read_run, "q Q0 a 1 2 t\nq Q0 a 2 1 t\n", r"x:2: document a is twice in query q"),
        (read_run, "", r"x: no run line"),
        (read_run, "q Q0 a 1 1_0.5 t\n", r"x:1: rank '1' and score '1_0.5' must be numbers"),
        (read_run, "q Q0 a \u0661 1.5 t\n", r"x:1: rank '\u0661' and score '1.5' must be numbers"),
        (read_run, b"q Q0 a\xff 1 1.0 t\n", r"x:1: not UTF-8"),
        (read_run, b"q Q0 a\0 1 1.0 t\n", r"x:1: a NUL"),
        (read_qrels, "q 0 a\nq 0 a 1 2 3\n", r"x:1: grade 'a' is not an integer"),
        (read_qrels, "q 0 a 1\nq 0 b 2147483648\n", r"x:2: grade 2147483648 is out of any scale"),
        (read_qrels, "q 0 a 100001\n", r"x:1: grade 100001 is out of any scale"),
        (read_qrels, "q 0 a 1_0\n", r"x:1: grade '1_0' is not an integer"),
        (read_qrels, "q 0 a \u0661\n", r"x:1: grade '\u0661' is not an integer"),
        (read_qrels, "q 0 a 1 2\n", r"x:1: a judgment has 4 fields"),
        (read_qrels, "q 0 a 1\nq 0 a 2\n", r"x:2: document a has two grades"),
        (read_qrels, "query-id corpus-id score\n", r"x: no judgment"),
        (requests, "{", r"x:1: not valid JSON"),
        (requests, "[]", r"x:1: a JSON object is wanted"),
        (requests, request(query="what"), r"x:1: field 'query' must be an object"),
        (requests, request(query={"qid": "q", "text": " "}), r"x:1: query q has no text"),
        (requests, request(candidates=[]), r"x:1: query q has no candidates"),
        (requests, request() + request(), r"x:2: query q is there twice"),
        (
            requests,
            request(candidates=[{"docid": "a", "score": 1, "doc": {"text": ""}}]),
            r"candidate 1: document a has no text",
        ),
        (
            requests,
            request(candidates=[{"docid": "a", "score": 1, "doc": {"text": "x"}}] * 2),
            r"x:1: document a is twice in query q",
        ),
        (
            requests,
            request(candidates=[{"docid": "a", "score": None, "doc": {"text": "x"}}]),
            r"'score' of document a must be a finite number",
        ),
        (read_queries, '{"_id": "1"}\n', r"x:1: query 1: field 'text' or .* is missing"),
        (read_queries, '{"_id": "1", "text": "a"}\n' * 2, r"x:2: query 1 is there twice"),
        (read_queries, "\n", r"x: no query"),
        (read_queries, '{"_id": "a b", "text": "x"}\n', r"x:1: _id 'a b' cannot stand in a TREC"),
        (read_queries, '{"_id": "#a", "text": "x"}\n', r"x:1: _id '#a' cannot stand"),
        (read_queries, '{"_id": "", "text": "x"}\n', r"x:1: _id '' cannot stand"),
        (read_queries, '{"_id": "a\u00a0b", "text": "x"}\n', r"x:1: _id .* cannot stand"),
        (read_queries, '{"_id": "a", "text": "\\ud83d"}\n', r"x:1: half of a surrogate pair"),
        (read_queries, '{"_id": ' + "1" * 5000 + "}\n", r"x:1: not valid JSON"),
        (
            requests,
            request(candidates=[{"docid": "a", "score": 10**400, "doc": {"text": "x"}}]),
            r"'score' of document a must be a finite number",
        ),
    ],
)
def test_bad_files_are_refused_with_the_line(
    tmp_path: Path, reader: Any, content: str | bytes, says: str
) -> None:
    with pytest.raises(DataError, match=says):
        reader(write(tmp_path, "x", content))


def test_files_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        read_run(tmp_path / "missing.run")
    with pytest.raises(DataError, match="cannot be read"):
        read_run(tmp_path)
    whole = gzip.compress(b"q Q0 a 1 1.0 t\n" * 1000)
    with pytest.raises(DataError, match="gzip is broken"):
        read_run(write(tmp_path, "cut.gz", whole[: len(whole) // 2]))
    with pytest.raises(DataError, match="gzip is broken"):
        read_run(write(tmp_path, "not.gz", b"plain"))


def test_a_byte_order_mark_is_dropped(tmp_path: Path) -> None:
    path = write(tmp_path, "bom.tsv", b"\xef\xbb\xbfquery-id\tcorpus-id\tscore\r\nq\ta\t1\r\n")
    assert read_qrels(path) == {"q": {"a": 1}}


@given(content=st.binary(max_size=300), reader=st.sampled_from(READERS), zipped=st.booleans())
@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_bytes_give_data_or_a_data_error(
    tmp_path: Path, content: bytes, reader: Any, zipped: bool
) -> None:
    path = write(tmp_path, "any.gz" if zipped else "any", content)
    refusal = None
    data = None
    try:
        data = reader(path)
    except DataError as error:
        refusal = str(error)
    assert data or str(path) in str(refusal)


FIELDS = st.sampled_from(["q1", "q2", "0", "1", "-2", "a", "b", "", " a", "x y", "1.5", "query-id"])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(FIELDS, min_size=3, max_size=4), min_size=1), st.sampled_from("\t "))
def test_judgments_read_in_blocks_are_those_read_line_by_line(
    tmp_path: Path, rows: list[list[str]], separator: str
) -> None:
    """A comment makes the reader look at each line by itself."""
    text = "".join(separator.join(row) + "\n" for row in rows)

    def read(name: str, content: str) -> tuple[object, list[str]]:
        path, told = tmp_path / name, list[Finding]()
        path.write_text(content)
        return read_qrels(path, told.append), [f"{each.line}: {each.message}" for each in told]

    assert read("x", text) == read("x", f"{text}# done\n")
