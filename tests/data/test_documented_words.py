"""Every command in the table of docs/data.md works; `e2r list datasets` shows the same ones."""

from __future__ import annotations

import gzip
import json
import shlex
from pathlib import Path
from typing import Any

import datasets
import pytest
from click.testing import CliRunner

from e2r.cli import cli, main
from e2r.data.beir import DEMO
from e2r.data.sources import DATASETS
from e2r.data.words import SOURCES
from tests.data.stored import GRADES, QUERIES, RUN, TEXTS, beir_qrels, hub_folder, tsv, write

PAGE = Path(__file__).resolve().parents[2] / "docs" / "data.md"


def table() -> list[list[str]]:
    """The cells of the page's first table, below its head."""
    lines = PAGE.read_text("utf-8").splitlines()
    first = lines.index("|---|---|---|---|") + 1
    rows = []
    for line in lines[first:]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that holds the files that the page's commands name."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("E2R_CACHE", str(tmp_path / "kept"))
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    documents = "".join(json.dumps({"_id": d, "text": t}) + "\n" for d, t in TEXTS.items())
    queries = "".join(json.dumps({"_id": q, "text": t}) + "\n" for q, t in QUERIES.items())
    write(tmp_path / "corpus.jsonl", documents)
    write(tmp_path / "scifact" / "corpus.jsonl", documents)
    write(tmp_path / "scifact" / "queries.jsonl", queries)
    write(tmp_path / "scifact" / "qrels" / "test.tsv", beir_qrels(GRADES))
    write(tmp_path / "bm25.run", RUN)
    write(tmp_path / "queries.tsv", tsv(QUERIES))
    write(
        tmp_path / "topics.txt",
        "".join(
            f"<top>\n<num> Number: {q}\n<title> {t}\n<desc> Description:\nAll of {t}\n</top>\n"
            for q, t in QUERIES.items()
        ),
    )
    write(tmp_path / "qrels" / "test.tsv", (DEMO / "qrels" / "test.tsv").read_text("utf-8"))
    write(tmp_path / "qrels.txt", "1 0 a 1\n")
    candidates = [{"docid": "a", "score": 1, "doc": {"contents": TEXTS["a"]}}]
    request = {"query": {"qid": "1", "text": "what"}, "candidates": candidates}
    write(tmp_path / "requests.jsonl", json.dumps(request) + "\n")
    for name, text in (("corpus.tsv", tsv(TEXTS)), ("demo.run", (DEMO / "bm25.run").read_text())):
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress(text.encode()))
    hub_folder(tmp_path / "scifact-hub")
    return tmp_path


def test_the_page_and_the_command_show_the_same_words() -> None:
    listed = json.loads(CliRunner().invoke(cli, ["list", "datasets", "--json"]).output)
    rows = [[row["name"], row["summary"], row["parts"], row["command"]] for row in listed]
    shown = [
        [name.strip("`"), what, parts, command.removesuffix(" (fetches)").strip("`")]
        for name, what, parts, command in table()
    ]
    assert shown == rows
    assert set(DATASETS) <= SOURCES.keys()


@pytest.mark.parametrize("row", [row for row in table() if not row[3].endswith("(fetches)")])
def test_a_documented_command_works(
    row: list[str], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(row[3].strip("`")) == 0, capsys.readouterr().err
    [run_folder] = Path("runs").glob("*/*/*")
    manifest = json.loads((run_folder / "manifest.json").read_text())
    assert manifest["status"] == "complete"
    assert run(f"e2r evaluate {run_folder} --json") == (0 if judged(manifest) else 3)


@pytest.mark.parametrize("row", [row for row in table() if row[3].endswith("(fetches)")])
def test_a_command_that_fetches_leaves_with_4_where_it_cannot(
    row: list[str], folder: Path, capsys: pytest.CaptureFixture[str], fence: list[str]
) -> None:
    command = row[3].removesuffix(" (fetches)").strip("`")
    assert run(command) == 4
    word = shlex.split(command)[3]
    said = capsys.readouterr().err
    assert f"e2r: {word}: " in said
    assert "where there is a network" in said
    fence.clear()


def run(command: str) -> Any:
    program, *words = shlex.split(command)
    assert program == "e2r"
    with pytest.raises(SystemExit) as left:
        main(words)
    return left.value.code


def judged(manifest: dict[str, Any]) -> bool:
    return manifest["dataset"]["judgments_sha256"] is not None
