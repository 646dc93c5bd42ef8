"""BEIR folders: corpus.jsonl, queries.jsonl and qrels/*.tsv."""

from __future__ import annotations

from pathlib import Path

from e2r.data.lines import id_field, json_lines, text_field
from e2r.errors import DataError


def read_queries(path: Path) -> dict[str, str]:
    """Read {"_id", "text"} lines. Raises DataError for a missing field, no text, an id twice."""
    queries: dict[str, str] = {}
    for number, row in json_lines(path):
        where = f"{path}:{number}"
        qid = id_field(row, "_id", where)
        if qid in queries:
            raise DataError(f"{where}: query {qid} is there twice")
        text = text_field(row, "text", f"{where}: query {qid}")
        if not text.strip():
            raise DataError(f"{where}: query {qid} has no text")
        queries[qid] = text
    if not queries:
        raise DataError(f"{path}: no query in it")
    return queries


def read_corpus(path: Path, wanted: set[str]) -> tuple[dict[str, str], int]:
    """Read the texts (title + " " + text) of the wanted documents, and count all of them.

    Raises DataError with the line for a missing field, a document twice, a wanted one without text.
    """
    texts: dict[str, str] = {}
    seen: set[str] = set()
    for number, row in json_lines(path):
        where = f"{path}:{number}"
        docid = id_field(row, "_id", where)
        if docid in seen:
            raise DataError(f"{where}: document {docid} is there twice")
        seen.add(docid)
        body = text_field(row, "text", f"{where}: document {docid}")
        if docid in wanted:
            title = row.get("title")
            text = f"{title} {body}" if isinstance(title, str) and title.strip() else body
            if not text.strip():
                raise DataError(f"{where}: document {docid} has no text")
            texts[docid] = text
    if not seen:
        raise DataError(f"{path}: no document in it")
    return texts, len(seen)


def qrels_path(folder: Path) -> Path:
    """The folder's judgments: qrels/test.tsv, or the only file in qrels."""
    test = folder / "qrels" / "test.tsv"
    if test.is_file():
        return test
    files = sorted((folder / "qrels").glob("*.tsv"))
    if len(files) != 1:
        found = ", ".join(file.name for file in files) or "nothing"
        raise DataError(f"{folder / 'qrels'}: test.tsv is missing ({found} there); pass --qrels")
    return files[0]
