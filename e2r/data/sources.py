"""One word for each part of a test collection → the collection, joined and checked."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import NoReturn

from e2r.data.bm25 import search as bm25
from e2r.data.collection import Collection, Judgments, Retrieval
from e2r.data.dataset import Corpus, Dataset, HeldTexts, Indexed, Queries, Texts
from e2r.data.files.corpus import FileCorpus
from e2r.data.files.qrels import read_qrels
from e2r.data.files.run_index import RunIndex
from e2r.data.files.topics import read_queries
from e2r.data.findings import Finding, Hear, Report, refuse, some
from e2r.data.progress import Working, counted, unheard
from e2r.data.stream import Cut, Held, Joined, Rankings, Requests, Source
from e2r.data.survey import queries_without_candidates, survey
from e2r.errors import UsageError, unknown

DATASETS: dict[str, str] = {
    "demo": "e2r.data.beir:Demo",
    "beir:FOLDER": "e2r.data.beir:BeirFolder",
    "ir_datasets:ID": "e2r.data.ir_datasets:IrDataset",
    "hf:REPO": "e2r.data.hugging_face:HubDataset",
}
"""Words that bring several parts at once, and what opens the word's rest."""


@dataclass(frozen=True)
class Sources:
    """Where the parts of a collection come from; `dataset` brings what the others do not name."""

    dataset: str | None = None
    candidates: str | None = None
    qrels: str | None = None
    queries: str | None = None
    corpus: str | None = None
    name: str | None = None
    documents: int | None = None
    first_stage: str | None = None
    bm25_k1: float | None = None
    bm25_b: float | None = None


def load(
    sources: Sources,
    depth: int,
    limit: int | None = None,
    tell: Callable[[str], None] = lambda text: None,
    working: Working = unheard,
) -> Collection:
    """Read, join and check a collection: the first `limit` queries, `depth` candidates each.

    `tell` hears of work that takes long, `working` how far the reading is. Raises UsageError for a
    source that is not known or not enough, DataError for bad data, MissingError for what has to be
    fetched first.
    """
    report = Report()

    def hear(finding: Finding) -> None:
        refuse(finding)
        report.hear(finding)

    parts = _Parts(sources, hear, working)
    candidates = sources.candidates or ""
    if bm25.asks(candidates):
        first = _search(sources, parts, depth, limit, hear, tell, working)
    elif (sources.bm25_k1, sources.bm25_b) != (None, None):
        raise UsageError("--bm25-k1 and --bm25-b are for --candidates bm25; drop them")
    elif candidates.endswith((".jsonl", ".jsonl.gz")):
        path = Path(candidates)
        if sources.queries or sources.corpus:
            raise UsageError(f"{path} brings queries and texts; drop --queries and --corpus")
        first = _First(Requests(path), path.name.partition(".")[0], parts.judgments())
    else:
        name, run = parts.candidates()
        judgments = parts.judgments()
        queries, corpus = parts.queries(), parts.corpus()
        texts = _texts(corpus, run, depth, hear, working)
        source = Joined(run, queries, texts)
        left = [qid for qid in queries.texts if qid not in run] if judgments is None else []
        notes = [f"{len(left)} queries have no candidates and are left out: {some(left)}"]
        first = _First(source, name, judgments, texts, len(run), notes=notes if left else ())
    topics = first.source.topics(depth, limit, hear)
    checked = counted(topics, "queries checked with their texts", working, first.least(limit))
    found = survey(checked, first.judgments)
    absent = list(first.notes)
    # What BM25 searched was cut to the limit before, and its judgments compared with all queries.
    if first.judgments is not None and first.retrieval is None:
        word = _judgments_word(sources)
        absent += queries_without_candidates(first.source, first.judgments, word)
    return Collection(
        name=sources.name or parts.name(),
        topics=Cut(first.source, depth, found.queries),
        candidates_sha256=found.candidates_sha256,
        judgments=first.judgments,
        documents=sources.documents or first.size(),
        first_stage=sources.first_stage or first.name,
        revision=parts.revision(),
        retrieval=first.retrieval,
        notes=(*map(str, report.warnings), *found.notes, *absent),
    )


@dataclass(frozen=True)
class _First:
    """A first stage: its candidates, its name, what it searched, what the user should know."""

    source: Source
    name: str
    judgments: Judgments | None
    texts: Texts | None = None
    queries: int | None = None
    documents: int | None = None
    retrieval: Retrieval | None = None
    notes: Sequence[str] = ()

    def least(self, limit: int | None) -> int | None:
        """How many queries are used, where their number is known before they are read."""
        known = [count for count in (self.queries, limit) if count is not None]
        return None if self.queries is None else min(known)

    def size(self) -> int | None:
        """How many documents were searched; a library may know it only once texts were read."""
        return self.documents or (None if self.texts is None else self.texts.documents)


def _search(
    sources: Sources,
    parts: _Parts,
    depth: int,
    limit: int | None,
    hear: Hear,
    tell: Callable[[str], None],
    working: Working,
) -> _First:
    """What BM25 finds now for the first `limit` judged queries, or for any where none is judged."""
    judgments, queries, corpus = parts.judgments(), parts.queries(), parts.corpus()
    notes: Sequence[str] = ()
    if judgments is not None:
        notes = queries_without_candidates(queries.texts, judgments, _judgments_word(sources))
    wanted = queries.texts if judgments is None else judgments
    mine = (item for item in queries.texts.items() if item[0] in wanted)
    asked = Queries(queries.label, dict(islice(mine, limit)))
    found = bm25.search(
        bm25.Bm25(
            str(sources.candidates),
            bm25.K1 if sources.bm25_k1 is None else sources.bm25_k1,
            bm25.B if sources.bm25_b is None else sources.bm25_b,
        ),
        asked.texts,
        corpus.documents,
        depth,
        tell,
    )
    run = Held(f"BM25 in {found.retrieval.index}", found.run)
    texts = _texts(corpus, run, depth, hear, working)
    source = Joined(run, asked, texts, found.searched)
    return _First(
        source, "BM25", judgments, texts, len(run), found.documents, found.retrieval, notes
    )


