"""`e2r validate` finds everything that is wrong in a file, says where, and exits with 3."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from e2r.cli import main
from tests.small_collection import write_collection


def validate(capsys: pytest.CaptureFixture[str], *words: str | Path) -> tuple[int, dict[str, Any]]:
    with pytest.raises(SystemExit) as ended:
        main(["validate", *map(str, words), "--json"])
    assert isinstance(ended.value.code, int)
    return ended.value.code, json.loads(capsys.readouterr().out)


def request(qid: str = "q", text: str = "what", **changes: Any) -> str:
    candidates = [
        {"docid": d, "score": s, "doc": {"text": f"text {d}"}} for d, s in (("a", 2), ("b", 1))
    ]
    return (
        json.dumps({"query": {"qid": qid, "text": text}, "candidates": candidates, **changes})
        + "\n"
    )


def one(**changes: Any) -> list[dict[str, Any]]:
    return [{"docid": "a", "score": 1.0, "doc": {"text": "x"}, **changes}]


RUN = "q Q0 a 1 2.0 t\n"
# Without the time: processes that share the tests must name them alike.
CUT = gzip.compress(b"x" * 99, mtime=0)[:-9]
WRONG: list[tuple[str, str, str | bytes, int | None, str | None, str]] = [
    ("run", "TREC run", RUN * 2, 2, "docid", "document a is twice"),
    ("run", "TREC run", RUN + "q Q0 b 2\n", 2, None, "has 4"),
    ("run", "TREC run", RUN + "q Q0 b 2 nan t\n", 2, "score", "not finite"),
    ("run", "TREC run", RUN + "q Q0 b two 1 t\n", 2, "rank", "must be numbers"),
    ("run", "TREC run", RUN.encode() + b"q Q0 \xff 2 1 t\n", 2, None, "not UTF-8"),
    ("run", "TREC run", RUN.encode() + b"q Q0 \0 2 1 t\n", 2, None, "NUL"),
    ("qrels", "TREC judgments", "q 0 a 1\nq 0 a 2\n", 2, "grade", "two grades"),
    ("qrels", "TREC judgments", "q 0 a 1\nq 0 b x\n", 2, "grade", "not an integer"),
    ("r.jsonl", "rank_llm requests", request() * 2, 2, "query.qid", "query q is there twice"),
    ("r.jsonl", "rank_llm requests", request(text=" "), 1, "query.text", "has no text"),
    ("r.jsonl", "rank_llm requests", request(candidates=[]), 1, "candidates", "no candidates"),
    (
        "r.jsonl",
        "rank_llm requests",
        request(candidates=one() * 2),
        1,
        "candidates.docid",
        "document a is twice in query q",
    ),
    (
        "r.jsonl",
        "rank_llm requests",
        request(candidates=one(doc={})),
        1,
        "candidates[0]",
        "document a has no text",
    ),
    ("r.jsonl", "rank_llm requests", request() + "{", 2, None, "not valid JSON"),
    ("d.jsonl", "documents or queries", '{"_id": "1", "text": "a"}\n' * 2, 2, None, "there twice"),
    ("d.jsonl", "documents", '{"_id": "a b", "title": "", "text": ""}\n', 1, None, "cannot stand"),
    ("q.jsonl", "queries", '{"qid": "1", "query": " "}\n', 1, None, "query 1 has no text"),
    ("empty", "nothing known", "", None, None, "empty"),
    ("notes.md", "nothing known", "some words\n", None, None, "not recognised"),
    ("cut.run.gz", "nothing known", CUT, None, None, "gzip is broken"),
    ("s.toml", "spec", "[data]\n", None, None, "field model: field required"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "kind", "content", "line", "field", "says"), WRONG)
def test_errors_have_file_line_and_field(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
    kind: str,
    content: str | bytes,
    line: int | None,
    field: str | None,
    says: str,
) -> None:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    code, found = validate(capsys, path)
    assert code == 3
    [told] = found["paths"]
    assert (told["kind"], told["ok"]) == (kind, False)
    [error] = told["errors"]
    assert (error["file"], error["line"], error["field"]) == (str(path), line, field)
    assert says in error["message"]


ODD: list[tuple[str, str | bytes, int | None, str]] = [
    ("run", RUN.replace("\n", "\r\n"), 1, "CRLF"),
    ("run", b"\xef\xbb\xbf" + RUN.encode(), 1, "byte order mark"),
    ("run", RUN + "q\tQ0\tb\t2\t1\tt\n", 1, "tabs and spaces"),
    ("run", RUN + "q Q0 b 2 2.0 t\n", 1, "tied scores"),
    ("run", RUN + "q Q0 b 2 3.0 t\n", 1, "ranks that contradict scores"),
    ("run", RUN + "p Q0 b 2 3.0 t\n" + "q Q0 c 3 1 t\n", None, "not together"),
    ("qrels", "q 0 a 1\nq 0 a 1\n", 2, "judged twice"),
    ("qrels", "q 0 a 0\n", None, "1 queries have no relevant document"),
    ("r.jsonl", request(candidates=one() + one(docid="b")), 1, "tied scores"),
    ("r.jsonl", request(candidates=one(doc={"text": "long " * 2_000_000})), None, "1,000,000"),
    ("d.jsonl", '{"_id": "1", "text": ""}\n', 1, "cannot be a candidate"),
    ("d.jsonl", json.dumps({"_id": "1", "text": "long " * 2_000_000}), 1, "10,000,000 characters"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "content", "line", "says"), ODD, ids=[says for *_, says in ODD])
def test_what_is_odd_is_a_warning(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
    content: str | bytes,
    line: int | None,
    says: str,
) -> None:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    code, found = validate(capsys, path)
    [told] = found["paths"]
    assert (code, told["ok"], told["errors"]) == (0, True, [])
    [warning] = told["warnings"]
    assert (warning["file"], warning["line"]) == (str(path), line)
    assert says in warning["message"]


def test_all_findings_are_told_and_most_of_them_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "x.run"
    path.write_text(RUN + "".join(f"q Q0 d{i} {i} nan t\n" for i in range(7)) + "q Q0 z 9 1.0 t\n")
    code, found = validate(capsys, path, "--most", "3")
    [told] = found["paths"]
    assert code == 3
    assert [error["line"] for error in told["errors"]] == [2, 3, 4]
    assert told["more_errors"] == 4
    assert found["errors"] == 7


def test_judgments_show_the_ceiling(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Relevant: a (ranked), c (not). The best is DCG 1 of 1 + 1 / log2(3)."""
    (tmp_path / "x.run").write_text(RUN + "q Q0 b 2 1.0 t\n")
    (tmp_path / "qrels").write_text("q 0 a 1\nq 0 c 1\np 0 c 1\n")
    for name, content in (("x.run", None), ("r.jsonl", request())):
        if content:
            (tmp_path / name).write_text(content)
        code, found = validate(capsys, tmp_path / name, "--qrels", tmp_path / "qrels")
        messages = [warning["message"] for warning in found["paths"][0]["warnings"]]
        assert code == 0
        assert any("nDCG@10 0.6131 and recall 0.5000" in message for message in messages)
        assert any("1 of 2 candidates have no judgment" in message for message in messages)
        assert any("1 judged queries have no candidates and score 0: p" in m for m in messages)


