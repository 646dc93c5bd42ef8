"""The ledger: one row a model call, holding facts (tokens, answer, seconds) and nothing derived."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from e2r.borders.figures import RANGES, fault
from e2r.borders.reading import (
    FREE_BYTES,
    KIB,
    LONGEST_NAME,
    MIB,
    RATIO,
    MissingFileError,
    json_value,
    opened,
    shortened,
    told_of,
)
from e2r.borders.writing import replacing
from e2r.errors import DataError

ROWS_A_GROUP = 2**15
ROWS_A_BATCH = 2**12
TABLES_TOGETHER = 64
"""Tables of a few calls each that are made one: apart they take ten times the room."""
FREE_ROWS = 100_000
"""Rows of a ledger of any size; beyond them there is a byte for each at least."""
FREE_MEMORY = 256 * MIB
LARGE = 8 * MIB
"""Bytes of a ledger whose leavings are worth giving back to the system."""
LONGEST_ANSWER = 64 * KIB
"""Bytes of an answer: an order of documents names each of them."""

_LEDGER = {"compression": "zstd"}
# A part is small and goes with the run's end: to pack it as well takes longer than all else.
_PART = {"compression": "lz4", "use_dictionary": False, "write_statistics": False}

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


class Call(NamedTuple):
    """One row of the ledger; a tuple, as runs make millions of them.

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


if list(Call._fields) != SCHEMA.names:
    raise TypeError("Call and SCHEMA must name the same columns in the same order")


def table_of(calls: Sequence[Call]) -> pa.Table:
    """Calls as rows of a ledger."""
    columns = list(zip(*calls, strict=True)) or [()] * len(SCHEMA)
    arrays = [
        pa.array(column, type=field.type) for column, field in zip(columns, SCHEMA, strict=True)
    ]
    return pa.Table.from_arrays(arrays, schema=SCHEMA)


def write_part(path: Path, calls: Sequence[Call]) -> None:
    """Write calls to `path` at once: to a temporary name, flushed to disk, then renamed.

    The new name is on disk once its folder is flushed, which is left to who writes several parts.
    """
    with replacing(path, flush_name=False) as stream:
        _write(stream, [table_of(calls)], _PART)


def write_tables(path: Path, tables: Iterable[pa.Table]) -> None:
    """Write the rows of tables, in the order given, to one ledger.

    They are gathered into row groups, because a group a query makes reading slow; one group is in
    memory at a time.
    """
    with replacing(path) as stream:
        _write(stream, _gathered(tables), _LEDGER)


