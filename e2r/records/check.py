"""All that can be said against a run folder from its files alone."""

from __future__ import annotations

import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from e2r.borders.own_code import is_own, label_of
from e2r.borders.reading import MIB, RESULT_BYTES, SPEC_BYTES, kind_of
from e2r.borders.showing import is_plain
from e2r.data.findings import Hear, Teller, finding_of
from e2r.errors import DataError
from e2r.records.check_ledger import LONGEST, check_ledger
from e2r.records.folder import FINAL_FILES, RunFolder
from e2r.records.ledger import read_ledger
from e2r.records.manifest import Manifest
from e2r.records.parts import ASIDE, PART
from e2r.records.query import LONGEST_ERROR, QueryRecord
from e2r.records.spec import Spec, changed, identity

MOST_BYTES = {
    "spec.toml": SPEC_BYTES,
    "manifest.json": MIB,
    "ir-metadata.yml": SPEC_BYTES,
    "result.json": RESULT_BYTES,
    "per_query.jsonl": 256 * MIB,
    "run.trec.gz": 64 * MIB,
    "ledger.parquet": 512 * MIB,
}
"""The files of a submission, and how large each may be: an evaluation of 10,000 queries fits."""
SLUG = re.compile(r"[\w.+\-]+")


@dataclass(frozen=True)
class Checked:
    """What could be read of a run folder, for checks that need more than its files."""

    folder: RunFolder
    manifest: Manifest
    spec: Spec
    records: Sequence[QueryRecord]


def check_folder(path: Path, hear: Hear) -> Checked | None:
    """Tell all that is wrong in a run folder; None where nothing more can be said of it.

    Files and hashes, the manifest against the spec, the folder's name and the hash in it, the
    ledger's schema, its values, and the ledger against per_query.jsonl.
    """
    folder = RunFolder(path)
    _check_files(path, hear)
    try:
        manifest = folder.manifest()
    except DataError as error:
        hear(finding_of(error, folder.manifest_path))
        return None
    tell = Teller(folder.manifest_path, hear)
    if manifest.status == "started":
        tell.error("this run has not finished; go on with it by --resume", field="status")
        return None
    if manifest.status == "partial":
        tell.warning("a partial run: some queries failed; it is shown and never ranked")
    _check_hashes(folder, manifest, tell)
    _check_name(folder, manifest, tell)
    spec = records = None
    try:
        spec = Spec.load(folder.spec_path)
        _check_spec(spec, manifest, Teller(folder.spec_path, hear))
    except DataError as error:
        hear(finding_of(error, folder.spec_path))
    try:
        records = folder.per_query()
        _check_records(records, manifest, Teller(folder.per_query_path, hear))
    except DataError as error:
        hear(finding_of(error, folder.per_query_path))
    try:
        check_ledger(folder, records or (), Teller(folder.ledger_path, hear))
    except DataError as error:
        hear(finding_of(error, folder.ledger_path))
    if spec is None or records is None:
        return None
    return Checked(folder, manifest, spec, records)


def _check_files(path: Path, hear: Hear) -> None:
    for item in sorted(path.iterdir()):
        tell = Teller(item, hear)
        mode = item.lstat().st_mode
        if item.name == "parts" and stat.S_ISDIR(mode):
            _check_parts(item, tell)
        elif item.name == ".lock" and stat.S_ISREG(mode) and item.lstat().st_size == 0:
            tell.warning("left by the run; leave it out of a submission")
        elif stat.S_ISLNK(mode):
            tell.error("a link; a run folder holds its own files")
        elif item.name not in MOST_BYTES:
            tell.error(
                f"no file of a run folder; it holds {', '.join(sorted(MOST_BYTES))} and no more"
            )
        elif not stat.S_ISREG(mode):
            tell.error(f"{kind_of(mode)}; a run folder holds regular files of its own")
        elif item.lstat().st_size > (most := MOST_BYTES[item.name]):
            tell.error(f"larger than {most:,} bytes, which no such file of a submission needs")


def _check_parts(path: Path, tell: Teller) -> None:
    """Parts are what an unfinished run has of its ledger; a finished one has none."""
    for item in path.iterdir():
        if ASIDE.fullmatch(item.name) and stat.S_ISREG(item.lstat().st_mode):
            continue
        if not PART.fullmatch(item.name) or not stat.S_ISREG(item.lstat().st_mode):
            Teller(item, tell.hear).error("no part of a ledger")
            return
        try:
            read_ledger(item)
        except DataError as error:
            tell.hear(finding_of(error, item))
            return
    tell.warning("left by the run; leave it out of a submission")


def _check_hashes(folder: RunFolder, manifest: Manifest, tell: Teller) -> None:
    for name in sorted(manifest.files.keys() - set(FINAL_FILES)):
        tell.error(
            f"names a file that is none of a run folder's: {name[:LONGEST]!r}", field="files"
        )
    for path, why in folder.changed_files(manifest):
        Teller(path, tell.hear).error(why)


