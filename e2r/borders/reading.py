"""Opens what a stranger may have written: regular files only, so large at most, JSON so deep."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import math
import os
import re
import stat
import tomllib
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from e2r.errors import DataError

KIB, MIB = 2**10, 2**20
SPEC_BYTES = 64 * KIB
MANIFEST_BYTES = 8 * MIB
RESULT_BYTES = 32 * MIB
CONFIG_BYTES = 4 * MIB
TEMPLATE_BYTES = 256 * KIB
JSON_LINE_BYTES = 4 * MIB
RUN_BYTES = 2**32
"""Of the ledger, the query records and the ranking of a run."""
DEEPEST = 64
"""How deep objects and lists may lie in each other."""
LONGEST_NUMBER = 40
"""Digits of a number; those of the largest FLOPs of a model are fewer."""
LONGEST_NAME = 300
"""Characters of an id, a path or another name."""
FREE_BYTES, RATIO = 8 * MIB, 25
"""What a packed file may unpack to: so much, and so many times its size. Text packs tenfold."""
_DOTS = 1000
_QUOTED = re.compile(
    r'"""(?:\\.|[^\\])*?"""|\'\'\'.*?\'\'\'|"(?:\\.|[^"\\\n])*"|\'[^\'\n]*\'|#[^\n]*', re.DOTALL
)


class FileError(DataError):
    """A file that is not read at all, or not to its end: of another kind, or too large."""


class MissingFileError(DataError):
    """There is no such file."""


def opened(path: Path, most: int | None = None, *, follow: bool = True) -> io.BufferedReader:
    """A regular file for reading, of at most `most` bytes; the caller closes it.

    Neither a FIFO nor a device is opened: reading one may wait for ever, or never end. Without
    `follow` a link is refused too. Raises DataError for these, FileNotFoundError where there is
    nothing, and OSError where the system refuses.
    """
    found = path.stat() if follow else path.lstat()
    if not stat.S_ISREG(found.st_mode):
        raise FileError(f"{path}: cannot be read: {kind_of(found.st_mode)}, not a regular file")
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    handle = os.open(path, flags | (0 if follow else os.O_NOFOLLOW))
    try:
        found = os.fstat(handle)  # It may have been replaced since it was looked at.
        if not stat.S_ISREG(found.st_mode):
            raise FileError(f"{path}: cannot be read: {kind_of(found.st_mode)}, not a regular file")
        if most is not None and found.st_size > most:
            raise FileError(
                f"{path}: {found.st_size:,} bytes are too many for such a file; at most {most:,}"
            )
        return io.BufferedReader(io.FileIO(handle))
    except BaseException:
        os.close(handle)
        raise


def kind_of(mode: int) -> str:
    """What a file is, by its mode, in words."""
    kinds = {
        stat.S_ISREG: "a regular file",
        stat.S_ISDIR: "a folder",
        stat.S_ISLNK: "a link",
        stat.S_ISFIFO: "a FIFO",
        stat.S_ISSOCK: "a socket",
    }
    return next((name for holds, name in kinds.items() if holds(mode)), "a device")


def content(path: Path, most: int, *, follow: bool = True) -> bytes:
    """All bytes of a small file. Raises what `opened` raises."""
    with opened(path, most, follow=follow) as stream:
        raw = stream.read(most + 1)
    if len(raw) > most:
        raise FileError(f"{path}: grew while it was read; at most {most:,} bytes")
    return raw


def sha256_of(path: Path, most: int | None = None, *, follow: bool = True) -> str:
    """SHA-256 of a regular file's bytes, in hex. Raises what `opened` raises."""
    with opened(path, most, follow=follow) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


class _Unpacked(io.RawIOBase):
    """The unpacked bytes of a gzipped file, no more of them than its size allows."""

    def __init__(self, path: Path, packed: io.BufferedReader) -> None:
        self._path, self._packed = path, packed
        self._most = FREE_BYTES + RATIO * os.fstat(packed.fileno()).st_size
        self._stream = gzip.GzipFile(fileobj=packed)
        self._seen = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        """Raises DataError where there is more than text could be packed into the file."""
        raw = self._stream.read(len(buffer))
        self._seen += len(raw)
        if self._seen > self._most:
            raise FileError(
                f"{self._path}: unpacks to more than {RATIO} times its size, which no text does; "
                "unpack it yourself if you know what it is"
            )
        buffer[: len(raw)] = raw
        return len(raw)

    def close(self) -> None:
        self._stream.close()
        self._packed.close()
        super().close()


