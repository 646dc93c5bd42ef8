"""Collections in repositories of the Hugging Face Hub, laid out as BEIR's."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence, Set
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from e2r import hub
from e2r.data.collection import Judgments
from e2r.data.dataset import Queries
from e2r.data.files.corpus import IDS, TEXTS, first_of, joined
from e2r.data.files.lines import id_field
from e2r.data.files.qrels import HIGHEST_GRADE
from e2r.data.files.topics import IDS as QUERY_IDS
from e2r.data.files.topics import TEXTS as QUERY_TEXTS
from e2r.data.files.topics import chosen, unique
from e2r.data.files.trec import Run
from e2r.errors import DataError, E2RError, MissingError, UsageError

LARGE = 10**9
"""Bytes from which a corpus is streamed; a smaller one is fetched once and kept in the cache."""
BATCH = 1000
JUDGED = (
    ("query-id", "query_id", "qid"),
    ("corpus-id", "corpus_id", "doc_id", "docid"),
    ("score", "relevance", "label"),
)


class HubDataset:
    """REPO[@REVISION], or a folder that holds what such a repository does.

    Its configurations `corpus`, `queries`, and `qrels` or `default` are read; without the latter
    two, the judgments are in the repository REPO-qrels, as BEIR's are.
    """

    def __init__(self, word: str) -> None:
        """Raises MissingError without the library, DataError for what cannot be a repository."""
        try:
            import datasets
        except ImportError as error:
            raise MissingError(
                f"hf:{word} needs the package {error.name}; run: pip install 'e2r[data]'"
            ) from error
        if not sys.stderr.isatty():
            datasets.disable_progress_bars()
        self._label = f"hf:{word}"
        repository, _, revision = word.partition("@")
        self._parts = [_Repository(repository, revision or None)]

    @property
    def name(self) -> str:
        main = self._parts[0]
        return Path(main.repository).resolve().name if main.is_folder else main.repository

    def queries(self, field: str | None) -> Queries | None:
        found = self._parts[0].table("queries")
        if found is None:
            return None
        _, rows = found

        def texts() -> Iterator[tuple[str, str, str]]:
            for row in rows:
                qid = id_field(row, first_of(row, QUERY_IDS), self._label)
                where = f"{self._label}: query {qid}"
                yield self._label, qid, chosen(row, field, QUERY_TEXTS, where)

        return Queries(self._label, unique(texts()))

    def corpus(self) -> HubCorpus | None:
        repository = self._parts[0]
        return HubCorpus(self._label, repository) if repository.builder("corpus") else None

    def judgments(self, part: str | None) -> Judgments | None:
        main = self._parts[0]
        found = main.table("qrels", part) or main.table("default", part)
        beside = main.beside("-qrels") if found is None else None
        if beside is not None:
            self._parts.append(beside)
            found = _unless_absent(beside, part)
        return None if found is None else _judgments(self._label, found[1])

    def candidates(self) -> tuple[str, Run] | None:
        return None

    def revision(self) -> str | None:
        """Each repository that was read, at its commit; local folders have none."""
        texts = [f"hf:{part.repository}@{part.commit}" for part in self._parts if part.commit]
        return "; ".join(texts) or None


class HubCorpus:
    """The corpus of a repository, read in batches and never held."""

    def __init__(self, label: str, repository: _Repository) -> None:
        self.label = label
        self._repository = repository

    def texts(self, wanted: Set[str]) -> tuple[dict[str, str], int | None]:
        texts: dict[str, str] = {}
        size, rows = self._rows()
        seen = 0
        for docid, row in rows:
            seen += 1
            if docid not in wanted:
                continue
            if docid in texts:
                raise DataError(f"{self.label}: document {docid} is there twice")
            text = self._text(docid, row)
            if not text.strip():
                raise DataError(f"{self.label}: document {docid} has no text")
            texts[docid] = text
            if size is not None and len(texts) == len(wanted):
                return texts, size
        return texts, seen

    def documents(self) -> Iterator[tuple[str, str]]:
        for docid, row in self._rows()[1]:
            yield docid, self._text(docid, row)

    def _text(self, docid: str, row: dict[str, Any]) -> str:
        try:
            return joined(row)
        except ValueError as error:
            raise DataError(f"{self.label}: document {docid}: {error}") from None

    def _rows(self) -> tuple[int | None, Iterator[tuple[str, dict[str, Any]]]]:
        found = self._repository.table("corpus", columns=(*IDS, *TEXTS, "title"))
        if found is None:
            raise UsageError(f"{self.label} has no corpus; name another source by --corpus")
        size, rows = found
        return size, ((id_field(row, first_of(row, IDS), self.label), row) for row in rows)


class _Repository:
    """One repository or folder, whose configurations are opened by name."""

    def __init__(self, repository: str, revision: str | None) -> None:
        self.repository = repository
        self.is_folder = Path(repository).is_dir()
        self.commit: str | None = None
        self._revision = revision
        self._builders: dict[str, Any] = {}
        if not self.is_folder and not re.fullmatch(r"[\w.-]+/[\w.-]+", repository):
            raise DataError(f"hf:{repository}: neither a folder here nor a name as OWNER/NAME")
        if self.is_folder and revision is not None:
            raise UsageError(f"hf:{repository} is a folder, without revisions; drop @{revision}")

    def beside(self, ending: str) -> _Repository | None:
        """The repository of the same name with an ending; None for a folder that is not there."""
        name = f"{self.repository.rstrip('/')}{ending}"
        return None if self.is_folder and not Path(name).is_dir() else _Repository(name, None)

    def builder(self, config: str) -> Any:
        """What the library reads a configuration with; None for one that there is not."""
        import datasets

        if config not in self._builders:
            if not self.is_folder and not hub.answers():
                datasets.config.HF_HUB_OFFLINE = True
            with self._asking():
                try:
                    builder = datasets.load_dataset_builder(
                        self.repository, config, revision=self.commit or self._revision
                    )
                except ValueError as error:
                    # Of the cache alone, nobody can say what the repository has besides.
                    optional = config in ("qrels", "default") and "find cache" in str(error)
                    if "BuilderConfig" not in str(error) and not optional:
                        raise
                    builder = None
            self._builders[config] = builder
            if builder is not None and not self.is_folder:
                self._pin(str(builder.hash))
        return self._builders[config]

    def _pin(self, commit: str) -> None:
        """Stay at the commit that was read first, which is the one that was asked for."""
        asked = self._revision or ""
        if re.fullmatch("[0-9a-f]{40}", asked) and commit != asked:
            raise MissingError(
                f"hf:{self.repository}: the cache holds {commit}, not {asked}; {self._ask()}"
            )
        self.commit = commit

    def table(
        self, config: str, split: str | None = None, columns: Sequence[str] = ()
    ) -> tuple[int | None, Iterator[dict[str, Any]]] | None:
        """The number of rows where it is known, and the rows; None without that configuration."""
        builder = self.builder(config)
        if builder is None:
            return None
        known = builder.info.splits or {}
        files = getattr(builder.config, "data_files", None) or known
        name = _split(f"hf:{self.repository}", config, [str(name) for name in files], split)
        size = builder.info.dataset_size
        offline = not self.is_folder and not hub.answers()
        with self._asking():
            if config == "corpus" and (size is None or size > LARGE) and not offline:
                table = builder.as_streaming_dataset(split=name)
            else:
                builder.download_and_prepare()
                table = builder.as_dataset(split=name)
                known = builder.info.splits
            wanted = [name for name in table.column_names or () if name in columns]
            if wanted:
                table = table.select_columns(wanted)
        return known[name].num_examples if name in known else None, self._rows(table)

    def _rows(self, table: Any) -> Iterator[dict[str, Any]]:
        with self._asking():
            for batch in table.iter(batch_size=BATCH):
                for values in zip(*batch.values(), strict=True):
                    yield dict(zip(batch, values, strict=True))

    @contextmanager
    def _asking(self) -> Iterator[None]:
        """Turn what the libraries raise into one error."""
        try:
            yield
        except E2RError:
            raise
        except Exception as error:
            # httpx's errors, which the Hub's client lets through, are no OSErrors.
            refused = isinstance(error, OSError) or "httpx" in type(error).__module__
            said = str(error.__cause__ or error).strip() or type(error).__name__
            reason = f"hf:{self.repository}: {said}"
            if refused or "find cache" in reason:
                raise MissingError(f"{reason}; {self._ask()}") from error
            raise DataError(f"{reason}; is this a repository of tables?") from error

    def _ask(self) -> str:
        folder = Path(self.repository).name
        return (
            f"fetch it where there is a network (hf download {self.repository} --repo-type dataset "
            f"--local-dir {folder}) and pass hf:{folder}"
        )


def _unless_absent(beside: _Repository, part: str | None) -> Any:
    """The judgments' table, or None where the Hub says that there is no such repository."""
    from datasets.exceptions import DatasetNotFoundError

    try:
        return beside.table("default", part)
    except MissingError as error:
        if isinstance(error.__cause__, DatasetNotFoundError):
            return None
        raise


