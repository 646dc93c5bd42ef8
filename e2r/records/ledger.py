"""The ledger: one row a model call, holding facts (tokens, answer, seconds) and nothing derived."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from e2r.borders.writing import replacing
from e2r.errors import DataError

ROWS_A_GROUP = 2**15

SCHEMA = pa.schema(
    [
        ("qid", pa.string()),
        ("round", pa.int32()),
        ("call", pa.int32()),
        ("task", pa.string()),
        ("docids", pa.list_(pa.string())),
        ("prompt_tokens", pa.int64()),
        ("cached_tokens", pa.int64()),
        ("decoder_prompt_tokens", pa.int64()),
        ("generated_tokens", pa.int64()),
        ("head_positions", pa.int64()),
        ("padded_tokens", pa.int64()),
        ("truncated", pa.int64()),
        ("answer", pa.string()),
        ("parsed", pa.bool_()),
        ("seconds", pa.float64()),
        ("batch_size", pa.int32()),
    ],
    metadata={"e2r.schema": "1"},
)


@dataclass(frozen=True, slots=True)
class Call:
    """One row of the ledger.

    `round` and `call` count from 0 within the query. `docids` are those asked about, in prompt
    order. `prompt_tokens` includes `cached_tokens`; neither includes `padded_tokens`. A server that
    does not report cached tokens leaves them None: unknown, not 0.
    `head_positions` is how many positions the head read in the first pass. `truncated` counts the
    tokens that were cut from query and passages. `answer` is JSON: a number, a docid, a list of
    docids or of lists of numbers, or null where the completion gave none; `parsed` is false where
    it had to be repaired or is missing. `seconds` is the batch's time divided by its calls. Where
    an identical call of the query had been answered before, and reuse was asked for, all tokens
    and the batch size are 0: nothing was computed.
    """

    qid: str
    round: int
    call: int
    task: str
    docids: tuple[str, ...]
    prompt_tokens: int
    cached_tokens: int | None
    decoder_prompt_tokens: int
    generated_tokens: int
    head_positions: int
    padded_tokens: int
    truncated: int
    answer: str
    parsed: bool
    seconds: float
    batch_size: int


if [field.name for field in fields(Call)] != SCHEMA.names:
    raise TypeError("Call and SCHEMA must name the same columns in the same order")


def write_part(path: Path, calls: Iterable[Call]) -> None:
    """Write calls to `path` at once: to a temporary name, flushed to disk, then renamed."""
    rows = list(calls)
    columns = [[getattr(call, name) for call in rows] for name in SCHEMA.names]
    arrays = [
        pa.array(column, type=field.type) for column, field in zip(columns, SCHEMA, strict=True)
    ]
    _write(path, [pa.Table.from_arrays(arrays, schema=SCHEMA)])


def merge_parts(parts: Iterable[Path], path: Path) -> None:
    """Write the rows of all parts, in the order given, to one ledger.

    Parts are gathered into row groups, because a group a query makes reading slow; one group is in
    memory at a time.
    """
    _write(path, _gathered(read_ledger(part) for part in parts))


def _gathered(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    group: list[pa.Table] = []
    for table in tables:
        group.append(table)
        if sum(part.num_rows for part in group) >= ROWS_A_GROUP:
            yield pa.concat_tables(group).combine_chunks()
            group = []
    if group:
        yield pa.concat_tables(group).combine_chunks()


def _write(path: Path, tables: Iterable[pa.Table]) -> None:
    with replacing(path) as stream, pq.ParquetWriter(stream, SCHEMA, compression="zstd") as writer:
        for table in tables:
            writer.write_table(table)


def read_ledger(path: Path, columns: list[str] | None = None) -> pa.Table:
    """Read a ledger or a part of one. Raises DataError where it is missing, broken or foreign."""
    try:
        with pq.ParquetFile(path) as file:
            if file.schema_arrow.names != SCHEMA.names:
                raise DataError(
                    f"{path}: its columns are {', '.join(file.schema_arrow.names)}; "
                    f"wanted {', '.join(SCHEMA.names)}"
                )
            return file.read(columns=columns)
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; is this a run folder?") from None
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{path}: not a readable ledger ({error})") from None


def encode_answer(answer: Any, docids: tuple[str, ...]) -> str:
    """A task's answer as JSON, candidate indices replaced by document ids.

    `docids` are all of the query's candidates, by index.
    """
    if answer is None or isinstance(answer, bool | float):
        return json.dumps(answer)
    if isinstance(answer, int):
        return json.dumps(docids[answer])
    return json.dumps([list(i) if isinstance(i, tuple) else docids[i] for i in answer])


def decode_answer(text: str, index: dict[str, int]) -> Any:
    """The answer that `encode_answer` wrote, document ids turned back into candidate indices.

    Raises DataError for a document that is not among the candidates.
    """
    try:
        value = json.loads(text)
        if isinstance(value, list):
            return tuple(tuple(i) if isinstance(i, list) else index[i] for i in value)
        return index[value] if isinstance(value, str) else value
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise DataError(
            f"a ledger's answer {text!r} does not fit its candidates ({error})"
        ) from None
