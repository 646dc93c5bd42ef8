"""Collections that the library ir_datasets knows: TREC DL, BEIR, Robust04 and hundreds more."""

from __future__ import annotations

import logging
import math
import os
import sys
from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from functools import cached_property
from typing import Any

from e2r.data.collection import Judgments
from e2r.data.dataset import Queries
from e2r.data.files.lines import id_field
from e2r.data.files.qrels import HIGHEST_GRADE
from e2r.data.files.topics import TEXTS, chosen, unique
from e2r.data.files.trec import Run
from e2r.data.findings import Hear, refuse
from e2r.data.progress import Working, unheard
from e2r.errors import DataError, E2RError, MissingError, UsageError, unknown

NOISE = ("[", "Download failed", "download error")


class IrDataset:
    """A dataset by its ir_datasets id; what it lacks here, the library fetches when it is read.

    A text is what ir_datasets calls the record's default text: for documents the title and the
    text, body or abstract; for queries the text, title, query or (conversations) raw utterance.
    """

    def __init__(self, name: str) -> None:
        """Raises MissingError without the library, UsageError for an id that it does not know."""
        if not sys.stderr.isatty():
            # Read by tqdm when it is imported: bars are for those who look on.
            os.environ.setdefault("TQDM_DISABLE", "1")
        try:
            import ir_datasets
        except ImportError as error:
            raise MissingError(
                f"ir_datasets:{name} needs the package {error.name}; run: pip install 'e2r[data]'"
            ) from error
        self.name = name
        self._label = f"ir_datasets:{name}"
        self._version: str = ir_datasets.__version__
        try:
            self._dataset: Any = ir_datasets.load(name)
        except KeyError:
            raise unknown("dataset of ir_datasets", name, ir_datasets.registry) from None

    def queries(self, field: str | None) -> Queries | None:
        if not self._dataset.has_queries():
            return None
        with _asking(self._label):
            return Queries(self._label, unique(self._queries(field)))

    def _queries(self, field: str | None) -> Iterator[tuple[str, str, str]]:
        for query in self._dataset.queries_iter():
            row: Mapping[str, Any] = query._asdict()
            qid = id_field(dict(row), "query_id", self._label)
            if field is None and hasattr(query, "default_text"):
                yield self._label, qid, query.default_text()
            else:
                yield self._label, qid, chosen(row, field, TEXTS, f"{self._label}: query {qid}")

    def corpus(self) -> IrCorpus | None:
        return IrCorpus(self._label, self._dataset) if self._dataset.has_docs() else None

    def judgments(self, part: str | None) -> Judgments | None:
        if part is not None:
            raise UsageError(f"{self._label}#{part}: the id itself names the part, as in …/test")
        if not self._dataset.has_qrels():
            return None
        judgments: dict[str, dict[str, int]] = {}
        with _asking(self._label):
            for qrel in self._dataset.qrels_iter():
                if abs(qrel.relevance) > HIGHEST_GRADE:
                    raise DataError(
                        f"{self._label}: grade {qrel.relevance} of query {qrel.query_id} is out of "
                        "any scale"
                    )
                known = judgments.setdefault(qrel.query_id, {})
                if known.setdefault(qrel.doc_id, qrel.relevance) != qrel.relevance:
                    raise DataError(
                        f"{self._label}: document {qrel.doc_id} has two grades for query "
                        f"{qrel.query_id} (judged by subtopic?); pass --qrels"
                    )
        return judgments

    def candidates(self) -> tuple[str, Run] | None:
        """The dataset's scored documents, best first, equal ones as they came.

        Raises DataError where they carry no scores (MS MARCO's do not), or bad ones.
        """
        if not self._dataset.has_scoreddocs():
            return None
        rows: dict[str, dict[str, float]] = {}
        with _asking(self._label):
            for scored in self._dataset.scoreddocs_iter():
                score = float(scored.score)
                row = rows.setdefault(scored.query_id, {})
                if not math.isfinite(score) or scored.doc_id in row:
                    raise DataError(
                        f"{self._label}: scored document {scored.doc_id} of query "
                        f"{scored.query_id} is there twice or its score is not finite"
                    )
                row[scored.doc_id] = score
        if all(len(set(row.values())) == 1 < len(row) for row in rows.values()):
            raise DataError(
                f"{self._label}: its scored documents have no scores, so they are in no order; "
                "pass --candidates, a run or bm25"
            )
        run = {qid: sorted(row.items(), key=lambda item: -item[1]) for qid, row in rows.items()}
        return f"{self.name} scoreddocs", run

    def revision(self) -> str:
        return f"{self._label} (ir_datasets {self._version})"


