"""A small file costs little, whatever it holds: its kind, size, depth and figures are bounded."""

from __future__ import annotations

import gzip
import json
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from e2r.borders.figures import RANGES, Asked, fault, impossible
from e2r.borders.reading import (
    DEEPEST,
    content,
    json_file,
    json_value,
    opened,
    sha256_of,
    text_stream,
    told_of,
    toml_file,
)
from e2r.data.files.lines import lines, parse
from e2r.errors import DataError
from e2r.flops.architecture import Architecture
from e2r.flops.families import family, index
from e2r.records.ledger import SCHEMA, read_ledger
from e2r.records.query import query_record


def special(folder: Path) -> dict[str, Path]:
    """Paths that are no regular files."""
    fifo, link, inner = folder / "fifo", folder / "link", folder / "folder"
    os.mkfifo(fifo)
    link.symlink_to(fifo)
    inner.mkdir()
    zero = folder / "zero.gz"
    zero.symlink_to("/dev/zero")
    return {"fifo": fifo, "link": link, "folder": inner, "device": zero}


@pytest.mark.parametrize(
    "read",
    [
        opened,
        sha256_of,
        text_stream,
        toml_file,
        read_ledger,
        lambda path: content(path, 10),
        lambda path: json_file(path, 10),
        lambda path: list(lines(path)),
        Architecture.load,
    ],
)
def test_what_is_no_regular_file_is_never_read(
    tmp_path: Path, read: Callable[[Path], object]
) -> None:
    for name, path in special(tmp_path).items():
        if (name, read) == ("folder", Architecture.load):
            continue
        with pytest.raises((DataError, Exception)) as refused:
            read(path)
        assert (
            isinstance(refused.value, DataError) or type(refused.value).__name__ == "MissingError"
        )


def test_a_link_is_followed_only_where_it_is_the_users(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "link").symlink_to("file")
    assert content(tmp_path / "link", 1) == b"x"
    with pytest.raises(DataError, match="a link"):
        content(tmp_path / "link", 1, follow=False)
    with pytest.raises(DataError, match="too many"):
        content(tmp_path / "file", 0)


def test_text_packs_as_text_does(tmp_path: Path) -> None:
    path = tmp_path / "x.gz"
    path.write_bytes(gzip.compress(b"\0" * (1 << 26)))
    with text_stream(path) as stream, pytest.raises(DataError, match="times its size"):
        stream.read()
    words = "".join(f"q{n} Q0 d{n * 7919} {n} {1 / n:.6f} tag\n" for n in range(1, 400_000))
    path.write_bytes(gzip.compress(words.encode()))
    with text_stream(path) as stream:
        assert stream.read() == words.encode()


BROKEN_JSON = {
    "depth": "[" * 100_000,
    "closed depth": "[" * 500 + "]" * 500,
    "objects": '{"a":' * 70 + "1" + "}" * 70,
    "digits": "9" * 5000,
    "infinity": "1e400",
    "constant": "NaN",
    "a name twice": '{"a": 1, "b": 2, "a": 3}',
    "cut": '{"a": ',
    "empty": "",
}


@pytest.mark.parametrize("name", BROKEN_JSON)
def test_json_is_bounded(name: str) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        json_value(BROKEN_JSON[name])
    if name not in ("digits", "infinity", "constant", "a name twice"):
        with pytest.raises(ValueError, match=r"\S"):
            parse(BROKEN_JSON[name])


@given(
    st.recursive(st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.text(), st.lists)
)
def test_json_that_is_not_deep_is_read_as_it_is(value: object) -> None:
    assert json_value(json.dumps(value)) == value
    deep: object = value
    for _ in range(DEEPEST + 1):
        deep = [deep]
    with pytest.raises(ValueError, match="deeper"):
        json_value(json.dumps(deep))


@pytest.mark.parametrize(
    "text",
    [
        "a" + ".a" * 30_000 + " = 1",
        "\n".join(f"{'a.' * 30}b{n} = 1" for n in range(900)),
        f"a = {'[' * 5000}{']' * 5000}",
        f"a = {'{a=' * 300}1{'}' * 300}",
        f"a = {'9' * 5000}",
        "a = 1\na = 2",
        "x" * 70_000,
        "\ud800",
    ],
)
def test_toml_is_bounded(tmp_path: Path, text: str) -> None:
    path = tmp_path / "spec.toml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    began = time.process_time()
    with pytest.raises(DataError, match=r"spec\.toml"):
        toml_file(path)
    assert time.process_time() - began < 1


