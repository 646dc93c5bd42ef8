"""A run folder while it grows and when it is whole: lock, parts, resume, final files."""

from __future__ import annotations

import errno
import fcntl
import gzip
import hashlib
import json
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from types import MappingProxyType

from e2r.borders.figures import fault
from e2r.borders.reading import (
    JSON_LINE_BYTES,
    LONGEST_NAME,
    RUN_BYTES,
    SPEC_BYTES,
    FileError,
    json_value,
    opened,
    sha256_of,
    shortened,
)
from e2r.borders.writing import (
    append,
    lock_file,
    make_folder,
    remove_folder_if_empty,
    remove_own,
    write,
)
from e2r.data.files.trec import Run, read_run
from e2r.errors import DataError, IncompleteError, UsageError
from e2r.records.ledger import Call, merge_parts, write_part
from e2r.records.manifest import Manifest

# No space, no quota, a file over its limit, a disk that fails or has been made read-only.
DISK_FAULTS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS}
FINAL_FILES = ("spec.toml", "ledger.parquet", "per_query.jsonl", "run.trec.gz")
PART = re.compile(r"[0-9a-f]{16}\.parquet")
"""Names of parts; a query id may hold any character, and so its hash names its part."""
NOTHING = re.compile(r"(?!)")


@dataclass(frozen=True)
class QueryRecord:
    """One line of per_query.jsonl: a query that finished, well (`ok`) or not (`failed`).

    `truncated` counts the calls that had text cut away. `query_terms` counts the query's words,
    which the first stage's price needs; where e2r searched itself, `searched_terms` and `postings`
    are the distinct terms that were looked up and the documents that hold them, summed over terms.
    `ranking` holds the reranked docids, best first; it is
    empty for a failed query.
    """

    qid: str
    status: str
    calls: int
    rounds: int
    prompt_tokens: int
    generated_tokens: int
    parse_failures: int
    truncated: int
    seconds: float
    query_terms: int
    ranking: tuple[str, ...]
    error: str | None = None
    searched_terms: int | None = None
    postings: int | None = None


WORDS = {"qid", "status", "ranking", "error"}
STATUSES = ("ok", "failed")
OF_A_QUERY = {
    name: f"query.{name}" for name in ("prompt_tokens", "generated_tokens", "truncated", "seconds")
}
"""Figures of a query that sum up those of its calls, and so have ranges of their own."""


def query_record(line: bytes) -> QueryRecord:
    """A line of per_query.jsonl. Raises ValueError for anything but names and possible figures."""
    if len(line) > JSON_LINE_BYTES:
        raise ValueError(f"a line of more than {JSON_LINE_BYTES >> 20} MiB")
    values = json_value(line)
    names = {field.name for field in fields(QueryRecord)}
    optional = {"error", "searched_terms", "postings"}
    if not isinstance(values, dict) or not names - optional <= values.keys() <= names:
        raise ValueError("its fields are not those of a query")
    for field, value in values.items():
        name = str(field)
        if name in WORDS or (value is None and name in optional):
            continue
        if (why := fault(OF_A_QUERY.get(name, name), value)) is not None:
            raise ValueError(f"{name} {why}")
    ranking, error = values["ranking"], values.get("error")
    if not isinstance(ranking, list) or not all(isinstance(name, str) for name in ranking):
        raise ValueError("ranking is no list of document ids")
    for word in (values["qid"], *ranking):
        if not isinstance(word, str) or word.split() != [word] or len(word) > LONGEST_NAME:
            raise ValueError(f"{str(word)[:40]!r} is no id")
    if values["status"] not in STATUSES:
        raise ValueError(f"status is {str(values['status'])[:40]!r}; ok or failed is wanted")
    if error is not None and not isinstance(error, str):
        raise ValueError("error is no text")
    return QueryRecord(**{**values, "ranking": tuple(ranking)})


NONE: Mapping[str, QueryRecord] = MappingProxyType({})