def test_a_beir_folder_is_checked_as_a_whole(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_collection(tmp_path / "small")
    code, found = validate(capsys, folder, folder / "first.run")
    assert code == 0
    assert [told["kind"] for told in found["paths"]] == ["BEIR folder", "TREC run"]
    assert found["warnings"] == 0
    with (folder / "qrels" / "test.tsv").open("a") as stream:
        stream.write("q0\tnowhere\t1\nnobody\td1\t1\n")
    (folder / "corpus.jsonl").write_text((folder / "corpus.jsonl").read_text() + "{}\n")
    code, found = validate(capsys, folder)
    [told] = found["paths"]
    assert code == 3
    assert {error["message"].split(";")[0] for error in told["errors"]} == {
        "field '_id' is missing or not a string",
        "query nobody is not in queries.jsonl",
    }
    assert "1 judgments are of documents" in told["warnings"][0]["message"]


def test_a_spec_is_checked_with_its_data(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_collection(tmp_path / "small")
    spec = tmp_path / "s.toml"
    data = f'[data]\ndataset = "beir:{folder}"\ncandidates = "{folder}/first.run"\n'
    method = '[model]\nsource = "oracle"\n[method]\nname = "setwise.heapsort"\n'
    spec.write_text(data + method)
    assert validate(capsys, spec)[0] == 0
    spec.write_text(data + method.replace("heapsort", "heapsrt"))
    code, found = validate(capsys, spec)
    assert code == 3
    assert "did you mean setwise.heapsort" in found["paths"][0]["errors"][0]["message"]
    spec.write_text(data + method)
    (folder / "first.run").write_text("q0 Q0 nowhere 1 1 t\n")
    code, found = validate(capsys, spec)
    assert code == 3
    assert "nowhere of query q0 is not in" in found["paths"][0]["errors"][0]["message"]
    (folder / "first.run").write_text("x Q0 d0 1 1 t\n")
    code, found = validate(capsys, spec)
    assert code == 3
    assert "has candidates in it" in found["paths"][0]["errors"][0]["message"]


def test_judgments_of_another_collection_are_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.run").write_text("q1 Q0 d1 1 1 t\n")
    (tmp_path / "qrels").write_text("other 0 d1 1\n")
    code, found = validate(capsys, tmp_path / "a.run", "--qrels", tmp_path / "qrels")
    assert code == 3
    assert "another collection" in found["paths"][0]["errors"][0]["message"]


def test_findings_are_printed_without_what_steers_a_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "x.run"
    path.write_text(RUN + "q Q0 b 2 \x1b[2J t\n")
    with pytest.raises(SystemExit):
        main(["validate", str(path), str(tmp_path / "missing")])
    out, err = capsys.readouterr()
    assert "\x1b" not in out
    assert f"error    {path}:2: " in out
    assert f"{tmp_path / 'missing'}: no such file or folder" in out
    assert "2 errors in 2 of 2 paths" in err
