"""Whatever the bytes, a reader gives data or a DataError; validation and reading agree."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from e2r.data.files.corpus import FileCorpus
from e2r.data.files.qrels import read_qrels
from e2r.data.files.rank_llm import read_requests
from e2r.data.files.run_index import RunIndex
from e2r.data.files.topics import read_queries
from e2r.data.files.trec import read_run
from e2r.data.findings import Report
from e2r.data.validate import CHECKS, check, kind_of
from e2r.errors import DataError

REQUEST = {
    "query": {"qid": "q", "text": "what"},
    "candidates": [{"docid": d, "score": 1.5, "doc": {"title": "T", "text": d}} for d in "ab"],
}
SEEDS = {
    "TREC run": b"q Q0 a 1 2.0 t\nq Q0 b 2 1e-3 t\n# note\np\tQ0\tc\t1\t-1\tt\n",
    "TREC judgments": b"q 0 a 2\nq 0 b 0\np 0 c -1\n",
    "BEIR judgments": b"query-id\tcorpus-id\tscore\nq\ta\t2\n",
    "rank_llm requests": json.dumps(REQUEST).encode() + b"\n",
    "documents": b'{"_id": "a", "title": "T", "text": "x \\u00e9"}\n{"_id": "b", "text": "y"}\n',
    "queries": b'{"qid": 1, "query": "what"}\n{"qid": 2, "query": "who"}\n',
    "TREC topics": b"<top>\n<num> Number: 1\n<title> what\n</top>\n",
}
READERS = {
    "TREC run": lambda path: (read_run(path), RunIndex(path)),
    "TREC judgments": read_qrels,
    "BEIR judgments": read_qrels,
    "rank_llm requests": lambda path: list(read_requests(path)),
    "documents": lambda path: FileCorpus(path).lookup(),
    "queries": read_queries,
    "TREC topics": read_queries,
}
# What breaks readers: marks of the formats, digits, control and non-characters, halves of UTF-8.
PIECES = st.sampled_from(
    [b"\0", b"\xff", b"\xc3", b"\n", b"\r\n", b"\r", b"\t", b" ", b"{", b"}", b"[", b'"', b"\\",
     b"\\ud800", b"#", b"nan", b"1e999", b"-", b"9" * 30, b"null", b"\xef\xbb\xbf", b"\xc2\x85",
     b"\xe2\x80\xa8", b"\xc2\xa0", b"<", b"</top>", b"<top>", b":", b",", b"[" * 2000]
)  # fmt: skip


@st.composite
def mutated(draw: st.DrawFn) -> tuple[str, bytes]:
    """A well-made file with some pieces cut out, put in, or doubled."""
    kind = draw(st.sampled_from(sorted(SEEDS)))
    content = SEEDS[kind] * draw(st.integers(1, 2))
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(content)))
        stop = draw(st.integers(start, min(start + 8, len(content))))
        content = content[:start] + draw(PIECES | st.just(b"")) + content[stop:]
    return kind, content


ANYWHERE = settings(
    max_examples=500, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@given(mutated(), st.booleans())
@example(("queries", b'{"qid": 1, "query": "a"}\n{"qid": 1, "query": "b"}'), False)
@ANYWHERE
def test_validation_finds_an_error_where_reading_does(
    tmp_path: Path, made: tuple[str, bytes], zipped: bool
) -> None:
    """And nothing but a DataError ever comes out of either."""
    kind, content = made
    path = tmp_path / ("any.gz" if zipped else "any")
    path.write_bytes(gzip.compress(content) if zipped else content)
    report = Report()
    check(kind, path, report.hear)
    refusal = None
    try:
        READERS[kind](path)
    except DataError as error:
        refusal = str(error)
    assert bool(report.errors) == (refusal is not None), (report.errors, refusal)
    assert refusal is None or str(path) in refusal
    assert all(finding.file == str(path) for finding in report.errors)


@given(st.binary(max_size=400) | mutated().map(lambda made: made[1]), st.booleans())
@ANYWHERE
def test_any_bytes_are_of_a_known_kind_or_none(
    tmp_path: Path, content: bytes, broken_gzip: bool
) -> None:
    path = tmp_path / ("any.gz" if broken_gzip else "any")
    path.write_bytes(content)
    kind = kind_of(path)
    assert kind is None or kind in CHECKS
    for name in CHECKS if kind is None else [kind]:
        if name != "BEIR folder":
            check(name, path, Report().hear)


@pytest.mark.parametrize("kind", sorted(SEEDS))
def test_the_kind_is_told_by_the_content(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "any"
    path.write_bytes(SEEDS[kind])
    assert kind_of(path) == kind


def test_a_truncated_gzip_is_an_error_wherever_it_is_cut(tmp_path: Path) -> None:
    whole = gzip.compress(SEEDS["TREC run"] * 3)
    path = tmp_path / "cut.gz"
    for end in range(1, len(whole)):
        path.write_bytes(whole[:end])
        with pytest.raises(DataError):
            RunIndex(path)
        with pytest.raises(DataError):
            list(read_requests(path))
