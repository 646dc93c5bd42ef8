"""The gate for submitted runs: after its files are checked, what it says is computed again."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from e2r.borders.reading import (
    MANIFEST_BYTES,
    RESULT_BYTES,
    SPEC_BYTES,
    content,
    json_file,
)
from e2r.data.collection import CandidateList, Collection, Judgments, judgments_sha256
from e2r.data.findings import Finding, Hear, Teller, finding_of
from e2r.data.sources import Sources, load, load_judgments
from e2r.errors import DataError, E2RError
from e2r.metrics.effectiveness import Scores, parse_measures, score
from e2r.metrics.runs.judging import own_judgments
from e2r.metrics.runs.recorded import Recorded
from e2r.metrics.runs.result import Result
from e2r.ranking import method as find_method
from e2r.records.check import Checked, check_folder
from e2r.records.ledger import read_ledger
from e2r.records.query import QueryRecord
from e2r.records.spec import DataSpec

CLOSE = 1e-9
SNIPPET = 60
"""Characters of a passage that are looked for in a run folder's words."""
LOCAL = ("demo", "beir:")


def check_run(path: Path, hear: Hear, qrels: Sequence[str] = (), *, follow: bool = False) -> None:
    """Tell all that is wrong with a run folder.

    Its files and their agreement; the ranking against the ledger; result.json against judgments of
    our own (`qrels`: FILE, or NAME=FILE for a dataset); the model's architecture against the
    catalogue's; ranking and words against the candidates. No path of a stranger's spec is opened,
    unless `follow` says that the run is one's own. What cannot be checked for want of data is a
    warning.
    """
    told = set[str]()

    def once(finding: Finding) -> None:
        if str(finding) not in told:
            told.add(str(finding))
            hear(finding)

    checked = check_folder(path, once)
    if checked is None:
        return
    for name in checked.manifest.method.split("+"):
        if name.startswith("own."):
            Teller(checked.folder.manifest_path, once).warning(
                f"{name} is its author's own method: its plan is not at hand", field="method"
            )
            continue
        try:
            find_method(name)
        except E2RError as error:
            Teller(checked.folder.manifest_path, once).error(str(error), field="method")
    try:
        run = Recorded.load(path)
        if run.declared.note:
            tell_model = Teller(checked.folder.manifest_path, once)
            tell_model.error(run.declared.note, field="model.architecture")
        _check_result(run, checked, once, qrels, follow=follow)
    except DataError as error:
        once(finding_of(error, path))
    _check_against_candidates(checked, once, follow=follow)


def _check_result(
    run: Recorded, checked: Checked, hear: Hear, qrels: Sequence[str], *, follow: bool
) -> None:
    path = checked.folder.result_path
    tell = Teller(path, hear)
    if not path.is_file():
        tell.warning("missing; e2r evaluate writes it, and the board shows it where judgments lack")
        return
    try:
        kept = Result.load(path)
    except DataError as error:
        hear(finding_of(error, path))
        return
    queries = [record.qid for record in run.records]
    if not kept.fits(run.manifest, queries):
        tell.error("belongs to other files, queries or judgments than this run's", field="inputs")
        return
    try:
        judgments = _judgments(checked, qrels, follow=follow)
    except (E2RError, OSError):
        judgments = None
    if judgments is None:
        tell.warning(
            "was not computed again: judgments of its dataset are not at hand (--qrels NAME=FILE)"
        )
        return
    if judgments_sha256(judgments) != kept.judgments_sha256:
        tell.error("was computed from other judgments than those at hand", field="judgments_sha256")
        return
    try:
        found = score(parse_measures(kept.measures), run.ranking, judgments, queries)
    except E2RError as error:
        tell.error(f"cannot be computed again ({error})", field="measures")
        return
    _compare(kept, found, tell)


def _judgments(checked: Checked, qrels: Sequence[str], *, follow: bool) -> Judgments | None:
    """Our own judgments of the run's dataset, or with `follow` those that its spec names."""
    every, own = own_judgments(qrels)
    word = every or own.get(checked.manifest.dataset.id)
    if word is not None:
        return load_judgments(Sources(dataset=word) if word == "demo" else Sources(qrels=word))
    data = checked.spec.data
    return load_judgments(Sources(dataset=data.dataset, qrels=data.qrels)) if follow else None


