"""The kind of a file is what its readers take it for, whatever its first line looks like."""

from __future__ import annotations

from pathlib import Path

import pytest

from e2r.data.files.qrels import read_qrels
from e2r.data.files.topics import read_queries
from e2r.data.validate import kind_of
from e2r.errors import DataError

QUERIES = {
    "six words": "17\thow tall is mount fuji\n18\twho painted it\n",
    "four words, the last a number": "17\tolympics host 1996\n18\twho painted it\n",
    "three words, the last a number": "17\tapollo 11\n18\twho painted it\n",
    "a tab in the text": "17\tone cell of\tthis query is tabbed\n",
    "titles": '{"id": "17", "title": "how tall is mount fuji"}\n',
    "titles and bodies": '{"_id": "17", "query": "how tall", "text": "narrative"}\n',
    "attributes": '<top lang="en">\n<num> 17\n<title> how tall\n</top>\n',
    "topics in capitals": "<TOP>\n<NUM> 17\n<TITLE> how tall\n</TOP>\n",
}


@pytest.mark.parametrize("content", QUERIES.values(), ids=QUERIES)
def test_what_is_read_as_queries_is_called_queries(tmp_path: Path, content: str) -> None:
    path = tmp_path / "file"
    path.write_text(content)
    assert "17" in read_queries(path)
    assert kind_of(path) in ("queries", "documents or queries", "TREC topics")


OTHERS = {
    "TREC run": "1 Q0 a 1 2.5 x\n1 Q0 b 2\n1 Q0 c 3 1 x\n",
    "TREC judgments": "1\t0\td1\t1\n1\t0\td2\t0\n",
    "BEIR judgments": "1\td1\t1\n2\td1\t0\n",
    "documents": '{"_id": "d1", "title": "a", "text": "b"}\n',
    "rank_llm requests": '{"query": {"text": "a", "qid": "1"}, "candidates": []}\n',
}


@pytest.mark.parametrize("kind", OTHERS)
def test_other_kinds(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "file"
    path.write_text(OTHERS[kind])
    assert kind_of(path) == kind


def test_tabs_part_judgments_and_no_space_does(tmp_path: Path) -> None:
    """Parted at the space, `doc 7` would be the iteration doc and the document 7."""
    path = tmp_path / "qrels.tsv"
    path.write_text("q1\tdoc 7\t1\n")
    with pytest.raises(DataError, match=r"qrels\.tsv:1: id 'doc 7' cannot stand in a TREC run"):
        read_qrels(path)
    path.write_text("q1\t0\td7 \t1\nq1 0 d8 2\n")
    assert read_qrels(path) == {"q1": {"d7": 1, "d8": 2}}
