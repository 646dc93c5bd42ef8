"""Builds a Lucene index of a corpus once and keeps it by the hash of what is in it."""

from __future__ import annotations

import fcntl
import json
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from e2r.data.bm25.process import JavaProcess
from e2r.data.cache import cache_folder
from e2r.data.collection import content_sha256
from e2r.errors import DataError, UsageError

FACTS = "e2r-index.json"
BATCH_CHARACTERS = 1 << 20

Corpus = Callable[[], Iterable[tuple[str, str]]]
"""Called for each pass over the corpus: (docid, text) in the corpus's own order."""


@dataclass(frozen=True)
class Index:
    """A Lucene index: its folder, the documents it was made of, and a name for its content."""

    folder: Path
    documents: int
    content: str


def corpus_index(corpus: Corpus, java: JavaProcess, tell: Callable[[str], None]) -> Index:
    """The index of a corpus: the kept one, or one that is built now and kept.

    The corpus is read once for its hash, and once more to build; it is never held. Two processes
    that want the same index wait for each other. An index takes its place by being renamed, so
    that half of one is never found there. Raises DataError for an empty corpus or one that
    changes while it is read, UsageError where the cache cannot be written.
    """
    count = 0

    def counted() -> Iterator[tuple[str, str]]:
        nonlocal count
        for document in corpus():
            count += 1
            yield document

    content = content_sha256(counted())
    if count == 0:
        raise DataError("the corpus has no document, so that BM25 has nothing to search")
    place = cache_folder() / "bm25" / f"{content}-pyserini-{version('pyserini')}"
    index = Index(place, count, f"sha256:{content}")
    with _locked(place):
        if not _is_whole(place):
            tell(f"building a BM25 index of {count:,} documents; it is kept in {place}")
            _build(corpus, content, place, java)
    return index


def _build(corpus: Corpus, content: str, place: Path, java: JavaProcess) -> None:
    """Write the index beside its place, then move it there; only the lock's holder comes here."""
    beside = place.with_name(f"{place.name}.building")
    for old in (beside, place):
        shutil.rmtree(old, ignore_errors=True)
    java.ask("create", folder=str(beside))

    def sent() -> Iterator[tuple[str, str]]:
        for batch in _batches(corpus()):
            java.send("add", documents=batch)
            yield from batch

    again = content_sha256(sent())
    java.ask("commit")
    if again != content:
        shutil.rmtree(beside)
        raise DataError("the corpus changed while it was indexed; repeat when it lies still")
    with _kept_in(place.parent):
        facts = {"schema": 1, "content": content, "files": _sizes(beside)}
        (beside / FACTS).write_text(json.dumps(facts, indent=1), encoding="utf-8")
        beside.rename(place)


def _is_whole(place: Path) -> bool:
    """Whether the files of a kept index are those that were written, by name and size."""
    try:
        facts = json.loads((place / FACTS).read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(facts, dict) and facts.get("files") == _sizes(place)


def _sizes(folder: Path) -> dict[str, int]:
    return {
        path.name: path.stat().st_size for path in sorted(folder.iterdir()) if path.name != FACTS
    }


@contextmanager
def _locked(place: Path) -> Iterator[None]:
    """Hold an index's place for one process; the lock goes with the process, however it ends."""
    with ExitStack() as held:
        with _kept_in(place.parent):
            place.parent.mkdir(parents=True, exist_ok=True)
            lock = held.enter_context(place.with_name(f"{place.name}.lock").open("wb"))
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def _kept_in(folder: Path) -> Iterator[None]:
    """Turn what a file system refuses into a UsageError."""
    try:
        yield
    except OSError as error:
        raise UsageError(
            f"{folder}: the index cannot be kept there ({error.strerror or error}); name another "
            "folder by the environment variable E2R_CACHE"
        ) from None


def _batches(documents: Iterable[tuple[str, str]]) -> Iterator[list[tuple[str, str]]]:
    """Documents in groups of about a million characters."""
    batch: list[tuple[str, str]] = []
    size = 0
    for docid, text in documents:
        batch.append((docid, text))
        size += len(text)
        if size >= BATCH_CHARACTERS:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
