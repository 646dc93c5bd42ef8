"""A priced row on disk: what a published ranking is worth and costs, as derived figures only."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from e2r.borders.reading import RESULT_BYTES, json_file, sha256_of
from e2r.borders.writing import replacing, write
from e2r.errors import DataError
from e2r.records.spec import describe

PRICED, CALLS = "priced.json", "calls.parquet"
COUNTED = (
    "prompt_tokens",
    "cached_tokens",
    "decoder_prompt_tokens",
    "generated_tokens",
    "head_positions",
)
SCHEMA = pa.schema(
    [("qid", pa.string()), *((name, pa.int64()) for name in COUNTED), ("calls", pa.int64())]
)

Known = Literal["replayed", "logged", "estimate", "means"]
"""How a price is known: calls replayed from the ranking, calls that were logged, calls that a heap
sort makes about, or means a query as its authors print them."""
SAYS: Mapping[str, str] = {
    "replayed": "exact: its calls were replayed from the ranking",
    "logged": "exact: its calls were logged",
    "estimate": "estimate: a heap sort's calls were simulated by the order of its ranking",
    "means": "means: as many calls of the mean length as its authors print",
}


class _Part(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, populate_by_name=True, allow_inf_nan=False
    )


class Origin(_Part):
    """Where a ranking came from: its address, the file's name and hash, its licence if known."""

    source: str
    file: str
    sha256: str
    licence: str | None = None


class PricedDataset(_Part):
    """What was reranked and judged."""

    id: str
    first_stage: str
    depth: int
    candidates_sha256: str
    judgments_sha256: str
    documents: int | None = None


class Priced(_Part):
    """A priced row: no ranking and no text of others is in it.

    `measures` holds values by measure and query; `tokenizer` is the hash of the file that counted,
    `mended` says that its passages read as ir_datasets gives them,
    `files` are the hashes of the other files. `idle` is set where the ranking is the first stage's
    order, or follows from it alone: a model that answers every call alike leaves these.
    """

    schema_version: Literal[1] = Field(1, alias="schema")
    known: Known
    origin: Origin
    dataset: PricedDataset
    model: str
    architecture: dict[str, Any]
    method: str
    parameters: dict[str, int]
    template: str | None
    template_sha256: str | None
    tokenizer: str | None
    mended: bool = False
    qids: list[str]
    measures: dict[str, dict[str, float]]
    missing: list[str] = []
    idle: Literal["first stage", "one order"] | None = None
    made: str
    e2r: str
    files: dict[str, str]

    @property
    def hash8(self) -> str:
        """Eight hex digits of what the row is of: the ranking, its method and what was reranked."""
        facts = self.model_dump(
            mode="json", include={"origin", "dataset", "model", "method", "parameters", "known"}
        )
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:8]

    @classmethod
    def load(cls, folder: Path) -> Priced:
        """Read and check a folder. Raises DataError with file and field."""
        path = folder / PRICED
        try:
            found = cls.model_validate(json_file(path, RESULT_BYTES, follow=False))
        except FileNotFoundError:
            raise DataError(f"{path}: no such file") from None
        except OSError as error:
            raise DataError(f"{path}: cannot be read ({error.strerror})") from None
        except ValidationError as error:
            raise DataError(f"{path}: {describe(error)}") from None
        for name, values in found.measures.items():
            if values.keys() != {*found.qids, *found.missing}:
                raise DataError(f"{path}: field measures: {name} is not of the row's queries")
        if found.files.get(CALLS) != sha256_of(folder / CALLS, follow=False):
            raise DataError(f"{folder / CALLS}: is not the file that {PRICED} names")
        return found


def folder_of(runs: Path, row: Priced) -> Path:
    """Where a row lies: <dataset>/<model>/<method>--<hash8>, as runs do."""
    names = (row.dataset.id, row.model.rpartition("/")[2], row.method)
    dataset, model, method = (_slug(name) for name in names)
    return runs / dataset / model / f"{method}--{row.hash8}"


def _slug(name: str) -> str:
    return "".join(c if c.isalnum() or c in "._-" else "-" for c in name).strip(".") or "unnamed"


def write_priced(
    folder: Path, row: Priced, calls: Iterable[tuple[str, tuple[int, ...], int]]
) -> Priced:
    """Write a row and its calls, (query, counts in the order of COUNTED, how many such calls)."""
    folder.mkdir(parents=True, exist_ok=True)
    columns: list[list[Any]] = [[] for _ in SCHEMA]
    for qid, counts, several in calls:
        for column, value in zip(columns, (qid, *counts, several), strict=True):
            column.append(value)
    arrays = [pa.array(c, type=f.type) for c, f in zip(columns, SCHEMA, strict=True)]
    with (
        replacing(folder / CALLS, root=folder) as stream,
        pq.ParquetWriter(stream, SCHEMA, compression="zstd") as writer,
    ):
        writer.write_table(pa.Table.from_arrays(arrays, schema=SCHEMA))
    whole = row.model_copy(update={"files": {CALLS: sha256_of(folder / CALLS)}})
    content = whole.model_dump(mode="json", by_alias=True)
    write(folder / PRICED, (json.dumps(content, indent=1) + "\n").encode(), root=folder)
    return whole


def read_calls(folder: Path) -> pa.Table:
    """The calls of a priced row, equal ones once. Raises DataError where they are none."""
    path = folder / CALLS
    try:
        with pq.ParquetFile(path) as file:
            if file.schema_arrow.names != SCHEMA.names:
                raise DataError(f"{path}: its columns are not {', '.join(SCHEMA.names)}")
            table = file.read().cast(SCHEMA)
    except (OSError, pa.ArrowException, ValueError) as error:
        raise DataError(f"{path}: not a readable file of calls ({error})") from None
    for name in (*COUNTED, "calls"):
        values = table[name]
        if values.null_count or (len(values) and min(values.to_pylist()) < 0):
            raise DataError(f"{path}: field {name}: is missing or negative somewhere")
    return table
