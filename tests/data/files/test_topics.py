"""Queries and documents are read from every common file format, and mean the same in each."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from e2r.data.files.corpus import FileCorpus
from e2r.data.files.topics import read_queries
from e2r.errors import DataError

ROBUST = """
<top>

<num> Number: 301
<title> International Organized Crime

<desc> Description:
Identify organizations that participate in international criminal
activity, the activity, and, if possible, AT&T.

<narr> Narrative:
A relevant document must as a minimum identify the organization.

</top>

<top>
<num> Number: 302
<title> Poliomyelitis and Post-Polio
<desc> Description:
Is the disease of Poliomyelitis (polio) under control in the world?
<narr> Narrative:
Relevant.
</top>
"""
CLOSED = "<TOP><NUM>301</NUM><TITLE>International Organized Crime</TITLE></TOP>" + (
    "<top><num>302</num><title>Poliomyelitis and Post-Polio</title></top>\n"
)
COVID = """<?xml version="1.0" encoding="UTF-8"?>
<topics>
  <topic number="1">
    <query>coronavirus &amp; origin</query>
    <question>what is the origin of <i>COVID-19</i></question>
    <narrative>seeking range of information</narrative>
  </topic>
  <topic number="2"><query>response to weather</query></topic>
</topics>
"""


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return path


@pytest.mark.parametrize("name", ["topics.txt", "topics.txt.gz"])
def test_nist_topics_give_their_titles(tmp_path: Path, name: str) -> None:
    titles = {"301": "International Organized Crime", "302": "Poliomyelitis and Post-Polio"}
    assert read_queries(write(tmp_path, name, ROBUST)) == titles
    assert read_queries(write(tmp_path, name, CLOSED)) == titles


def test_marks_of_sgml_are_read_and_bare_ones_kept(tmp_path: Path) -> None:
    topics = "<top>\n<num> 1\n<title> AT&amp;T &lt;or&gt; AT&T\n</top>\n"
    assert read_queries(write(tmp_path, "topics.txt", topics)) == {"1": "AT&T <or> AT&T"}


def test_a_field_of_a_topic_can_be_chosen(tmp_path: Path) -> None:
    path = write(tmp_path, "topics.txt", ROBUST)
    described = read_queries(path, "desc")
    assert described == read_queries(path, "description")
    assert described["301"].endswith("activity, the activity, and, if possible, AT&T.")
    assert "\n" not in described["301"]
    with pytest.raises(DataError, match=r"txt:2: topic 301: field 'summary' is missing .*narrat"):
        read_queries(path, "summary")


def test_xml_topics_give_their_queries(tmp_path: Path) -> None:
    path = write(tmp_path, "topics.xml", COVID)
    assert read_queries(path) == {"1": "coronavirus & origin", "2": "response to weather"}
    with pytest.raises(DataError, match=r"xml:8: topic 2: field 'question' is missing"):
        read_queries(path, "question")
    bare = '<topic number="1"><query>a</query></topic>\n<topic number="2"><query>b</query></topic>'
    assert read_queries(write(tmp_path, "bare.xml", bare)) == {"1": "a", "2": "b"}


def test_lines_of_queries_are_read(tmp_path: Path) -> None:
    assert read_queries(write(tmp_path, "q.tsv.gz", "1\ta b\n2\tc\td\n")) == {
        "1": "a b",
        "2": "c\td",
    }
    nested = '{"qid": 7, "query": "a", "metadata": {"narrative": "long"}}\n'
    path = write(tmp_path, "q.jsonl", nested)
    assert read_queries(path) == {"7": "a"}
    assert read_queries(path, "metadata.narrative") == {"7": "long"}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("<top>\n<num> 1\n<title> a\n", r"x:1: the topic that begins here has no </top>"),
        ("<top>\n<num> 1\n<top>\n</top>\n", r"x:1: the topic that begins here has no </top>"),
        ("<top>\n<title> a\n</top>\n", r"x:1: topic: field 'num' is missing"),
        ("<top>\n<num> 1\n<title>\n</top>\n", r"x:1: query 1 has no text"),
        (ROBUST + ROBUST, r"x:\d+: query 301 is there twice"),
        ("<topics>\n<topic number='1'>\n</topics>", r"x:3: not well-formed XML \(mismatched tag"),
        ("<topics>\n</topics>", r"x: no topic in it"),
        ("1 a b\n", r"x:1: a line of queries is a JSON object or qid<TAB>text"),
    ],
)
def test_bad_topics_are_refused_with_the_line(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(DataError, match=says):
        read_queries(write(tmp_path, "x", text))


def test_columns_have_no_fields(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no field 'title'"):
        read_queries(write(tmp_path, "q.tsv", "1\ta\n"), "title")


@given(content=st.text(st.sampled_from('<>/topnumie1?x="&;: \n'), max_size=120))
@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_marks_give_queries_or_a_data_error(tmp_path: Path, content: str) -> None:
    path = write(tmp_path, "any", "<top" + content)
    queries = None
    refusal = ""
    try:
        queries = read_queries(path)
    except DataError as error:
        refusal = str(error)
    assert queries or str(path) in refusal


@pytest.mark.parametrize(
    "line",
    [
        '{"_id": "1", "title": "T", "text": "a"}',
        '{"id": 1, "contents": "T a"}',
        '{"docid": "1", "passage": "T a"}',
        '{"doc_id": "1", "body": "T a", "title": ""}',
        "1\tT a",
    ],
)
@pytest.mark.parametrize("name", ["corpus.jsonl", "corpus.tsv.gz"])
def test_a_document_is_the_same_from_every_format(tmp_path: Path, line: str, name: str) -> None:
    corpus = FileCorpus(write(tmp_path, name, line + "\n"))
    assert corpus.texts({"1", "2"}) == ({"1": "T a"}, 1)
    assert list(corpus.documents()) == [("1", "T a")]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("1\ta\n2 b\n", r"x:2: a line of a corpus .* has 1 columns"),
        ("1\ta\tb\n", r"x:1: .* has 3 columns"),
        ("1\ta\n1\tb\n", r"x:2: document 1 is there twice"),
        ("1\t \n", r"x:1: document 1 has no text"),
        ("a b\tc\n", r"x:1: docid 'a b' cannot stand"),
        ('{"_id": "1", "title": "only"}\n', r"x:1: document 1: field 'text' is missing"),
        ("", "x: no document in it"),
    ],
)
def test_bad_documents_are_refused_with_the_line(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(DataError, match=says):
        FileCorpus(write(tmp_path, "x", text)).texts({"1"})