def test_dots_and_brackets_in_words_are_no_keys(tmp_path: Path) -> None:
    path = tmp_path / "spec.toml"
    path.write_text(f'a = \'{".[" * 2000}\' # {".[{" * 2000}\nb = "\\"{"." * 2000}"\n')
    assert set(toml_file(path)) == {"a", "b"}


def ledger(path: Path, rows: int = 3, **columns: object) -> Path:
    """A ledger of a query's calls, with some columns replaced."""
    plain = {
        "qid": ["q"] * rows,
        "round": list(range(rows)),
        "call": list(range(rows)),
        "task": ["Score"] * rows,
        "docids": [["d"]] * rows,
        **{name: [9] * rows for name in SCHEMA.names[5:12]},
        "answer": ["1.0"] * rows,
        "parsed": [True] * rows,
        "seconds": [0.1] * rows,
        "batch_size": [1] * rows,
    }
    table = pa.table({**plain, **columns}, schema=SCHEMA)
    pq.write_table(table, path, compression="zstd")
    return path


WRONG_LEDGERS: dict[str, dict[str, object]] = {
    "a negative round": {"round": [-7, 0, 1]},
    "a huge round": {"round": [0, 1, 2**31 - 1]},
    "negative batch": {"batch_size": [-5, 1, 1]},
    "many tokens": {"generated_tokens": [10**9, 1, 1]},
    "endless": {"seconds": [float("inf"), 0, 0]},
    "no number": {"seconds": [float("nan"), 0, 0]},
    "nobody": {"qid": [None, "q", "q"]},
    "nothing asked": {"docids": [None, ["d"], ["d"]]},
    "an empty document": {"docids": [[None], ["d"], ["d"]]},
    "a passage for a name": {"qid": ["q" * 301, "q", "q"]},
    "a passage for an answer": {"answer": ["x" * 70_000, "1", "1"]},
}


@pytest.mark.parametrize("name", WRONG_LEDGERS)
def test_a_ledger_holds_possible_figures(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match=next(iter(WRONG_LEDGERS[name]))):
        read_ledger(ledger(tmp_path / "ledger.parquet", **WRONG_LEDGERS[name]))


