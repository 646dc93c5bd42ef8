"""What is wrong or odd in a file, and where: findings, told one by one to whoever listens."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from e2r.errors import DataError, E2RError, MissingError

ENOUGH = 10_000
"""Findings after which the rest of a file is not worth reading."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One sentence about a place in a file; an error keeps the file from being used."""

    level: Literal["error", "warning"]
    file: str
    line: int | None
    field: str | None
    message: str

    def __str__(self) -> str:
        where = self.file if self.line is None else f"{self.file}:{self.line}"
        return f"{where}: {self.message}"


Hear = Callable[[Finding], None]
"""Is told each finding as it is made; may raise to end the reading."""


def refuse(finding: Finding) -> None:
    """Raise DataError for an error; let warnings pass."""
    if finding.level == "error":
        raise DataError(str(finding))


def deaf(finding: Finding) -> None:
    """Hear nothing: for reading again what was told of before."""


@dataclass(frozen=True, slots=True)
class Teller:
    """Tells findings about one file."""

    file: Path | str
    hear: Hear = refuse

    def error(self, message: str, line: int | None = None, field: str | None = None) -> None:
        """Tell what keeps the file, or this line of it, from being used."""
        self.hear(Finding("error", str(self.file), line, field, message))

    def warning(self, message: str, line: int | None = None, field: str | None = None) -> None:
        """Tell what is odd and can be used all the same."""
        self.hear(Finding("warning", str(self.file), line, field, message))


def finding_of(error: E2RError, file: Path | str) -> Finding:
    """An error that was raised about a file, as a finding; its line is read from its message."""
    place = re.match(r"(?P<file>[^\n]+?):(?P<line>\d+): (?P<message>(?s:.*))", str(error))
    if place is not None:
        return Finding("error", place["file"], int(place["line"]), None, place["message"])
    return Finding("error", str(file), None, None, str(error).removeprefix(f"{file}: "))


class TooManyError(DataError):
    """So much is wrong with a file that the rest of it is not read."""


@dataclass(eq=False)
class Report:
    """Keeps the first `most` errors and as many warnings; counts the rest, up to ENOUGH."""

    most: int = 100
    errors: list[Finding] = field(default_factory=list)
    warnings: list[Finding] = field(default_factory=list)
    more_errors: int = 0
    more_warnings: int = 0

    @property
    def count(self) -> tuple[int, int]:
        """How many errors and warnings were told, kept or not."""
        return len(self.errors) + self.more_errors, len(self.warnings) + self.more_warnings

    def hear(self, finding: Finding) -> None:
        """Keep or count a finding; one that is kept already is not told again.

        Raises TooManyError where there are more than ENOUGH.
        """
        kept = self.errors if finding.level == "error" else self.warnings
        if finding in kept:
            return
        if len(kept) < self.most:
            kept.append(finding)
        elif finding.level == "error":
            self.more_errors += 1
        else:
            self.more_warnings += 1
        if self.more_errors + self.more_warnings > ENOUGH:
            raise TooManyError(f"{finding.file}: wrong in more than {ENOUGH:,} places")


def without_words(error: Exception) -> str:
    """What may be said of a file that only another file names: where, and no word of it."""
    place = re.match(r"[^\n:]{1,300}(:\d+)?(?=: )", str(error))
    if isinstance(error, MissingError) or "no such file" in str(error):
        return str(error)
    return f"{place[0] if place else 'a file'}: is not what it is named as"


def some(names: Iterable[str], most: int = 5) -> str:
    """The first names, and an ellipsis where there are more."""
    listed = list(names)
    return ", ".join(listed[:most]) + (" …" if len(listed) > most else "")
