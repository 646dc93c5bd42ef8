"""All that can be said against a file or folder of a collection: its kind, told by its content."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path

from e2r.data.beir import qrels_path
from e2r.data.collection import Candidate, CandidateList, Judgments, Query
from e2r.data.files.corpus import IDS, TEXTS, FileCorpus
from e2r.data.files.lines import Line, is_markup, is_object, json_object, lines
from e2r.data.files.qrels import is_judgment_line, judgment_fields, read_qrels
from e2r.data.files.rank_llm import read_requests
from e2r.data.files.run_index import RunIndex
from e2r.data.files.topics import read_queries
from e2r.data.files.trec import is_run_line
from e2r.data.findings import Hear, Teller, TooManyError, deaf, finding_of, some
from e2r.data.survey import survey
from e2r.errors import DataError

BEIR_FILES = ("corpus.jsonl", "corpus.jsonl.gz", "queries.jsonl", "queries.jsonl.gz")
LOOKED_AT = 50
"""Lines by which a file's kind is told."""
LONG_DOCUMENT = 1_000_000
"""Characters of a document above which it is worth a warning."""


def kind_of(path: Path) -> str | None:
    """What a path holds, by its content: a key of CHECKS, or None for nothing that is known.

    The first lines are asked one by one what their readers would take them for; most decide.
    """
    if path.is_dir():
        return "BEIR folder" if any((path / name).is_file() for name in BEIR_FILES) else None
    plain = (line.text for line in lines(path, deaf) if not line.text.startswith("#"))
    first = list(islice(plain, LOOKED_AT))
    if not first:
        return None
    if is_markup(first[0]):
        return "TREC topics"
    if is_object(first[0]):
        return _kind_of_object(first[0])
    told = Counter(kind for kind in map(_kind_of_line, first) if kind)
    if told:
        return told.most_common(1)[0][0]
    # No reader takes any of these lines: most likely a run or judgments with a fault in each.
    return {6: "TREC run", 4: "TREC judgments"}.get(len(first[0].split()))


def _kind_of_line(text: str) -> str | None:
    if is_run_line(text):
        return "TREC run"
    if is_judgment_line(text):
        return "BEIR judgments" if len(judgment_fields(text)) == 3 else "TREC judgments"
    if "\t" in text:
        return "documents or queries" if text.count("\t") == 1 else "queries"
    return None


def check(kind: str, path: Path, hear: Hear, judgments: Judgments | None = None) -> None:
    """Tell all that is wrong or odd in a path of this kind; with judgments, also how they fit."""
    try:
        CHECKS[kind](path, hear, judgments)
    except TooManyError:
        raise
    except DataError as error:
        hear(finding_of(error, path))


def _kind_of_object(text: str) -> str | None:
    try:
        row = json_object(text)
    except ValueError:
        # A file cut in its first line is told of by whatever reads objects.
        return "rank_llm requests"
    if "candidates" in row or isinstance(row.get("query"), dict):
        return "rank_llm requests"
    if "query" in row or "qid" in row or "query_id" in row:
        return "queries"
    if not any(name in row for name in TEXTS):
        return "queries" if "title" in row else "rank_llm requests"
    if "title" in row or "text" not in row:
        return "documents"
    return "documents or queries" if any(name in row for name in IDS) else "rank_llm requests"


def _check_requests(path: Path, hear: Hear, judgments: Judgments | None) -> None:
    _hold_against(read_requests(path, hear), path, hear, judgments)


def _check_run(path: Path, hear: Hear, judgments: Judgments | None) -> None:
    index = RunIndex(path, hear)
    if judgments is None or not len(index):
        return
    with index.rankings(deaf) as ranking_of:
        topics = (
            CandidateList(
                Query(qid, qid), tuple(Candidate(docid, "", 0) for docid, _ in ranking_of(qid))
            )
            for qid in dict.fromkeys(index)
        )
        _hold_against(topics, path, hear, judgments)


