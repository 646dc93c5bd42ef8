"""A user's own Python file, named FILE.py:NAME: whether it may run, and what it is called."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from e2r.borders.reading import MIB, content, told_of
from e2r.borders.trust import is_trusted, remember
from e2r.errors import DataError, UsageError

_WORD = re.compile(r"(?P<file>.+\.py):(?P<name>[A-Za-z_]\w{0,60})", re.ASCII | re.DOTALL)


@dataclass(frozen=True)
class OwnCode:
    """A file's text, what in it is meant, and its hash."""

    path: Path
    name: str
    text: str
    sha256: str

    @property
    def label(self) -> str:
        """What records and boards call it: its file's name, and the beginning of its hash."""
        return label_of(f"{self.path}:{self.name}", self.sha256)


def is_own(word: str) -> bool:
    """Whether a word names code of the user's own."""
    return _WORD.fullmatch(word) is not None


def label_of(word: str, sha256: str) -> str:
    """The label of code of that word and hash; nothing is read."""
    found = _WORD.fullmatch(word)
    if found is None:
        raise UsageError(f"{word!r}: write FILE.py:NAME, as in ./mine.py:plan")
    stem = re.sub(r"\W", "_", Path(found["file"]).stem)[:60]
    name = "" if found["name"] == "plan" else f".{found['name']}"
    return f"own.{stem}{name}-{sha256[:8]}"


def absolute(word: str) -> str:
    """The same word with the whole path of its file, for records that are read from elsewhere."""
    path, _, name = word.rpartition(":")
    return f"{Path(path).resolve()}:{name}" if is_own(word) else word


def own_code(word: str, home: Path | None) -> OwnCode:
    """The code that a word names.

    It will run, so it has to be typed: `home` is the folder of the spec file that names it, and
    then it may only be as it was when the user typed it, once, on this machine. Raises UsageError
    where it was not, DataError where it cannot be read.
    """
    if not is_own(word):
        raise UsageError(f"{word!r}: write FILE.py:NAME, as in ./mine.py:plan")
    file, _, name = word.rpartition(":")
    path = Path(file).resolve()
    if not path.is_file():
        raise DataError(f"{path}: no such file; check the path of your method")
    with told_of(path, "a readable Python file"):
        raw = content(path, MIB)
        text = raw.decode()
    sha256 = hashlib.sha256(raw).hexdigest()
    what = f"{path}:{name} sha256:{sha256}"
    if home is None:
        remember("method", what)
    elif not is_trusted("method", what):
        raise UsageError(
            f"{word}: is Python code that {home} names, and that was not typed here as it now is; "
            "read it, and run it once yourself by --method"
        )
    return OwnCode(path, name, text, sha256)