def _compare(kept: Result, found: Scores, tell: Teller) -> None:
    """Each value as it is told and as it is computed from ranking and judgments."""
    for name in ("missing", "unjudged"):
        if sorted(getattr(kept, name)) != sorted(getattr(found, name)):
            tell.error(f"lists other {name} queries than there are", field=name)
    for name, values in kept.measures.items():
        for qid, value in values.items():
            computed = found.values[name].get(qid, math.nan)
            if not abs(value - computed) <= CLOSE:
                tell.error(
                    f"says {value} for {name} of query {qid}; the ranking and the judgments give "
                    f"{computed}",
                    field="measures",
                )


def _check_against_candidates(checked: Checked, hear: Hear, *, follow: bool) -> None:
    tell = Teller(checked.folder.path, hear)
    try:
        collection = _candidates(checked.spec.data, follow=follow)
    except (E2RError, OSError):
        collection = None
    if collection is None:
        tell.warning(
            "its candidates are not at hand: whether the ranking permutes them, and whether their "
            "text is in the folder, was not checked"
        )
        return
    if collection.candidates_sha256 != checked.manifest.dataset.candidates_sha256:
        tell.error("was made from other candidates than those at hand", field="candidates_sha256")
        return
    try:
        words = _words(checked)
    except (DataError, ValueError):
        return  # what cannot be read was told of before
    records = {record.qid: record for record in checked.records}
    for topic in collection.topics:
        _check_topic(topic, records.get(topic.query.qid), words, checked, hear)


def _candidates(data: DataSpec, *, follow: bool) -> Collection | None:
    """The run's candidates: the demonstration's, or with `follow` files; nothing is fetched."""
    parts = (data.candidates, data.queries, data.corpus)
    if not follow and (data.dataset != "demo" or any(part not in (None, "demo") for part in parts)):
        return None
    held = data.dataset is None or data.dataset.startswith(LOCAL)
    if not held or not (data.candidates in (None, "demo") or Path(str(data.candidates)).is_file()):
        return None
    names = ("dataset", "candidates", "queries", "corpus")
    return load(Sources(**{name: getattr(data, name) for name in names}), data.depth, data.limit)


def _check_topic(
    topic: CandidateList,
    record: QueryRecord | None,
    words: Sequence[tuple[Path, str]],
    checked: Checked,
    hear: Hear,
) -> None:
    qid, docids = topic.query.qid, {candidate.docid for candidate in topic.candidates}
    if record is None:
        if checked.manifest.status == "complete":
            Teller(checked.folder.per_query_path, hear).error(
                f"query {qid} is missing", None, "qid"
            )
    elif record.ranking and set(record.ranking) != docids:
        Teller(checked.folder.per_query_path, hear).error(
            f"the ranking of query {qid} is no permutation of its candidates", None, "ranking"
        )
    for path, text in words:
        for candidate in topic.candidates:
            snippet = candidate.text[:SNIPPET].strip()
            if len(snippet) > SNIPPET // 2 and snippet in text:
                Teller(path, hear).error(
                    f"holds the text of document {candidate.docid}; passages never enter a run "
                    "folder"
                )
                return


def _words(checked: Checked) -> list[tuple[Path, str]]:
    """The files in which words could hide, as text without the escapes of JSON."""
    folder = checked.folder
    ledger = read_ledger(folder.ledger_path, ["task", "answer"])
    once = [text for column in ledger.columns for text in column.unique().to_pylist()]
    found = [(folder.ledger_path, " ".join(once))]
    values: list[Any] = [vars(record) for record in checked.records]
    found.append((folder.per_query_path, " ".join(_strings(values))))
    for path, most in ((folder.manifest_path, MANIFEST_BYTES), (folder.result_path, RESULT_BYTES)):
        if path.is_file():
            found.append((path, " ".join(_strings(json_file(path, most, follow=False)))))
    for path in (folder.spec_path, folder.metadata_path):
        if path.is_file():
            raw = content(path, SPEC_BYTES, follow=False)
            found.append((path, raw.decode("utf-8", errors="replace")))
    return found


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield name
            yield from _strings(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _strings(inner)