def _check_name(folder: RunFolder, manifest: Manifest, tell: Teller) -> None:
    """The folder is where its manifest says, under a name that holds its identity's hash."""
    parts = folder.path.resolve().parts[-3:]
    if manifest.run.split("/") != list(parts):
        tell.error(
            f"speaks of the run {manifest.run[:LONGEST]!r}, not of {'/'.join(parts)}", None, "run"
        )
    for part in manifest.run.split("/"):
        if not SLUG.fullmatch(part) or not part.strip("."):
            tell.error(f"{part[:LONGEST]!r} cannot name a folder", None, "run")
    method, _, hash8 = parts[-1].rpartition("--")
    if hash8 != identity(manifest.identity):
        tell.error(
            f"the folder's hash is {hash8!r}, that of what shaped its answers is "
            f"{identity(manifest.identity)}",
            field="identity",
        )
    if method != manifest.method:
        tell.error(
            f"the folder's method is {method!r}, the manifest's {manifest.method!r}", None, "method"
        )
    dataset, model = manifest.dataset, manifest.model
    facts = {
        "candidates": dataset.candidates_sha256,
        "depth": dataset.depth,
        "model": model.name,
        "revision": model.revision,
        "dtype": model.dtype,
        "prompts": manifest.prompts,
    }
    _hear_changed(manifest.identity, facts, tell)
    for name, text in _names(manifest):
        if len(text) > LONGEST:
            tell.error(f"{len(text)} characters are no name", field=name)
        if not is_plain(text):
            tell.error("a control character in a name, or one that turns text around", field=name)


def _names(manifest: Manifest) -> Iterator[tuple[str, str]]:
    yield "run", manifest.run
    yield "method", manifest.method
    yield "model.id", manifest.model.id
    yield "model.name", manifest.model.name
    yield "dataset.id", manifest.dataset.id
    yield "dataset.first_stage", manifest.dataset.first_stage
    yield "environment.processor", manifest.environment.processor
    yield "environment.device", manifest.environment.device
    for name, sha256 in manifest.prompts.items():
        yield "prompts", name
        yield "prompts", sha256
    for text in (manifest.e2r, manifest.started, manifest.commit or "", *manifest.notes):
        yield "notes", text[:LONGEST]
    for name, version in manifest.environment.packages.items():
        yield "environment.packages", f"{name} {version}"


def _check_spec(spec: Spec, manifest: Manifest, tell: Teller) -> None:
    """What was asked is what the folder's hash speaks of."""
    facts: dict[str, Any] = {
        "depth": spec.data.depth,
        "revision": spec.model.revision,
        "query_tokens": spec.prompt.query_tokens,
        "passage_tokens": spec.prompt.passage_tokens,
        "seed": spec.seed,
        "method": _label(spec.method.name, manifest.identity),
        "k": spec.method.k,
        "fidelity": spec.method.fidelity,
        "parameters": dict(spec.method.parameters),
    }
    # A server does not tell its precision, whatever the spec asks of models here.
    if manifest.model.architecture is not None and manifest.model.server is None:
        facts["dtype"] = spec.model.dtype
    if spec.prompt.answer_tokens is not None:
        facts["answer_tokens"] = spec.prompt.answer_tokens
    if spec.method.then:
        told = manifest.identity.get("then")
        marks = told if isinstance(told, list) and len(told) == len(spec.method.then) else []
        sources = [mark.get("source") if isinstance(mark, dict) else None for mark in marks]
        sources += [None] * (len(spec.method.then) - len(sources))
        facts["then"] = [
            {
                "method": _label(stage.name, {"source": source}),
                "over": stage.over,
                "k": stage.k,
                "parameters": dict(stage.parameters),
                "template": stage.template,
                **({} if source is None else {"source": source}),
            }
            for stage, source in zip(spec.method.then, sources, strict=True)
        ]
    _hear_changed(manifest.identity, facts, tell)
    for name in ("answer_tokens", "then"):
        if name in manifest.identity and name not in facts:
            tell.error(f"{name} shaped the answers, but the spec has none", field=name)


def _label(word: str, identity: Mapping[str, Any]) -> str:
    """What a run calls a method: its own name, or its file's with the hash that it had."""
    return label_of(word, str(identity.get("source"))) if is_own(word) else word


def _hear_changed(named: Mapping[str, Any], facts: Mapping[str, Any], tell: Teller) -> None:
    for name, value in facts.items():
        if named.get(name) != value:
            told = changed({name: named.get(name)}, {name: value})
            tell.error(
                f"differs from the identity that the folder is named after; {told}", None, name
            )


def _check_records(records: Sequence[QueryRecord], manifest: Manifest, tell: Teller) -> None:
    seen = set[str]()
    for number, record in enumerate(records, start=1):
        for field, message in _faults(record, manifest):
            tell.error(f"query {record.qid[:LONGEST]}: {message}", number, field)
        if record.qid in seen:
            tell.error(f"query {record.qid} is there twice", number, "qid")
        seen.add(record.qid)
    if manifest.status == "complete":
        if len(records) != manifest.dataset.queries:
            tell.error(
                f"holds {len(records)} queries; the manifest speaks of {manifest.dataset.queries}"
            )
        if any(record.status != "ok" for record in records):
            tell.error("holds failed queries, but the manifest says complete", field="status")


def _faults(record: QueryRecord, manifest: Manifest) -> Iterator[tuple[str, str]]:
    """What is wrong with one line of per_query.jsonl: field and message."""
    if (record.status == "ok") != bool(record.ranking):
        yield "ranking", "a query that is ok has a ranking, a failed one has none"
    if record.rounds > record.calls + record.unanswered_rounds:
        yield "rounds", f"{record.rounds} rounds of {record.calls} calls"
    if record.parse_failures > record.calls or record.truncated > record.calls:
        yield "calls", "more calls failed or were cut than were made"
    if len(record.ranking) > manifest.dataset.depth:
        yield "ranking", f"ranks {len(record.ranking)} documents at depth {manifest.dataset.depth}"
    if len(set(record.ranking)) < len(record.ranking):
        yield "ranking", "ranks a document twice"
    if record.error is not None and len(record.error) > LONGEST_ERROR:
        yield "error", f"{len(record.error)} characters are too long for an error"