@pytest.mark.parametrize(
    ("rows", "columns"),
    [
        (3_000_000, {}),
        (1, {"docids": [["d"] * 3_000_000]}),
        (1, {"task": ["x" * 500_000_000]}),
    ],
    ids=["rows", "documents", "words"],
)
def test_a_small_ledger_costs_little(tmp_path: Path, rows: int, columns: dict[str, object]) -> None:
    path = ledger(tmp_path / "ledger.parquet", 1, **columns)
    if rows > 1:
        table = pq.read_table(path).take(pa.array([0] * 1_000_000))
        with pq.ParquetWriter(path, table.schema, compression="zstd") as writer:
            for _ in range(rows // 1_000_000):
                writer.write_table(table)
    before = pa.total_allocated_bytes()
    with pytest.raises(DataError, match="tightly"):
        read_ledger(path, ["prompt_tokens", "passages"])
    assert pa.total_allocated_bytes() - before < 2**20


RECORD = {
    "qid": "q",
    "status": "ok",
    "calls": 1,
    "rounds": 1,
    "prompt_tokens": 9,
    "generated_tokens": 1,
    "parse_failures": 0,
    "truncated": 0,
    "seconds": 0.5,
    "query_terms": 3,
    "ranking": ["d1", "d2"],
}


@pytest.mark.parametrize(
    "change",
    [
        {"qid": ["a"]},
        {"qid": "a b"},
        {"ranking": "d1"},
        {"ranking": [["d1"]]},
        {"ranking": None},
        {"calls": "1"},
        {"calls": True},
        {"calls": 10**40},
        {"rounds": -7},
        {"seconds": "soon"},
        {"query_terms": None},
        {"postings": -1},
        {"error": {}},
        {"status": 5},
        {"more": 1},
    ],
)
def test_a_query_record_holds_names_and_possible_figures(change: dict[str, object]) -> None:
    assert query_record(json.dumps(RECORD).encode()).calls == 1
    with pytest.raises(ValueError, match=r"\S"):
        query_record(json.dumps({**RECORD, **change}).encode())
    for raw in (b"[]", b"[" * 100_000, b'{"qid": "q"}', b"\xff"):
        with pytest.raises(ValueError, match=r"\S"):
            query_record(raw)


@pytest.mark.parametrize("name", RANGES)
def test_every_figure_has_a_range(name: str) -> None:
    low, high = RANGES[name]
    assert (fault(name, low), fault(name, high)) == (None, None)
    for value in (low - 1, high + 1, "1", None, True, [], 10**5000, float("nan")):
        assert fault(name, value) is not None


def calls(**columns: list[int]) -> dict[str, np.ndarray]:
    plain = {
        "passages": [3],
        "prompt_tokens": [30],
        "cached_tokens": [0],
        "generated_tokens": [1],
        "batch_size": [1],
    }
    return {name: np.array(values) for name, values in {**plain, **columns}.items()}


COMPUTED = Asked(free=False, context=1024)


@pytest.mark.parametrize(
    ("columns", "asked", "column"),
    [
        ({}, COMPUTED, None),
        ({"prompt_tokens": [2]}, COMPUTED, "prompt_tokens"),
        (
            {"prompt_tokens": [0], "generated_tokens": [0], "batch_size": [0]},
            COMPUTED,
            "prompt_tokens",
        ),
        (
            {"prompt_tokens": [0], "generated_tokens": [0], "batch_size": [0]},
            Asked(False, True),
            None,
        ),
        ({"prompt_tokens": [0], "batch_size": [0]}, Asked(False, True), "prompt_tokens"),
        ({"prompt_tokens": [0], "generated_tokens": [0]}, Asked(free=True), None),
        ({"prompt_tokens": [1025]}, COMPUTED, "prompt_tokens"),
        ({"prompt_tokens": [1025]}, Asked(free=False), None),
        ({"cached_tokens": [31]}, COMPUTED, "cached_tokens"),
        ({"generated_tokens": [39]}, COMPUTED, "generated_tokens"),
        ({"generated_tokens": [38]}, COMPUTED, None),
        ({"generated_tokens": [2048]}, Asked(False, thinks=True), None),
        ({"generated_tokens": [4116]}, Asked(False, answer_tokens=4096), None),
        ({"generated_tokens": [4117]}, Asked(False, answer_tokens=4096), "generated_tokens"),
        ({"generated_tokens": [120]}, Asked(False, thinks=True, answer_tokens=50), None),
        (
            {"generated_tokens": [121]},
            Asked(False, thinks=True, answer_tokens=50),
            "generated_tokens",
        ),
        ({"batch_size": [0]}, COMPUTED, "batch_size"),
    ],
)
def test_calls_are_what_a_model_can_be_asked(
    columns: dict[str, list[int]], asked: Asked, column: str | None
) -> None:
    found = {name for name, _, places in impossible(calls(**columns), asked) if places.any()}
    assert column in found if column else not found


STRANGE = [10**9, 10**5000, "x", -1, 1.5, [[1]], {"a": 1}, True]


@pytest.mark.parametrize("model_type", sorted(index()))
def test_a_config_is_refused_by_field_whatever_it_holds(model_type: str) -> None:
    fields = family(model_type).MODEL_TYPES[model_type]
    began = time.process_time()
    for name in fields:
        for value in STRANGE:
            facts = {"model_type": model_type, **dict.fromkeys(fields, 2), name: value}
            with suppress(DataError):
                Architecture.load(facts)
    assert time.process_time() - began < 10


def test_whatever_a_reader_trips_over_is_bad_data(tmp_path: Path) -> None:
    for error in (ValueError("a\nb"), TypeError(), KeyError("x"), RecursionError(), EOFError()):
        with pytest.raises(DataError, match="not a thing"), told_of(tmp_path, "a thing"):
            raise error
