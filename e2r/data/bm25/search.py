"""BM25 by Pyserini as a first stage: over a corpus, a prebuilt index, or a folder of Lucene's."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from e2r.data.bm25.index import Corpus, Index, corpus_index
from e2r.data.bm25.process import FailedError, JavaProcess, java_process
from e2r.data.collection import Retrieval, Searched
from e2r.data.files.trec import Run
from e2r.errors import DataError, MissingError, UsageError, unknown

K1, B = 0.9, 0.4
"""Anserini's parameters, with which the field's BM25 baselines on MS MARCO and BEIR are made."""

ANALYZER = "DefaultEnglishAnalyzer (Porter, Lucene's stop words)"
QUERIES_A_REQUEST = 64


@dataclass(frozen=True)
class Bm25:
    """A word of --candidates that asks for BM25, and its parameters."""

    word: str
    k1: float = K1
    b: float = B

    def __post_init__(self) -> None:
        """Raises UsageError for parameters that BM25 has no meaning for."""
        if not (0 <= self.k1 < float("inf") and 0 <= self.b <= 1):
            raise UsageError(
                f"BM25 wants k1 of at least 0 and b of 0 to 1, not {self.k1}, {self.b}"
            )


@dataclass(frozen=True)
class Found:
    """What BM25 found, what each query took, where it searched, and how many documents lie there.

    A query that shares no term with any document has an empty row.
    """

    run: Run
    searched: Mapping[str, Searched]
    retrieval: Retrieval
    documents: int


def asks(word: str) -> bool:
    """Whether a word of --candidates asks for BM25."""
    return word == "bm25" or word.startswith("bm25:")


def search(
    asked: Bm25,
    queries: Mapping[str, str],
    corpus: Corpus,
    depth: int,
    tell: Callable[[str], None],
    process: Callable[[], AbstractContextManager[JavaProcess]] = java_process,
) -> Found:
    """Search all queries to a depth.

    `corpus` is read only for the word bm25 alone, whose index is made of it. `tell` hears of work
    that takes long. Raises MissingError for a missing package, Java or index, and where Java ends
    before its time; DataError for an index that is none; UsageError for an unknown name.
    """
    _, _, where = asked.word.partition(":")
    if ":" in asked.word and not where:
        raise UsageError(f"{asked.word!r} names no index; write bm25, bm25:FOLDER or bm25:NAME")
    with process() as java:
        index = _index(where, java, tell) if where else corpus_index(corpus, java, tell)
        try:
            opened = java.ask("open", folder=str(index.folder), k1=asked.k1, b=asked.b)
        except FailedError as error:
            raise DataError(
                f"{index.folder}: Lucene cannot read this index; remove it if e2r made it ({error})"
            ) from None
        run: Run = {}
        searched: dict[str, Searched] = {}
        for qid, found in _searches(java, queries, depth):
            run[qid] = [(docid, score) for docid, score in found["hits"]]
            searched[qid] = Searched(found["terms"], found["postings"])
            if len({docid for docid, _ in run[qid]}) < len(run[qid]):
                raise DataError(
                    f"{index.folder}: query {qid} finds one document twice; a document's id may "
                    "stand in a corpus once"
                )
    retrieval = Retrieval(
        system=f"Pyserini {version('pyserini')}, Java {opened['java']}",
        k1=asked.k1,
        b=asked.b,
        analyzer=ANALYZER,
        index=index.content,
    )
    return Found(run, searched, retrieval, index.documents or opened["documents"])


def _searches(
    java: JavaProcess, queries: Mapping[str, str], depth: int
) -> Iterator[tuple[str, dict[str, Any]]]:
    qids = list(queries)
    for start in range(0, len(qids), QUERIES_A_REQUEST):
        part = qids[start : start + QUERIES_A_REQUEST]
        reply = java.ask("search", queries=[queries[qid] for qid in part], depth=depth)
        yield from zip(part, reply["found"], strict=True)


def _index(where: str, java: JavaProcess, tell: Callable[[str], None]) -> Index:
    """A Lucene folder, or the prebuilt index of that name; both count their documents later."""
    folder = Path(where)
    if folder.is_dir():
        return Index(folder, 0, f"{folder.resolve().name} {_commit(folder)}")
    if "/" in where:
        raise DataError(f"{where}: no such folder; bm25:FOLDER wants a Lucene index")
    tell(f"looking for the prebuilt index {where}; it is downloaded if it is not here")
    reply = java.ask("fetch", name=where)
    if "known" in reply:
        raise unknown("prebuilt index", where, reply["known"])
    if "refused" in reply:
        raise MissingError(
            f"the prebuilt index {where} cannot be fetched ({reply['refused']}); fetch "
            f"{' or '.join(reply['urls'])} elsewhere, unpack it, and put the folder at "
            f"{reply['wanted']} or name it by --candidates bm25:FOLDER"
        )
    return Index(Path(reply["folder"]), 0, where)


def _commit(folder: Path) -> str:
    """The hash of a Lucene index's commit, which names every segment by an id of its own."""
    commits = sorted(folder.glob("segments_*"), key=lambda path: (len(path.name), path.name))
    if not commits:
        raise DataError(f"{folder}: no Lucene index (segments_N is missing)")
    return f"sha256:{hashlib.sha256(commits[-1].read_bytes()).hexdigest()}"