class RunFolder:
    """Reads and writes the files of one run, at `path`.

    Below `root` a link on the way is refused; without it, the folder itself may be none.
    """

    def __init__(self, path: Path, root: Path | None = None) -> None:
        self.path = path
        self._root = root or path.parent
        self.manifest_path = path / "manifest.json"
        self.ledger_path = path / "ledger.parquet"
        self.per_query_path = path / "per_query.jsonl"
        self.run_path = path / "run.trec.gz"
        self.spec_path = path / "spec.toml"
        self.result_path = path / "result.json"
        self.metadata_path = path / "ir-metadata.yml"
        self._parts = path / "parts"

    @property
    def exists(self) -> bool:
        """Whether a run was ever begun here."""
        return self.manifest_path.is_file()

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the folder for one process; the lock goes with the process, however it ends.

        Raises UsageError while another process holds it.
        """
        try:
            make_folder(self.path, self._root)
            handle = lock_file(self.path / ".lock")
        except OSError as error:
            raise UsageError(
                f"{self.path}: cannot be written ({error.strerror}); name another folder by --runs"
            ) from None
        with handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise UsageError(
                    f"{self.path}: another process is writing this run; wait for it or stop it"
                ) from None
            # What a kill left of a write; nobody else writes here now.
            remove_own(self.path, NOTHING)
            yield

    @contextmanager
    def interrupted_by_disk(self, queries: int) -> Iterator[None]:
        """Turn a disk that takes no more into an IncompleteError: what finished is in place."""
        try:
            yield
        except OSError as error:
            if error.errno not in DISK_FAULTS:
                raise
            place = error.filename or self.path
            raise IncompleteError(
                f"{place}: cannot be written ({error.strerror}); make room there, then go on; "
                f"{self.how_much_is_missing(queries)}"
            ) from error

    def how_much_is_missing(self, queries: int) -> str:
        """How many of so many queries have no ranking yet, and the command that goes on."""
        records = self.per_query(cut_line_is_error=False)
        failed = sum(record.status != "ok" for record in records)
        words = shlex.join(["e2r", "run", str(self.spec_path), "--resume"])
        return (
            f"{queries - len(records) + failed} of {queries} queries are missing"
            f"{f' ({failed} of them failed)' if failed else ''}; nothing that finished is lost: "
            f"{words}"
        )

    def start(
        self, spec: str, manifest: Manifest, finished: Mapping[str, QueryRecord] = NONE
    ) -> None:
        """Write what was asked, that the run has started, and the queries that it goes on from.

        All others are forgotten, with their parts: they will be asked again.
        """
        make_folder(self._parts, self.path)
        write(self.spec_path, spec.encode())
        self.write_manifest(manifest)
        lines = "".join(f"{json.dumps(asdict(record))}\n" for record in finished.values())
        write(self.per_query_path, lines.encode())
        remove_own(self._parts, PART, frozenset(self._part(qid).name for qid in finished))

    def write_manifest(self, manifest: Manifest) -> None:
        text = json.dumps(manifest.model_dump(mode="json", by_alias=True), indent=2)
        write(self.manifest_path, text.encode() + b"\n")

    def write_metadata(self, text: str) -> None:
        """Write the ir_metadata sidecar."""
        write(self.metadata_path, text.encode())

    def remove_parts(self) -> None:
        """Remove the parts that a kill left behind after the run was complete."""
        remove_own(self._parts, PART)
        remove_folder_if_empty(self._parts)

    def manifest(self) -> Manifest:
        """The manifest. Raises DataError where it is missing or wrong."""
        return Manifest.load(self.manifest_path)

    def finished(self) -> dict[str, QueryRecord]:
        """The finished queries of an interrupted run; nothing is changed.

        A line cut short at the end of per_query.jsonl is left out, and so are a failed query and
        one whose part is missing.
        """
        return {
            record.qid: record
            for record in self.per_query(cut_line_is_error=False)
            if record.status == "ok" and (self._part(record.qid).is_file() or not record.calls)
        }

    def commit(self, record: QueryRecord, calls: Sequence[Call]) -> None:
        """Put one finished query on disk: its calls first, then the line that says so."""
        if calls:
            write_part(self._part(record.qid), calls)
        append(self.per_query_path, json.dumps(asdict(record)).encode() + b"\n")

    def finish(self, manifest: Manifest, order: Iterable[str]) -> None:
        """Merge the parts, write the ranking, close the manifest and remove the parts.

        `order` lists the query ids as the collection has them; all files follow it, so that an
        interrupted run ends with the files of an undisturbed one.
        """
        finished = {record.qid: record for record in self.per_query(cut_line_is_error=False)}
        records = [finished[qid] for qid in order if qid in finished]
        lines = "".join(f"{json.dumps(asdict(record))}\n" for record in records)
        write(self.per_query_path, lines.encode())
        parts = [self._part(record.qid) for record in records if record.calls]
        merge_parts((part for part in parts if part.is_file()), self.ledger_path)
        write(self.run_path, gzip.compress(_run_lines(records, manifest), mtime=0))
        files = {name: sha256_of(self.path / name, follow=False) for name in FINAL_FILES}
        self.write_manifest(manifest.model_copy(update={"files": files}))
        if manifest.status == "complete":
            self.remove_parts()

    def per_query(self, cut_line_is_error: bool = True) -> list[QueryRecord]:
        """The finished queries, in file order. Raises DataError with the line for a broken one."""
        path = self.per_query_path
        records: list[QueryRecord] = []
        try:
            stream = opened(path, follow=False)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise DataError(f"{path}: cannot be read ({error.strerror})") from None
        with stream:
            number = 0
            while line := stream.readline(JSON_LINE_BYTES + 1):
                number += 1
                try:
                    records.append(query_record(line))
                except ValueError as error:
                    # A kill may have cut the last line short.
                    if not cut_line_is_error and not stream.read(1):
                        break
                    raise DataError(
                        f"{path}:{number}: not a query record ({shortened(error)})"
                    ) from None
        return records

    def ranking(self) -> Run:
        """The reranked run, best first. Raises DataError where it is missing or malformed."""
        return read_run(self.run_path)

    def verify_files(self) -> None:
        """Raise DataError naming a file that is not the one the manifest speaks of."""
        for path, why in self.changed_files(self.manifest()):
            raise DataError(f"{path}: {why}")

    def changed_files(self, manifest: Manifest) -> Iterator[tuple[Path, str]]:
        """Each file that is not the one the manifest speaks of, and what to do."""
        for name in FINAL_FILES:
            path = self.path / name
            most = SPEC_BYTES if name == "spec.toml" else RUN_BYTES
            try:
                found = sha256_of(path, most, follow=False)
            except FileNotFoundError:
                yield path, "missing; remove the folder and make the run again"
                continue
            except (OSError, FileError) as error:
                yield path, str(error).removeprefix(f"{path}: ")
                continue
            if found != manifest.files.get(name):
                yield (
                    path,
                    "changed since the run finished (its sha256 is not the manifest's); restore "
                    "it, or remove the folder and make the run again",
                )

    def _part(self, qid: str) -> Path:
        """A query's part, named by hash: a query id may hold any character."""
        return self._parts / f"{hashlib.sha256(qid.encode()).hexdigest()[:16]}.parquet"


def _run_lines(records: Iterable[QueryRecord], manifest: Manifest) -> bytes:
    """TREC run lines whose scores fall strictly, from the list's length down to 1."""
    tag = f"e2r-{manifest.method}"
    return "".join(
        f"{record.qid} Q0 {docid} {rank} {len(record.ranking) - rank + 1} {tag}\n"
        for record in records
        for rank, docid in enumerate(record.ranking, start=1)
    ).encode()
