"""Lines of a text file, plain or gzipped, with their numbers; bad bytes become one clear error."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from e2r.errors import DataError


def numbered_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield (line number from 1, line without its end) of every line that is not blank.

    A byte order mark and CRLF ends are dropped. Raises DataError for a missing or unreadable file,
    a broken gzip, bytes that are not UTF-8, and NUL characters, each with the line.
    """
    number = 0
    try:
        opener = gzip.open if path.suffix == ".gz" else open
        with opener(path, "rb") as stream:
            for raw in stream:
                number += 1
                line = raw.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
                if "\0" in line:
                    raise DataError(f"{path}:{number}: a NUL character; is this a text file?")
                if line.strip():
                    yield number, line
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; check the path") from None
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}:{number}: not UTF-8 ({error.reason} at byte {error.start}); convert the file"
        ) from None
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(
            f"{path}: the gzip is broken after line {number} ({error}); fetch it again"
        ) from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from None


def json_lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (line number, object) of a JSONL file. Raises DataError with the line for the rest."""
    for number, line in numbered_lines(path):
        try:
            row = json.loads(line)
            if "\\ud" in line.lower():
                json.dumps(row, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise DataError(
                f"{path}:{number}: half of a surrogate pair (\\ud800 to \\udfff) is no character"
            ) from None
        except (ValueError, RecursionError) as error:
            raise DataError(f"{path}:{number}: not valid JSON ({error})") from None
        if not isinstance(row, dict):
            raise DataError(f"{path}:{number}: a JSON object is wanted, not {type(row).__name__}")
        yield number, row


def id_field(row: dict[str, Any], name: str, where: str) -> str:
    """The row's id of that name, as a TREC run can hold it.

    Raises DataError for one that is missing, empty, has white space in it or begins with #.
    """
    value = text_field(row, name, where)
    if len(value.split()) != 1 or value.split()[0] != value or value.startswith("#"):
        raise DataError(
            f"{where}: {name} {value!r} cannot stand in a TREC run; ids have no white space and "
            "do not begin with #"
        )
    return value


def text_field(row: dict[str, Any], name: str, where: str) -> str:
    """The row's string (or integer, as text) of that name. Raises DataError if there is none."""
    value = row.get(name)
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        raise DataError(f"{where}: field {name!r} is missing or not a string")
    return value
