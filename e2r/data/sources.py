"""One word for each part of a test collection → the collection, joined and checked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from e2r.data.beir import qrels_path, read_corpus, read_queries
from e2r.data.check import refuse_foreign_judgments
from e2r.data.collection import Candidate, CandidateList, Collection, Judgments, Query
from e2r.data.rank_llm import read_requests
from e2r.data.trec import read_qrels, read_run
from e2r.errors import DataError, UsageError

DEMO = Path(__file__).parent / "demo"

SOURCES: dict[str, str] = {
    "demo": "the demonstration collection that comes with e2r, with its BM25 candidates",
    "beir:FOLDER": "corpus.jsonl, queries.jsonl and qrels/test.tsv in a folder",
    "FILE.jsonl": "candidates with their texts, in rank_llm's request format",
    "FILE.run / .trec / .txt (.gz)": "a TREC run as candidates, or TREC or BEIR judgments",
}


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


def load(sources: Sources, depth: int, limit: int | None = None) -> Collection:
    """Read, join and check a collection: the first `limit` queries, `depth` candidates each.

    Raises UsageError for a source that is not known or not enough, DataError for bad data.
    """
    folder = _dataset_folder(sources.dataset)
    candidates = sources.candidates or ("demo" if sources.dataset == "demo" else None)
    if candidates is None:
        raise UsageError(
            "no candidates: pass --candidates, a TREC run or a rank_llm JSONL file "
            "(only --dataset demo brings its own)"
        )
    documents = sources.documents
    if candidates.endswith((".jsonl", ".jsonl.gz")):
        path = Path(candidates)
        topics = read_requests(path)
        if sources.queries or sources.corpus:
            raise UsageError(f"{path} brings queries and texts; drop --queries and --corpus")
        first_stage = path.name.partition(".")[0]
    else:
        path = DEMO / "bm25.run" if candidates == "demo" else Path(candidates)
        topics, counted = _join(sources, folder, path, depth)
        documents = documents or counted
        first_stage = "BM25" if candidates == "demo" else path.name.partition(".")[0]
    judgments = _judgments(sources, folder)
    if judgments is not None:
        queries = {topic.query.qid for topic in topics}
        refuse_foreign_judgments(queries, judgments, sources.qrels or str(sources.dataset))
    topics = tuple(CandidateList(topic.query, topic.candidates[:depth]) for topic in topics[:limit])
    return Collection(
        name=sources.name or _name(sources, path),
        topics=topics,
        judgments=judgments,
        documents=documents,
        first_stage=sources.first_stage or first_stage,
    )


def load_judgments(sources: Sources) -> Judgments | None:
    """The judgments alone, or None where no source names any."""
    return _judgments(sources, _dataset_folder(sources.dataset))


def _dataset_folder(dataset: str | None) -> Path | None:
    if dataset is None:
        return None
    if dataset == "demo":
        return DEMO
    kind, _, rest = dataset.partition(":")
    if kind == "beir" and rest:
        if not Path(rest).is_dir():
            raise DataError(f"{rest}: no such folder; --dataset beir:FOLDER wants a BEIR folder")
        return Path(rest)
    raise UsageError(f"unknown dataset {dataset!r}; known: demo, beir:FOLDER")


def _name(sources: Sources, candidates: Path) -> str:
    if sources.dataset is None:
        return candidates.name.partition(".")[0]
    return Path(sources.dataset.partition(":")[2] or sources.dataset).resolve().name


def _join(
    sources: Sources, folder: Path | None, run_path: Path, depth: int
) -> tuple[tuple[CandidateList, ...], int]:
    """Candidate lists of a TREC run whose texts come from a corpus, and the corpus's size."""
    queries_path = Path(sources.queries) if sources.queries else folder and folder / "queries.jsonl"
    corpus_path = Path(sources.corpus) if sources.corpus else folder and folder / "corpus.jsonl"
    if queries_path is None or corpus_path is None:
        raise UsageError(
            f"{run_path} holds no texts: pass --dataset, or both --queries and --corpus"
        )
    run = {qid: row[:depth] for qid, row in read_run(run_path).items()}
    queries = read_queries(queries_path)
    for qid in run:
        if qid not in queries:
            raise DataError(f"{run_path}: query {qid} is not in {queries_path}")
    judgments = _judgments(sources, folder)
    # BEIR's queries.jsonl holds every split; those of another split have no judgments here.
    for qid in queries if judgments is None else queries.keys() & judgments.keys():
        if qid not in run:
            raise DataError(f"{run_path}: query {qid} of {queries_path} has no candidates")
    texts, documents = read_corpus(corpus_path, {docid for row in run.values() for docid, _ in row})
    for qid, row in run.items():
        for docid, _ in row:
            if docid not in texts:
                raise DataError(
                    f"{run_path}: document {docid} of query {qid} is not in {corpus_path}"
                )
    topics = tuple(
        CandidateList(
            Query(qid, text),
            tuple(Candidate(docid, texts[docid], score) for docid, score in run[qid]),
        )
        for qid, text in queries.items()
        if qid in run
    )
    return topics, documents


def _judgments(sources: Sources, folder: Path | None) -> Judgments | None:
    if sources.qrels == "demo":
        return read_qrels(qrels_path(DEMO))
    if sources.qrels is not None:
        return read_qrels(Path(sources.qrels))
    return None if folder is None else read_qrels(qrels_path(folder))