def text_stream(path: Path, *, follow: bool = True) -> io.BufferedReader:
    """A file of text for reading, unpacked where its name ends in .gz; see `opened`."""
    packed = opened(path, follow=follow)
    if path.suffix != ".gz":
        return packed
    return io.BufferedReader(_Unpacked(path, packed), 2**16)


@contextmanager
def told_of(path: Path, what: str) -> Iterator[None]:
    """Turn whatever reading a malformed file raises into a DataError that says what it is not."""
    try:
        yield
    except DataError:
        raise
    except FileNotFoundError:
        raise MissingFileError(f"{path}: no such file") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from None
    except (RecursionError, MemoryError):
        raise DataError(f"{path}: not {what}: too deep or too large") from None
    except (ValueError, TypeError, LookupError, ArithmeticError, AttributeError, EOFError) as error:
        raise DataError(f"{path}: not {what} ({shortened(error)})") from None
    except zlib.error as error:
        raise DataError(f"{path}: not {what} ({error})") from None


def shortened(error: object) -> str:
    """The first line of an error's words, cut to what a message can hold."""
    text = (str(error).splitlines() or [type(error).__name__])[0]
    return text if len(text) <= LONGEST_NAME else f"{text[:LONGEST_NAME]}…"


def json_file(path: Path, most: int, *, follow: bool = True) -> Any:
    """The JSON value in a small file. Raises DataError with the file; see `json_value`."""
    try:
        return json_value(content(path, most, follow=follow))
    except ValueError as error:
        raise DataError(f"{path}: not JSON ({shortened(error)})") from None


def json_value(raw: bytes | str) -> Any:
    """A JSON value of names that come once, finite numbers, and no more than DEEPEST levels.

    Raises ValueError saying what is wrong.
    """
    try:
        value = json.loads(
            raw,
            object_pairs_hook=_once,
            parse_int=_whole,
            parse_float=_finite,
            parse_constant=_finite,
        )
    except RecursionError:
        raise ValueError(f"deeper than {DEEPEST} levels") from None
    # What lies that deep has as many brackets before it; to look at every value takes longer.
    text = raw if isinstance(raw, str) else raw.decode("latin-1")
    if text.count("[") + text.count("{") > DEEPEST:
        refuse_depth(value)
    return value


def refuse_depth(value: Any) -> None:
    """Raise ValueError for objects and lists that lie deeper in each other than DEEPEST."""
    level = [value]
    for _ in range(DEEPEST):
        level = [
            inner
            for item in level
            if isinstance(item, dict | list)
            for inner in (item.values() if isinstance(item, dict) else item)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return
    raise ValueError(f"deeper than {DEEPEST} levels")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the name {twice[:40]!r} is there twice in one object")
    return found


def _whole(text: str) -> int:
    if len(text) > LONGEST_NUMBER:
        raise ValueError(f"a number of {len(text)} digits")
    return int(text)


def _finite(text: str) -> float:
    value = float(text) if len(text) <= LONGEST_NUMBER else math.nan
    if not math.isfinite(value):
        raise ValueError(f"{text[:LONGEST_NUMBER]!r} is no finite number")
    return value


def toml_file(path: Path, most: int = SPEC_BYTES, *, follow: bool = True) -> dict[str, Any]:
    """The tables of a small TOML file.

    Dots and brackets are counted before it is parsed: each dotted key makes a table a dot, and the
    parser's work grows with their square. Raises DataError saying what is wrong.
    """
    with told_of(path, "a readable TOML file"):
        text = content(path, most, follow=follow).decode()
        bare = _QUOTED.sub("", text)
        if bare.count(".") > _DOTS:
            raise ValueError(f"more than {_DOTS} dots in keys")
        depth = deepest = 0
        for bracket in re.findall(r"[\[\]{}]", bare):
            depth += 1 if bracket in "[{" else -1
            deepest = max(deepest, depth)
        if deepest > DEEPEST:
            raise ValueError(f"deeper than {DEEPEST} levels")
        tables = tomllib.loads(text)
        refuse_depth(tables)
        return tables
    raise AssertionError
