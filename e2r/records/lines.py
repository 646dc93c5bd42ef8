"""per_query.jsonl line by line: a query at a time, with the place of its line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from e2r.borders.reading import JSON_LINE_BYTES, opened, shortened
from e2r.errors import DataError
from e2r.records.query import QueryRecord, query_record


def placed(path: Path, cut_line_is_error: bool = True) -> Iterator[tuple[int, QueryRecord]]:
    """The queries in file order, each with the byte at which its line begins; none without a file.

    A line that a kill cut short ends the file where it is no error. Raises DataError with the line
    for a broken one.
    """
    try:
        stream = opened(path, follow=False)
    except FileNotFoundError:
        return
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None
    with stream:
        number = place = 0
        while line := stream.readline(JSON_LINE_BYTES + 1):
            number += 1
            try:
                record = query_record(line)
            except ValueError as error:
                # A kill may have cut the last line short.
                if not cut_line_is_error and not stream.read(1):
                    return
                raise DataError(
                    f"{path}:{number}: not a query record ({shortened(error)})"
                ) from None
            yield place, record
            place += len(line)


class Placed:
    """The lines at known places of a file that stays as it is while they are read again."""

    def __init__(self, path: Path, stream: BinaryIO) -> None:
        self._path, self._stream = path, stream

    def record(self, place: int) -> QueryRecord:
        """The query whose line begins at a byte. Raises DataError where no line does any more."""
        self._stream.seek(place)
        try:
            return query_record(self._stream.readline(JSON_LINE_BYTES + 1))
        except ValueError as error:
            raise DataError(
                f"{self._path}: changed while it was read ({shortened(error)}); does somebody else "
                "write there?"
            ) from None
