"""What every source of a test collection offers: its parts, each read when it is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from e2r.data.collection import Judgments
from e2r.data.files.trec import Run
from e2r.data.findings import Hear, refuse
from e2r.data.progress import Working, unheard


@dataclass(frozen=True)
class Queries:
    """The texts of the queries by their ids, and the file or source that messages name."""

    label: str
    texts: Mapping[str, str]


class Texts(Protocol):
    """A corpus's documents, fetched by id."""

    @property
    def label(self) -> str:
        """The file or source that messages name."""
        ...

    @property
    def documents(self) -> int | None:
        """How many there are, where that is known."""
        ...

    def of(self, docids: Sequence[str]) -> list[str | None]:
        """The documents' texts in the order asked; None for one that it does not have.

        Raises DataError for a document without text.
        """
        ...


@runtime_checkable
class Indexed(Protocol):
    """A corpus that can fetch texts by id, so that they are read when a query starts."""

    def lookup(self, hear: Hear = refuse, tell: Working = unheard) -> Texts:
        """Make it ready for being asked; tells of what is wrong or odd in it, and how far it is."""
        ...


@dataclass(frozen=True)
class HeldTexts:
    """The wanted texts of a corpus that is read in one pass, held in memory."""

    label: str
    texts: Mapping[str, str]
    documents: int | None

    def of(self, docids: Sequence[str]) -> list[str | None]:
        """The documents' texts in the order asked; None for one that it does not have."""
        return [self.texts.get(docid) for docid in docids]


class Corpus(Protocol):
    """The documents of a collection; a text is title + " " + text, and no corpus is held whole."""

    @property
    def label(self) -> str:
        """The file or source that messages name."""
        ...

    def texts(self, wanted: Set[str]) -> tuple[dict[str, str], int | None]:
        """The texts of the wanted documents that it has, and its size where that is known.

        Raises DataError for a wanted document that is there twice or without text.
        """
        ...

    def documents(self) -> Iterator[tuple[str, str]]:
        """Every document's id and text, in the corpus's order: what an index is built from."""
        ...


class Dataset(Protocol):
    """A source that knows several parts of a collection; one that it lacks is None.

    Raises MissingError where a part has to be fetched first, DataError where it is malformed.
    """

    @property
    def name(self) -> str:
        """What the collection is called in records, unless --name says otherwise."""
        ...

    def queries(self, field: str | None) -> Queries | None:
        """The queries' texts, of a field by name or of the one that is usually asked."""
        ...

    def corpus(self) -> Corpus | None: ...

    def judgments(self, part: str | None) -> Judgments | None:
        """The judgments, of a part (a split) by name or of the one that is usually used."""
        ...

    def candidates(self) -> tuple[str, Run] | None:
        """A first stage's name and its scored documents."""
        ...

    def revision(self) -> str | None:
        """What was read, at which version, where files do not speak for themselves."""
        ...
