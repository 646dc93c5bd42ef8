"""Documents in a file: JSON lines or two tab-separated columns, plain or gzipped."""

from __future__ import annotations

from collections.abc import Iterator, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from e2r.data.lines import id_field, json_lines, numbered_lines, text_field
from e2r.errors import DataError

IDS = ("_id", "id", "docid", "doc_id")
TEXTS = ("text", "contents", "passage", "body", "segment")


@dataclass(frozen=True)
class FileCorpus:
    """A corpus in a file, told by its first line: objects, or `docid<TAB>text`.

    An object has one of _id, id, docid, doc_id, one of text, contents, passage, body, segment, and
    may have a title. Every reading raises DataError with the line for what is malformed.
    """

    path: Path

    @property
    def label(self) -> str:
        return str(self.path)

    def texts(self, wanted: Set[str]) -> tuple[dict[str, str], int]:
        texts: dict[str, str] = {}
        size = 0
        for where, docid, text in self._rows():
            size += 1
            if docid in wanted:
                if docid in texts:
                    raise DataError(f"{where}: document {docid} is there twice")
                if not text.strip():
                    raise DataError(f"{where}: document {docid} has no text")
                texts[docid] = text
        return texts, size

    def documents(self) -> Iterator[tuple[str, str]]:
        for _, docid, text in self._rows():
            yield docid, text

    def _rows(self) -> Iterator[tuple[str, str, str]]:
        first = next(numbered_lines(self.path), None)
        if first is None:
            raise DataError(f"{self.path}: no document in it")
        return self._objects() if first[1].lstrip().startswith(("{", "[")) else self._columns()

    def _objects(self) -> Iterator[tuple[str, str, str]]:
        for number, row in json_lines(self.path):
            where = f"{self.path}:{number}"
            docid = id_field(row, first_of(row, IDS), where)
            yield where, docid, joined(row, f"{where}: document {docid}")

    def _columns(self) -> Iterator[tuple[str, str, str]]:
        for number, line in numbered_lines(self.path):
            where = f"{self.path}:{number}"
            fields = line.split("\t")
            if len(fields) != 2:
                raise DataError(
                    f"{where}: a line of a corpus is a JSON object or docid<TAB>text; this one "
                    f"has {len(fields)} columns"
                )
            yield where, id_field({"docid": fields[0]}, "docid", where), fields[1]


def first_of(row: dict[str, Any], names: tuple[str, ...]) -> str:
    """The first of the names that the row has, or the first of all."""
    return next((name for name in names if row.get(name) is not None), names[0])


def joined(row: dict[str, Any], where: str) -> str:
    """A document's title + " " + text. Raises DataError where it has no field of text."""
    body = text_field(row, first_of(row, TEXTS), where)
    title = row.get("title")
    return f"{title} {body}" if isinstance(title, str) and title.strip() else body