def _split(label: str, config: str, names: list[str], asked: str | None) -> str:
    """The split asked for, else the one called as its configuration, the only one, or test."""
    wanted = [asked] if asked else [config, *names[: len(names) == 1], "test"]
    found = next((name for name in wanted if name in names), None)
    if found is None:
        raise UsageError(
            f"{label}: its {config} have the splits {', '.join(names)}; name one by --qrels "
            f"{label}#SPLIT"
        )
    return found


def _judgments(label: str, rows: Iterator[dict[str, Any]]) -> Judgments:
    judgments: dict[str, dict[str, int]] = {}
    for row in rows:
        qid, docid, grade = (row.get(first_of(row, names)) for names in JUDGED)
        if qid is None or docid is None or not isinstance(grade, int | float) or grade % 1:
            raise DataError(
                f"{label}: a judgment has {', '.join(names[0] for names in JUDGED)} (a whole "
                f"number); this one is {row}"
            )
        if abs(grade) > HIGHEST_GRADE:
            raise DataError(f"{label}: grade {grade} of query {qid} is out of any scale")
        known = judgments.setdefault(str(qid), {})
        if known.setdefault(str(docid), int(grade)) != int(grade):
            raise DataError(f"{label}: document {docid} has two grades for query {qid}")
    return judgments
