"""Lines of a text file, plain or gzipped, with their places; bad bytes become clear findings."""

from __future__ import annotations

import gzip
import json
import shutil
import tempfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, NamedTuple

import orjson

from e2r.borders.reading import DEEPEST, FileError, opened, refuse_depth, text_stream
from e2r.data.findings import Hear, Teller, refuse
from e2r.errors import DataError

BLOCK = 2**18
LONGEST = 2**27
"""Bytes of the longest line that is read; a longer one is no line of text."""
BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Block:
    """Whole lines: the number of the first, from 1, its offset in the unpacked file, the bytes."""

    first: int
    offset: int
    raw: bytes


class Line(NamedTuple):
    """A line that is not blank, without its end: its number, its bytes' place, its text."""

    number: int
    offset: int
    length: int
    text: str


def blocks(path: Path, hear: Hear = refuse) -> Iterator[Block]:
    """Yield the file in blocks of whole lines, a byte order mark taken off.

    Tells of a missing or unreadable file, a broken gzip, a line without end, NUL bytes, CRLF ends
    and byte order marks; raises DataError where `hear` does not.
    """
    tell = Teller(path, hear)
    number, offset = 1, 0
    carriage = False
    try:
        with text_stream(path) as stream:
            while raw := stream.read(BLOCK):
                if not raw.endswith(b"\n"):
                    raw += stream.readline(LONGEST)
                    if len(raw) > LONGEST and not raw.endswith(b"\n"):
                        tell.error(
                            f"a line of more than {LONGEST >> 20} MiB; is this a text file?", number
                        )
                        return
                size, lines = len(raw), raw.count(b"\n")
                if offset == 0 and raw.startswith(BOM):
                    tell.warning("begins with a byte order mark, which is dropped", 1)
                    raw, offset, size = raw[len(BOM) :], len(BOM), size - len(BOM)
                if not carriage and b"\r" in raw and b"\r\n" in raw:
                    carriage = True
                    line = number + raw.count(b"\n", 0, raw.index(b"\r\n"))
                    tell.warning("lines end with CRLF (Windows); the CR is dropped", line)
                yield Block(number, offset, raw)
                number, offset = number + lines, offset + size
    except FileNotFoundError:
        tell.error("no such file; check the path")
    except FileError as error:
        tell.error(str(error).removeprefix(f"{path}: "))
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        tell.error(
            f"the gzip is broken somewhere after line {number - 1} ({error}); fetch it again"
        )
    except OSError as error:
        tell.error(f"cannot be read ({error.strerror or error})")


def lines(path: Path, hear: Hear = refuse) -> Iterator[Line]:
    """Yield every line that is not blank; tells of bytes that are not UTF-8 and of NUL bytes."""
    for block in blocks(path, hear):
        yield from lines_of(block, Teller(path, hear))


def lines_of(block: Block, tell: Teller) -> Iterator[Line]:
    """The lines of a block that are not blank and can be read."""
    offset = block.offset
    for number, raw in enumerate(block.raw.split(b"\n"), start=block.first):
        length = len(raw)
        try:
            text = raw.decode().rstrip("\r")
        except UnicodeDecodeError as error:
            tell.error(
                f"not UTF-8 ({error.reason} at byte {error.start}); convert the file", number
            )
        else:
            if "\0" in text:
                tell.error("a NUL character; is this a text file?", number)
            elif text and not text.isspace():
                yield Line(number, offset, length, text)
        offset += length + 1


def columns(text: str, separator: str | None = None) -> list[list[str]] | None:
    """The fields of all lines, column by column; None where lines differ in how many they have.

    Between white space, or between separators, where a field may be empty. The text is split at
    once, which takes a third of the time that line by line takes; a NUL character marks the ends.
    """
    if "\0" in text:
        return None
    between, text = separator or " ", text.removesuffix("\n")
    fields = f"{text}\n".replace("\n", f"{between}\0{between}").split(separator)
    if separator:
        fields.pop()
    ends = ["\0"] * (text.count("\n") + 1)
    width, rest = divmod(len(fields), len(ends))
    if rest or fields[width - 1 :: width] != ends:
        return None
    return [fields[place::width] for place in range(width - 1)]


