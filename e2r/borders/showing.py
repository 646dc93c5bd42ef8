"""Text from a file on its way to a terminal or a log: what could steer either is shown escaped."""

from __future__ import annotations

import codecs
import errno
import io
import os
import re
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, TextIO, TypeVar, cast

T = TypeVar("T")

_STEERS = re.compile(
    # C0 and C1 controls, and DEL; marks that turn or hide text; separators; half surrogates.
    "[\x00-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff"
    "\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e0fff]"
)
_CI_COMMAND = re.compile(r"(?m)^([ \t]*)(::(?=[a-zA-Z])|##\[)")
"""Words at the start of a line that the runner of a CI takes for a command of its own."""


def shown(text: object) -> str:
    """Text as one line without anything that steers a terminal: line ends are escaped too."""
    return _CI_COMMAND.sub(r"\1\\\2", _STEERS.sub(_escaped, str(text)))


def escaped(text: str) -> str:
    """The same for text of several lines: line ends and tabs stay."""
    kept = _STEERS.sub(lambda found: found[0] if found[0] in "\n\t" else _escaped(found), text)
    return _CI_COMMAND.sub(r"\1\\\2", kept)


def json_escaped(text: str) -> str:
    """The same JSON, all that steers a terminal written as \\uXXXX."""
    return _STEERS.sub(lambda found: found[0] if found[0] in "\n\t" else _as_json(found[0]), text)


def _as_json(character: str) -> str:
    raw = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{raw[i]:02x}{raw[i + 1]:02x}" for i in range(0, len(raw), 2))


def _escaped(found: re.Match[str]) -> str:
    code = ord(found[0])
    short = {10: "\\n", 13: "\\r", 9: "\\t", 27: "\\x1b"}.get(code)
    if short is not None:
        return short
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


PLAIN = {
    "…": "~",
    "–": "-",
    "—": "-",
    "−": "-",
    "─": "-",
    "━": "-",
    "·": ".",
    "×": "x",
    "±": "~",
    "½": "0.5",
    "≤": "<=",
    "≥": ">=",
    "⌈": "ceil(",
    "⌉": ")",
    "⌊": "floor(",
    "⌋": ")",
    "★": "*",
    "→": ">",
}
"""What e2r writes in place of its own marks where the output's encoding lacks them."""
AS_PLAIN = "e2r.plain"
"""The error handler that does so; anything else is written as a Python escape."""


def _as_plain(error: UnicodeError) -> tuple[str | bytes, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    if lacking[0] in PLAIN:
        return PLAIN[lacking[0]], error.start + 1
    first = UnicodeEncodeError(
        error.encoding, error.object, error.start, error.start + 1, error.reason
    )
    return codecs.backslashreplace_errors(first)


codecs.register_error(AS_PLAIN, _as_plain)


def is_plain(text: str) -> bool:
    """Whether a name holds nothing that would be escaped."""
    return not _STEERS.search(text)


class Guarded(io.TextIOBase):
    """A text stream that lets nothing through that steers a terminal.

    `bare` is the stream behind it, for those who mean to move the cursor and escape what they show.
    """

    def __init__(self, bare: TextIO | Behind) -> None:
        self.bare = bare

    def write(self, text: str) -> int:
        """Write text with everything escaped that steers a terminal."""
        self.bare.write(escaped(text))
        return len(text)

    def flush(self) -> None:
        """Flush what is behind."""
        self.bare.flush()

    def isatty(self) -> bool:
        """Whether a terminal is behind."""
        return self.bare.isatty()

    def fileno(self) -> int:
        """The descriptor of what is behind."""
        return self.bare.fileno()

    def writable(self) -> bool:
        return True

    def __getattr__(self, name: str) -> Any:
        if name == "buffer":  # Bytes would pass by the guard.
            raise AttributeError(name)
        return getattr(self.bare, name)


class ReaderLeftError(Exception):
    """Whoever read what is written has seen enough, as `head` has after its lines."""


class Behind(io.TextIOBase, ABC):
    """A standard stream, or what stands for one that was closed before the program began."""

    def __init__(self, stream: TextIO | None, handle: int) -> None:
        self._error: OSError | None = None
        if stream is None:
            # Nothing that is opened later may take the place of a standard stream.
            _to_nowhere(handle)
            stream = os.fdopen(handle, "w", closefd=False)
            self._error = OSError(errno.EBADF, os.strerror(errno.EBADF))
        self._stream = stream

    def write(self, text: str) -> int:
        return self._trying(lambda: self._stream.write(text), len(text)) if text else 0

    def flush(self) -> None:
        # Once it is broken, a write says so; the interpreter flushes at its end too.
        if self._error is None and not self._stream.closed:
            self._trying(self._stream.flush, None)

    def _trying(self, act: Callable[[], T], otherwise: T) -> T:
        if self._error is None:
            try:
                return act()
            except OSError as error:
                self._error = error
                self._give_up()
        return self._broken(self._error, otherwise)

    @abstractmethod
    def _broken(self, error: OSError, otherwise: T) -> T:
        """What a write gives back, or raises, once the stream takes nothing more."""

    def _give_up(self) -> None:
        # What is still buffered would fail once more when the interpreter flushes it.
        try:
            handle = self._stream.fileno()
        except (OSError, ValueError, AttributeError):
            return
        _to_nowhere(handle)

    def isatty(self) -> bool:
        return self._stream.isatty()

    def fileno(self) -> int:
        return self._stream.fileno()

    def writable(self) -> bool:
        return True

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class Dispensable(Behind):
    """Progress and messages: what cannot be shown any more ends no work."""

    def _broken(self, error: OSError, otherwise: T) -> T:
        return otherwise


class Listing(Behind):
    """Results: work for a reader who has left is ended by ReaderLeftError, a full disk by OSError.

    A stdout that was closed from the start takes nothing, and that is an OSError too.
    """

    def _broken(self, error: OSError, otherwise: T) -> T:
        if isinstance(error, BrokenPipeError):
            raise ReaderLeftError from None
        raise error


def _to_nowhere(handle: int) -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    if nowhere != handle:
        os.dup2(nowhere, handle)
        os.close(nowhere)


def bare(stream: Any) -> TextIO:
    """The stream behind a guard, for who draws on the terminal and escapes what it shows."""
    found: Any = stream.bare if isinstance(stream, Guarded) else stream
    return cast("TextIO", found)