def _judgments_word(sources: Sources) -> str:
    return sources.qrels or str(sources.dataset)


def load_judgments(sources: Sources) -> Judgments | None:
    """The judgments alone, or None where no source names any."""
    return _Parts(sources).judgments()


def open_dataset(word: str) -> Dataset | None:
    """The dataset that a word names, nothing of it read; None for the path of a file.

    Raises UsageError for a word that is neither, with the nearest known ones.
    """
    for known, where in DATASETS.items():
        scheme, colon, _ = known.partition(":")
        if not (word.startswith(scheme + colon) if colon else word == known):
            continue
        rest = word.removeprefix(scheme + colon)
        if colon and not rest:
            raise UsageError(f"{word!r} names nothing; write {known}")
        module, _, name = where.partition(":")
        dataset: Dataset = getattr(import_module(module), name)(*[rest][: len(colon)])
        return dataset
    if re.fullmatch(r"\w{2,}:.*|[^./]*", word) and not Path(word).exists():
        raise unknown("source", word, DATASETS)
    return None


class _Parts:
    """The parts of a collection, each from its own word or from the dataset's."""

    def __init__(self, sources: Sources, hear: Hear = refuse, working: Working = unheard) -> None:
        self._sources, self._hear, self._working = sources, hear, working
        self._opened: dict[str, Dataset | None] = {}
        if sources.dataset is not None and self._open(sources.dataset) is None:
            raise unknown("dataset", sources.dataset, DATASETS)

    def queries(self) -> Queries:
        word, part = self._texts_word(self._sources.queries)
        dataset = self._open(word)
        if dataset is None:
            return Queries(word, read_queries(Path(word), part))
        return dataset.queries(part) or _lacks(word, "queries")

    def corpus(self) -> Corpus:
        word, _ = self._texts_word(self._sources.corpus)
        dataset = self._open(word)
        if dataset is None:
            return FileCorpus(Path(word))
        return dataset.corpus() or _lacks(word, "corpus")

    def candidates(self) -> tuple[str, Rankings]:
        """The first stage's name and its rankings."""
        word = self._sources.candidates or self._sources.dataset
        dataset = None if word is None else self._open(word)
        found = None if dataset is None else dataset.candidates()
        if word is None or (found is None and self._sources.candidates is None):
            raise UsageError(
                "no candidates: pass --candidates, a TREC run or a rank_llm JSONL file "
                "(only some datasets, as demo, bring their own)"
            )
        if dataset is None:
            return Path(word).name.partition(".")[0], RunIndex(
                Path(word), self._hear, self._working
            )
        name, run = found or _lacks(word, "candidates")
        return name, Held(word, run)

    def judgments(self) -> Judgments | None:
        word, part = _split(self._sources.qrels or self._sources.dataset or "")
        if not word:
            return None
        dataset = self._open(word)
        if dataset is None:
            return read_qrels(Path(word), self._hear)
        found = dataset.judgments(part)
        if found is None and self._sources.qrels is not None:
            _lacks(word, "qrels")
        return found

    def name(self) -> str:
        candidates = self._sources.candidates or ""
        first = self._sources.corpus if bm25.asks(candidates) else candidates
        word = self._sources.dataset or first or ""
        dataset = self._open(word)
        return Path(word).name.partition(".")[0] if dataset is None else dataset.name

    def revision(self) -> str | None:
        """What was read of datasets that have versions."""
        found = [dataset.revision() for dataset in self._opened.values() if dataset is not None]
        return "; ".join(dict.fromkeys(text for text in found if text)) or None

    def _texts_word(self, word: str | None) -> tuple[str, str | None]:
        if word is None and self._sources.dataset is None:
            raise UsageError(
                f"{self._sources.candidates} holds no texts: pass --dataset, or both --queries and "
                "--corpus"
            )
        return _split(word or str(self._sources.dataset))

    def _open(self, word: str) -> Dataset | None:
        if word not in self._opened:
            self._opened[word] = open_dataset(word)
        return self._opened[word]


def _split(word: str) -> tuple[str, str | None]:
    """A source and the part of it that # names, unless a file is called just so."""
    if Path(word).exists():
        return word, None
    source, _, part = word.partition("#")
    return source, part or None


def _lacks(word: str, part: str) -> NoReturn:
    raise UsageError(f"{word} has no {part}; name another source by --{part}")


def _texts(corpus: Corpus, run: Rankings, depth: int, hear: Hear, working: Working) -> Texts:
    """The corpus's texts by id: read when they are asked for, if the corpus can do that."""
    if isinstance(corpus, Indexed):
        return corpus.lookup(hear, working)
    with run.rankings() as ranking_of:
        wanted = {docid for qid in run for docid, _ in ranking_of(qid)[:depth]}
    texts, size = corpus.texts(wanted)
    return HeldTexts(corpus.label, texts, size)
