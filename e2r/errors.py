"""The named errors of e2r, each with the exit code that the command line gives it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class E2RError(Exception):
    """Something the user can mend: the message says what is wrong, where, and what to do."""

    exit_code = 1


class UsageError(E2RError):
    """The command or call was asked for in a way that cannot be carried out."""

    exit_code = 2


class DataError(E2RError):
    """A file or value that was given is not what it should be."""

    exit_code = 3


class MissingError(E2RError):
    """A package, model or data set that is needed is not on this machine."""

    exit_code = 4


class IncompleteError(E2RError):
    """The work finished, but some queries failed."""

    exit_code = 5


def unknown(kind: str, name: str, known: Iterable[str]) -> UsageError:
    """An error for a name that nobody registered, with the nearest names that somebody did."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.4)
    hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(names)}"
    return UsageError(f"unknown {kind} {name!r}; {hint}")
