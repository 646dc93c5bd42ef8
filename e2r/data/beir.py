"""BEIR folders: corpus.jsonl, queries.jsonl and qrels/*.tsv."""

from __future__ import annotations

from pathlib import Path

from e2r.data.collection import Judgments
from e2r.data.dataset import Queries
from e2r.data.files.corpus import FileCorpus
from e2r.data.files.qrels import read_qrels
from e2r.data.files.topics import read_queries
from e2r.data.files.trec import Run, read_run
from e2r.errors import DataError

DEMO = Path(__file__).parent / "demo"


class BeirFolder:
    """A collection in BEIR's layout; files may be gzipped."""

    def __init__(self, folder: str) -> None:
        """Raises DataError where there is no such folder."""
        self._folder = Path(folder)
        if not self._folder.is_dir():
            raise DataError(f"{folder}: no such folder; beir:FOLDER wants a BEIR folder")

    @property
    def name(self) -> str:
        return self._folder.resolve().name

    def queries(self, field: str | None) -> Queries:
        path = self._file("queries.jsonl")
        return Queries(str(path), read_queries(path, field))

    def corpus(self) -> FileCorpus:
        return FileCorpus(self._file("corpus.jsonl"))

    def judgments(self, part: str | None) -> Judgments:
        if part is not None:
            return read_qrels(self._folder / "qrels" / f"{part}.tsv")
        return read_qrels(qrels_path(self._folder))

    def candidates(self) -> tuple[str, Run] | None:
        return None

    def revision(self) -> None:
        """Files speak for themselves: the record holds hashes of what was read from them."""
        return

    def _file(self, name: str) -> Path:
        zipped = self._folder / f"{name}.gz"
        return zipped if zipped.is_file() else self._folder / name


class Demo(BeirFolder):
    """The demonstration collection that comes with e2r, with BM25's candidates."""

    def __init__(self) -> None:
        super().__init__(str(DEMO))

    def candidates(self) -> tuple[str, Run]:
        return "BM25", read_run(DEMO / "bm25.run")


def qrels_path(folder: Path) -> Path:
    """The folder's judgments: qrels/test.tsv, or the only file in qrels."""
    test = folder / "qrels" / "test.tsv"
    if test.is_file():
        return test
    files = sorted((folder / "qrels").glob("*.tsv"))
    if len(files) != 1:
        found = ", ".join(file.name for file in files) or "nothing"
        raise DataError(
            f"{folder / 'qrels'}: test.tsv is missing ({found} there); choose one by "
            "--qrels beir:FOLDER#NAME"
        )
    return files[0]