def _gathered(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    group: list[pa.Table] = []
    few: list[pa.Table] = []
    rows = 0
    for table in tables:
        few.append(table)
        rows += table.num_rows
        if len(few) == TABLES_TOGETHER or rows >= ROWS_A_GROUP:
            group.append(pa.concat_tables(few).combine_chunks())
            few.clear()
        if rows >= ROWS_A_GROUP:
            yield pa.concat_tables(group).combine_chunks()
            group, rows = [], 0
    if group or few:
        yield pa.concat_tables([*group, *few]).combine_chunks()


def _write(stream: BinaryIO, tables: Iterable[pa.Table], packing: Mapping[str, Any]) -> None:
    with pq.ParquetWriter(stream, SCHEMA, **packing) as writer:
        for table in tables:
            writer.write_table(table)


def read_ledger(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """Read a ledger or a part of one, some of its columns, with every value in its range.

    `columns` may name `passages` beside those of SCHEMA: how many documents a call asks about.
    Raises DataError where it is missing, broken, foreign or larger than its calls can make it.
    """
    wanted = list(columns or SCHEMA.names)
    try:
        with told_of(path, "a readable ledger"), opened(path, follow=False) as stream:
            size = os.fstat(stream.fileno()).st_size
            with pq.ParquetFile(stream) as file:
                _refuse_foreign(path, file, size)
                read = _columns(path, file, size, wanted)
        schema = pa.schema([_field(name) for name in wanted], metadata=SCHEMA.metadata)
        return pa.Table.from_arrays(read, schema=schema)
    except MissingFileError:
        raise DataError(f"{path}: no such file; is this a run folder?") from None
    except pa.ArrowException as error:
        raise DataError(f"{path}: not a readable ledger ({shortened(error)})") from None


def _field(name: str) -> pa.Field:
    return pa.field("passages", pa.int32()) if name == "passages" else SCHEMA.field(name)


def _refuse_foreign(path: Path, file: pq.ParquetFile, size: int) -> None:
    """Raise DataError for other columns, and for more rows or values than so few bytes hold."""
    found = file.schema_arrow
    if found.names != SCHEMA.names:
        raise DataError(
            f"{path}: its columns are {shortened(', '.join(found.names))}; "
            f"wanted {', '.join(SCHEMA.names)}"
        )
    for field in SCHEMA:
        if found.field(field.name).type != field.type:
            raise DataError(
                f"{path}: {field.name} is of type {shortened(found.field(field.name).type)}; "
                f"{field.type} is wanted"
            )
    metadata = file.metadata
    groups = [metadata.row_group(place) for place in range(metadata.num_row_groups)]
    values = max((g.column(c).num_values for g in groups for c in range(g.num_columns)), default=0)
    unpacked = sum(group.total_byte_size for group in groups)
    if (
        metadata.num_rows > FREE_ROWS + size
        or values > 10 * (FREE_ROWS + size)
        or unpacked > FREE_BYTES + RATIO * 4 * size
    ):
        raise DataError(
            f"{path}: {metadata.num_rows:,} calls in {size:,} bytes, which no run's ledger packs "
            "so tightly"
        )


def _columns(path: Path, file: pq.ParquetFile, size: int, wanted: Sequence[str]) -> list[pa.Array]:
    """The wanted columns, each in one piece.

    They are read one by one, so that never more than one is in memory twice, and a few rows at a
    time, so that what is out of range is seen before there is much.
    """
    whole: list[pa.Array] = []
    held = 0
    for name in wanted:
        read = "docids" if name == "passages" else name
        pieces: list[pa.Array] = []
        for batch in file.iter_batches(batch_size=ROWS_A_BATCH, columns=[read], use_threads=False):
            column = batch.column(read)
            _check_column(path, read, column)
            if name == "passages":
                column = pc.cast(pc.list_value_length(column), pa.int32())
            pieces.append(column)
            held += column.nbytes
            if held > FREE_MEMORY + 100 * size:
                raise DataError(f"{path}: unpacks to more than its calls can take")
        if len(pieces) == 1:
            whole += pieces
        else:
            whole.append(pa.concat_arrays(pieces) if pieces else pa.array([], _field(name).type))
        del pieces
        if held > LARGE:
            # Arrow keeps the room of a column's pieces for itself, and there are as many again.
            pa.default_memory_pool().release_unused()
    return whole


def _check_column(path: Path, name: str, column: pa.Array) -> None:
    """Raise DataError for empty places, names too long, and figures that cannot be."""
    # What a server does not report of its cache is unknown, and empty here.
    if column.null_count and name != "cached_tokens":
        raise DataError(f"{path}: {name} has empty places")
    if name == "docids":
        column = column.flatten()
        if column.null_count:
            raise DataError(f"{path}: docids has empty places")
    if pa.types.is_string(column.type):
        longest = LONGEST_ANSWER if name == "answer" else LONGEST_NAME
        if len(column) and pc.max(pc.binary_length(column)).as_py() > longest:
            raise DataError(f"{path}: {name} holds more than {longest} bytes in one place")
    elif name in RANGES and len(column):
        if name == "seconds" and not pc.all(pc.is_finite(column)).as_py():
            raise DataError(f"{path}: seconds is not finite somewhere")
        bounds = pc.min_max(column).as_py()
        for value in (bounds["min"], bounds["max"]):
            if value is not None and (why := fault(name, value)) is not None:
                raise DataError(f"{path}: {name} {why}")


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
        value = json_value(text)
        if isinstance(value, list):
            return tuple(tuple(i) if isinstance(i, list) else index[i] for i in value)
        return index[value] if isinstance(value, str) else value
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"a ledger's answer {text[:80]!r} does not fit its candidates ({error})"
        ) from None