def _hold_against(
    topics: Iterable[CandidateList], path: Path, hear: Hear, judgments: Judgments | None
) -> None:
    """Tell how candidates and judgments fit, once the topics have been gone through."""
    tell = Teller(path, hear)
    missing = set(judgments or ())

    def noted() -> Iterator[CandidateList]:
        for topic in topics:
            missing.discard(topic.query.qid)
            yield topic

    for note in survey(noted(), judgments).notes:
        if judgments is not None or not note.startswith("no judgments"):
            tell.warning(note)
    if judgments and len(missing) == len(judgments):
        tell.error("none of its queries has a judgment; are these another collection's judgments?")
    elif missing:
        tell.warning(
            f"{len(missing)} judged queries have no candidates and score 0: {some(sorted(missing))}"
        )


def _check_judgments(path: Path, hear: Hear, judgments: Judgments | None) -> None:
    found = read_qrels(path, hear)
    empty = [qid for qid, grades in found.items() if all(grade <= 0 for grade in grades.values())]
    if empty:
        Teller(path, hear).warning(
            f"{len(empty)} queries have no relevant document and score 0 whatever is ranked: "
            f"{some(empty)}"
        )


def _check_queries(path: Path, hear: Hear, judgments: Judgments | None) -> None:
    read_queries(path, None, hear)


def _check_corpus(path: Path, hear: Hear, judgments: Judgments | None) -> None:
    tell = Teller(path, hear)

    def look(line: Line, docid: str, text: str) -> None:
        if not text or text.isspace():
            tell.warning(
                f"document {docid} has no text and cannot be a candidate", line.number, "text"
            )
        elif len(text) > LONG_DOCUMENT:
            tell.warning(
                f"document {docid} has {len(text):,} characters; no prompt holds them",
                line.number,
                "text",
            )

    FileCorpus(path).lookup(hear, look=look)


def _check_folder(path: Path, hear: Hear, judgments: Judgments | None) -> None:
    tell = Teller(path, hear)
    corpus, queries = (_file(path, name) for name in ("corpus.jsonl", "queries.jsonl"))
    for file in (corpus, queries):
        if not file.is_file():
            Teller(file, hear).error("missing; a BEIR folder holds it")
    docids = set[int]()
    if corpus.is_file():
        _check_corpus(corpus, hear, None)
        docids = {hash(docid) for _, docid, _ in FileCorpus(corpus).rows(deaf)}
    texts = read_queries(queries, None, hear) if queries.is_file() else {}
    if not (path / "qrels").is_dir():
        tell.warning("no judgments: qrels is missing; runs over it cannot be evaluated")
        return
    for file in sorted((path / "qrels").glob("*.tsv")):
        _check_judgments(file, hear, None)
        grades = read_qrels(file, deaf)
        judged = Teller(file, hear)
        foreign = sorted(qid for qid in grades if texts and qid not in texts)
        for qid in foreign:
            judged.error(f"query {qid} is not in {queries.name}", field="query-id")
        pairs = [(qid, docid) for qid, row in grades.items() for docid in row]
        lost = [docid for _, docid in pairs if docids and hash(docid) not in docids]
        if lost:
            judged.warning(
                f"{len(lost)} judgments are of documents that {corpus.name} does not have: "
                f"{some(lost)}",
                field="corpus-id",
            )
    qrels_path(path)


def _file(folder: Path, name: str) -> Path:
    zipped = folder / f"{name}.gz"
    return zipped if zipped.is_file() else folder / name


CHECKS: dict[str, Callable[[Path, Hear, Judgments | None], None]] = {
    "TREC run": _check_run,
    "rank_llm requests": _check_requests,
    "TREC judgments": _check_judgments,
    "BEIR judgments": _check_judgments,
    "TREC topics": _check_queries,
    "queries": _check_queries,
    "documents": _check_corpus,
    "documents or queries": _check_corpus,
    "BEIR folder": _check_folder,
}
"""What is known of a collection, and who checks it."""
