"""Documents in a file: JSON lines or two tab-separated columns, plain or gzipped."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable, Iterator, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from e2r.data.files.lines import Line, is_object, json_object, lines, unpacked, valid_id, valid_text
from e2r.data.files.offsets import Offsets
from e2r.data.findings import Hear, Teller, deaf, refuse
from e2r.data.progress import Working, counted, unheard
from e2r.errors import DataError

IDS = ("_id", "id", "docid", "doc_id")
TEXTS = ("text", "contents", "passage", "body", "segment")

Look = Callable[[Line, str, str], None]
"""Is shown a document's line, id and text."""


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

    def lookup(
        self, hear: Hear = refuse, tell: Working = unheard, look: Look | None = None
    ) -> Lookup:
        """Read the file once and index it; texts are then fetched by id.

        `look` is shown every document on the way.
        """
        return Lookup(self, hear, tell, look)

    def texts(self, wanted: Set[str]) -> tuple[dict[str, str], int]:
        lookup = self.lookup()
        docids = sorted(wanted)
        found = zip(docids, lookup.of(docids), strict=True)
        return {docid: text for docid, text in found if text is not None}, lookup.documents

    def documents(self) -> Iterator[tuple[str, str]]:
        return ((docid, text) for _, docid, text in self.rows())

    def rows(self, hear: Hear = refuse) -> Iterator[tuple[Line, str, str]]:
        """Every line with its document's id and text."""
        tell = Teller(self.path, hear)
        objects: bool | None = None
        for line in lines(self.path, hear):
            if objects is None:
                objects = is_object(line.text)
            try:
                yield line, *parse_document(line.text, objects)
            except ValueError as error:
                tell.error(str(error), line.number)
        if objects is None:
            tell.error("no document in it")


class Lookup:
    """A corpus file's documents by id, through an index of their places: 20 bytes a document.

    The index is built in one pass that reads and checks each line; no text stays in memory. A
    gzipped file is unpacked to a nameless temporary file. Raises DataError with file and line.
    """

    def __init__(
        self,
        corpus: FileCorpus,
        hear: Hear = refuse,
        tell: Working = unheard,
        look: Look | None = None,
    ) -> None:
        self.label = corpus.label
        self._path = corpus.path
        self._objects: bool | None = None
        self._offsets = Offsets()
        reading = f"documents read of {self._path.name}"
        for line, docid, text in counted(corpus.rows(hear), reading, tell):
            if look is not None:
                look(line, docid, text)
            if self._objects is None:
                self._objects = is_object(line.text)
            self._offsets.add(docid, line.offset, line.length)
        self._offsets.seal()
        self._hear_repeated(corpus, Teller(self._path, hear))
        self._stream = unpacked(self._path)
        weakref.finalize(self, self._stream.close)

    @property
    def documents(self) -> int:
        """How many documents there are."""
        return len(self._offsets)

    def of(self, docids: Sequence[str]) -> list[str | None]:
        """The documents' texts, title + " " + text, in the order asked; None for an unknown one.

        Raises DataError with the line for a document without text.
        """
        return [
            self._text(docid, places)
            for docid, places in zip(docids, self._offsets.of(docids), strict=True)
        ]

    def _text(self, docid: str, places: Sequence[tuple[int, int]]) -> str | None:
        for start, length in places:
            raw = os.pread(self._stream.fileno(), length, start)
            try:
                found, text = parse_document(raw.decode(), bool(self._objects))
            except ValueError:
                raise DataError(f"{self._path}: changed while it was read") from None
            if found == docid:
                if not text or text.isspace():
                    number = os.pread(self._stream.fileno(), start, 0).count(b"\n") + 1
                    raise DataError(f"{self._path}:{number}: document {docid} has no text")
                return text
        return None

    def _hear_repeated(self, corpus: FileCorpus, tell: Teller) -> None:
        """Tell which ids are there twice, by reading again where two ids gave one hash."""
        repeated = self._offsets.repeated()
        if not repeated:
            return
        seen = set[str]()
        for line, docid, _ in corpus.rows(deaf):
            if hash(docid) in repeated:
                if docid in seen:
                    tell.error(f"document {docid} is there twice", line.number)
                seen.add(docid)


def parse_document(line: str, is_object: bool) -> tuple[str, str]:
    """A document's id and text from its line. Raises ValueError saying what is wrong."""
    if is_object:
        row = json_object(line)
        docid = valid_id(row, first_of(row, IDS))
        try:
            return docid, joined(row)
        except ValueError as error:
            raise ValueError(f"document {docid}: {error}") from None
    fields = line.rstrip("\r").split("\t")
    if len(fields) != 2:
        raise ValueError(
            f"a line of a corpus is a JSON object or docid<TAB>text; this one has {len(fields)} "
            "columns"
        )
    return valid_id({"docid": fields[0]}, "docid"), fields[1]


def first_of(row: dict[str, Any], names: tuple[str, ...]) -> str:
    """The first of the names that the row has, or the first of all."""
    for name in names:
        if row.get(name) is not None:
            return name
    return names[0]


def joined(row: dict[str, Any]) -> str:
    """A document's title + " " + text. Raises ValueError where it has no field of text."""
    body = valid_text(row, first_of(row, TEXTS))
    title = row.get("title")
    return f"{title} {body}" if isinstance(title, str) and title.strip() else body
