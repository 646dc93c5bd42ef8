"""A run folder while it grows and when it is whole: lock, parts, resume, final files."""

from __future__ import annotations

import errno
import fcntl
import io
import json
import os
import shlex
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO

from e2r.borders.reading import (
    RUN_BYTES,
    SPEC_BYTES,
    FileError,
    opened,
    sha256_of,
)
from e2r.borders.writing import (
    append,
    lock_file,
    make_folder,
    remove_file,
    remove_own,
    replacing,
    write,
)
from e2r.data.files.trec import Run, read_run
from e2r.data.progress import Working, unheard
from e2r.errors import DataError, IncompleteError, UsageError
from e2r.records.ledger import Call
from e2r.records.lines import Placed, placed
from e2r.records.manifest import Manifest
from e2r.records.parts import NOTHING, LostError, Parts
from e2r.records.query import QueryRecord
from e2r.records.ranking import run_lines

# No space, no quota, a file over its limit, a disk that fails or has been made read-only.
DISK_FAULTS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS}
FINAL_FILES = ("spec.toml", "ledger.parquet", "per_query.jsonl", "run.trec.gz")


NONE: Mapping[str, int] = MappingProxyType({})
GZIP = 31
"""zlib's word for a gzip file, which holds no time."""


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
        self.parts = Parts(path / "parts")

    @property
    def exists(self) -> bool:
        """Whether a run was ever begun here."""
        return self.manifest_path.is_file()

    @property
    def go_on(self) -> str:
        """The command that goes on with an interrupted run."""
        return shlex.join(["e2r", "run", str(self.spec_path), "--resume"])

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the folder for one process; the lock goes with the process, however it ends.

        Its file goes too, unless the process is killed. Raises UsageError while another process
        holds it.
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
                # Whoever ended between opening and locking took the file away with it.
                held = (self.path / ".lock").stat().st_ino == os.fstat(handle.fileno()).st_ino
            except (BlockingIOError, FileNotFoundError):
                held = False
            if not held:
                raise UsageError(
                    f"{self.path}: another process is writing this run; wait for it or stop it"
                )
            # What a kill left of a write; nobody else writes here now.
            remove_own(self.path, NOTHING)
            try:
                yield
            finally:
                # A folder that has gone, or may not be written any more, needs no unlocking.
                with suppress(OSError, UsageError):
                    remove_file(self.path / ".lock", self._root)

    @contextmanager
    def interrupted_by_disk(self, queries: int) -> Iterator[None]:
        """Turn a disk or a folder that takes no more into an IncompleteError.

        What finished is in place, as far as the folder is.
        """
        try:
            yield
        except OSError as error:
            place = str(error.filename or self.path)
            if error.errno in DISK_FAULTS:
                mend = "make room there, then go on"
            elif Path(place).is_relative_to(self.path):
                mend = "give back the folder and the right to write in it, then go on"
            else:
                raise
            raise IncompleteError(
                f"{place}: cannot be written ({error.strerror}); {mend}; "
                f"{self.how_much_is_missing(queries)}"
            ) from error

    def how_much_is_missing(self, queries: int) -> str:
        """How many of so many queries have no ranking yet, and the command that goes on."""
        try:
            states = [record.status for record in self.records(cut_line_is_error=False)]
        except DataError as error:
            return f"{error}; then {self.go_on}"
        failed = sum(status != "ok" for status in states)
        return (
            f"{queries - len(states) + failed} of {queries} queries are missing"
            f"{f' ({failed} of them failed)' if failed else ''}; nothing that finished is lost: "
            f"{self.go_on}"
        )

    def start(
        self,
        spec: str,
        manifest: Manifest,
        finished: Mapping[str, int] = NONE,
        faulty: Iterable[str] = (),
    ) -> None:
        """Write what was asked, that the run has started, and the queries that it goes on from.

        `finished` are the places of their lines, as the method of that name gives them. All others
        are forgotten: they will be asked again. Parts of `faulty` ones, which cannot be read, are
        moved aside, and the rest removed.
        """
        self.parts.begin(self.path, finished, faulty)
        write(self.spec_path, spec.encode())
        self.write_manifest(manifest)
        with self._lines() as lines, replacing(self.per_query_path) as stream:
            for place in finished.values():
                stream.write(_line(lines.record(place)))

    @contextmanager
    def _lines(self) -> Iterator[Placed]:
        """The lines of per_query.jsonl as it is now, wherever it is moved while they are read."""
        stream: BinaryIO = io.BytesIO()
        with suppress(FileNotFoundError):
            stream = opened(self.per_query_path, follow=False)
        with stream:
            yield Placed(self.per_query_path, stream)

    def write_manifest(self, manifest: Manifest) -> None:
        text = json.dumps(manifest.model_dump(mode="json", by_alias=True), indent=2)
        write(self.manifest_path, text.encode() + b"\n")

    def write_metadata(self, text: str) -> None:
        """Write the ir_metadata sidecar."""
        write(self.metadata_path, text.encode())

    def manifest(self) -> Manifest:
        """The manifest. Raises DataError where it is missing or wrong."""
        return Manifest.load(self.manifest_path)

    def finished(self, tell: Working = unheard) -> tuple[dict[str, int], dict[str, str]]:
        """The finished queries of an interrupted run, and why others cannot be gone on from.

        Of a finished one the place of its line in per_query.jsonl. A line cut short at the end is
        left out, and so is a failed query. A query whose calls are not on disk, whole and
        readable, is faulty. Nothing is changed; `tell` hears how many parts have been read.
        """
        finished: dict[str, int] = {}
        faulty: dict[str, str] = {}
        count = sum(record.status == "ok" for record in self.records(cut_line_is_error=False))
        for place, record in placed(self.per_query_path, cut_line_is_error=False):
            if record.status != "ok":
                continue
            tell("reading the parts that are there", len(finished) + len(faulty), count)
            fault = self.parts.fault(record)
            if fault is None:
                finished[record.qid] = place
            else:
                faulty[record.qid] = fault
        return finished, faulty

    def commit(self, several: Sequence[tuple[QueryRecord, Sequence[Call]]]) -> None:
        """Put finished queries on disk: their calls first, then the lines that say so.

        Where not all have room, as many as have.
        """
        try:
            self._commit(several)
        except OSError:
            if len(several) == 1:
                raise
            for one in several:
                self._commit([one])

    def _commit(self, several: Sequence[tuple[QueryRecord, Sequence[Call]]]) -> None:
        self.parts.write({record.qid: calls for record, calls in several if calls})
        append(self.per_query_path, b"".join(_line(record) for record, _ in several))

    def finish(self, manifest: Manifest, order: Sequence[str], tell: Working = unheard) -> None:
        """Merge the parts, write the ranking, close the manifest and remove the parts.

        `order` lists the query ids as the collection has them; all files follow it, so that an
        interrupted run ends with the files of an undisturbed one. One query is in memory at a
        time; `tell` hears how many have been merged. Raises IncompleteError where the line or the
        calls of a query have gone since it finished.
        """
        found: dict[str, int] = {}
        for place, record in placed(self.per_query_path, cut_line_is_error=False):
            tell("looking for what each query left", len(found), len(order))
            found[record.qid] = place
        places = [found[qid] for qid in order if qid in found]
        lost = {
            qid: f"{self.per_query_path}: has lost its line" for qid in order if qid not in found
        }
        packer, tag = zlib.compressobj(wbits=GZIP), f"e2r-{manifest.method}"
        try:
            with (
                self._lines() as lines,
                replacing(self.per_query_path) as stream,
                replacing(self.run_path) as ranking,
            ):

                def merged() -> Iterator[QueryRecord]:
                    for number, place in enumerate(places):
                        tell("putting the parts together", number, len(places))
                        record = lines.record(place)
                        stream.write(_line(record))
                        of_it = run_lines(record.qid, record.ranking, tag)
                        ranking.write(packer.compress(of_it))
                        yield record

                self.parts.merge(merged(), self.ledger_path)
                if lost:
                    raise LostError(lost)
                ranking.write(packer.flush())
        except LostError as error:
            lost |= error.queries
            qid, why = next(iter(lost.items()))
            raise IncompleteError(
                f"{self.path}: {len(lost)} of {len(order)} queries have lost their calls since "
                f"they were answered, the first is {qid} ({why}); does somebody else write or "
                f"remove files there? They are asked again by {self.go_on}"
            ) from None
        # Of a run that goes on it tells of other files than these; `evaluate` writes it anew.
        remove_file(self.result_path, self._root)
        files = {name: sha256_of(self.path / name, follow=False) for name in FINAL_FILES}
        self.write_manifest(manifest.model_copy(update={"files": files}))
        if manifest.status == "complete":
            self.parts.remove(tell)

    def per_query(self, cut_line_is_error: bool = True) -> list[QueryRecord]:
        """The finished queries, in file order. Raises DataError with the line for a broken one."""
        return list(self.records(cut_line_is_error))

    def records(self, cut_line_is_error: bool = True) -> Iterator[QueryRecord]:
        """The finished queries one at a time; as `per_query`, for runs too large to hold."""
        return (record for _, record in placed(self.per_query_path, cut_line_is_error))

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


def _line(record: QueryRecord) -> bytes:
    """A line of per_query.jsonl."""
    return json.dumps(vars(record)).encode() + b"\n"