def numbered_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield (line number from 1, line without its end) of every line that is not blank.

    Raises DataError, with the line, for a file that is missing or no readable text.
    """
    return ((line.number, line.text) for line in lines(path))


def json_lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (line number, object) of a JSONL file. Raises DataError with the line for the rest."""
    return ((line.number, row) for line, row in json_rows(path))


def json_rows(path: Path, hear: Hear = refuse) -> Iterator[tuple[Line, dict[str, Any]]]:
    """Yield (line, object) of a JSONL file; tells, with the line, of what is no JSON object."""
    tell = Teller(path, hear)
    for line in lines(path, hear):
        try:
            yield line, json_object(line.text)
        except ValueError as error:
            tell.error(str(error), line.number)


def is_object(text: str) -> bool:
    """Whether a file that begins with this line holds JSON, as its readers tell."""
    return text.lstrip().startswith(("{", "["))


def is_markup(text: str) -> bool:
    """Whether a file that begins with this line holds SGML or XML."""
    return text.lstrip().startswith("<")


def json_object(text: str) -> dict[str, Any]:
    """A JSON object. Raises ValueError saying what is wrong."""
    row = parse(text)
    if not isinstance(row, dict):
        raise ValueError(f"a JSON object is wanted, not {type(row).__name__}")
    return row


def parse(text: str) -> Any:
    """A JSON value. Raises ValueError saying what is wrong.

    The standard library reads again what orjson refuses: numbers out of range, which the caller
    judges by field.
    """
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        pass
    else:
        # What lies deep has brackets; to look at every value takes longer than to count them.
        if text.count("[") + text.count("{") > DEEPEST:
            refuse_depth(value)
        return value
    try:
        value = json.loads(text)
        refuse_depth(value)
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise ValueError("half of a surrogate pair (\\ud800 to \\udfff) is no character") from None
    except (ValueError, RecursionError) as error:
        raise ValueError(f"not valid JSON ({error})") from None
    return value


def unpacked(path: Path) -> IO[bytes]:
    """The file for reading at any place; a gzipped one is unpacked to a nameless temporary file.

    The caller closes it. Raises DataError where it cannot be opened.
    """
    try:
        if path.suffix != ".gz":
            return opened(path)
        with text_stream(path) as stream, ExitStack() as undo:
            copy = undo.enter_context(tempfile.TemporaryFile())
            shutil.copyfileobj(stream, copy, BLOCK)
            copy.flush()
            undo.pop_all()
        return copy
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read ({error})") from None


def id_field(row: dict[str, Any], name: str, where: str) -> str:
    """The row's id of that name, as a TREC run can hold it.

    Raises DataError for one that is missing, empty, has white space in it or begins with #.
    """
    try:
        return valid_id(row, name)
    except ValueError as error:
        raise DataError(f"{where}: {error}") from None


def text_field(row: dict[str, Any], name: str, where: str) -> str:
    """The row's string (or integer, as text) of that name. Raises DataError if there is none."""
    try:
        return valid_text(row, name)
    except ValueError as error:
        raise DataError(f"{where}: {error}") from None


def valid_id(row: dict[str, Any], name: str) -> str:
    """What `id_field` gives. Raises ValueError, which says nothing of the place."""
    value = row.get(name)
    if not isinstance(value, str):
        value = valid_text(row, name)
    if value.split() != [value] or value[0] == "#":
        raise ValueError(
            f"{name} {value!r} cannot stand in a TREC run; ids have no white space and "
            "do not begin with #"
        )
    return value


def valid_text(row: dict[str, Any], name: str) -> str:
    """What `text_field` gives. Raises ValueError, which says nothing of the place."""
    value = row.get(name)
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        raise ValueError(f"field {name!r} is missing or not a string")
    return value


def are_plain(numbers: Iterable[str]) -> bool:
    """Whether numbers are written as every reader of such files reads them.

    Python alone takes digits of other scripts too, and 1_0.
    """
    text = "".join(numbers)
    return text.isascii() and "_" not in text


def integer(text: str) -> int:
    """A whole number. Raises ValueError for any other text."""
    if not are_plain([text]):
        raise ValueError(text)
    return int(text)


def real(text: str) -> float:
    """A number, finite or not. Raises ValueError for any other text."""
    if not are_plain([text]):
        raise ValueError(text)
    return float(text)