class IrCorpus:
    """The documents of a dataset, looked up in the library's store on disk."""

    def __init__(self, label: str, dataset: Any) -> None:
        self.label = label
        self._dataset = dataset

    def lookup(self, hear: Hear = refuse, tell: Working = unheard) -> IrTexts:
        """The library's store; it is built from the documents when it is first asked."""
        return IrTexts(self)

    def texts(self, wanted: Set[str]) -> tuple[dict[str, str], int | None]:
        """The texts of the wanted documents that there are, and how many there are in all."""
        with _asking(self.label):
            store = self._dataset.docs_store()
            found = store.get_many_iter(sorted(wanted)) if wanted else ()
            texts = {document.doc_id: self._text(document) for document in found}
            size = self._dataset.docs_count()
        for docid, text in texts.items():
            if not text.strip():
                raise DataError(f"{self.label}: document {docid} has no text")
        return texts, size

    def documents(self) -> Iterator[tuple[str, str]]:
        with _asking(self.label):
            for document in self._dataset.docs_iter():
                yield document.doc_id, self._text(document)

    def _text(self, document: Any) -> str:
        if not hasattr(document, "default_text"):
            raise DataError(
                f"{self.label}: ir_datasets says no text of its documents, whose fields are "
                f"{', '.join(document._fields)}; pass --corpus"
            )
        # An empty title leaves the space that would have stood after it.
        return str(document.default_text()).removeprefix(" ")


class IrTexts:
    """A dataset's documents by id, a few at a time."""

    def __init__(self, corpus: IrCorpus) -> None:
        self._corpus = corpus
        self.label = corpus.label

    @cached_property
    def documents(self) -> int | None:
        """How many there are, where the library knows it."""
        return self._corpus.texts(set())[1]

    def of(self, docids: Sequence[str]) -> list[str | None]:
        """The documents' texts in the order asked; None for one that there is not."""
        texts, _ = self._corpus.texts(set(docids))
        return [texts.get(docid) for docid in docids]


@contextmanager
def _asking(label: str) -> Iterator[None]:
    """Turn what the library raises into one error that holds what it said on the way."""
    import ir_datasets

    said: list[str] = []
    logger = ir_datasets.log.easy().logger()
    kept, logger.handlers = logger.handlers, [_Listener(said)]
    try:
        yield
    except E2RError:
        raise
    except Exception as error:
        # The readers of some fifty formats raise whatever a file makes them.
        failed = isinstance(error, OSError | EOFError | ImportError) or "download" in str(error)
        if not failed:
            raise DataError(f"{label}: cannot be read ({error})") from error
        home = ir_datasets.util.home_path()
        raise MissingError(
            "\n".join(
                [
                    f"{label}: is not on this machine and cannot be fetched: {_reason(error)}; "
                    "run the same command where there is a network and copy its ~/.ir_datasets "
                    f"to {home}",
                    *dict.fromkeys(text.strip() for text in said if not text.startswith(NOISE)),
                ]
            )
        ) from error
    finally:
        logger.handlers = kept


def _reason(error: Exception) -> str:
    """The addresses that were tried, or what was missed."""
    tried = error.args[1] if len(error.args) == 2 and isinstance(error.args[1], list) else []
    urls = [mirror.url for mirror, _ in tried if hasattr(mirror, "url")]
    request = getattr(error, "request", None)
    if request is not None:
        urls.append(request.url)
    return f"no answer from {' and '.join(urls)}" if urls else str(error)


class _Listener(logging.Handler):
    """Keeps what is said instead of writing it."""

    def __init__(self, said: list[str]) -> None:
        super().__init__()
        self._said = said

    def emit(self, record: logging.LogRecord) -> None:
        self._said.append(record.getMessage())
