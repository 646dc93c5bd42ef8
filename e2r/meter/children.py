"""Python processes that a metered program starts out of the meter's sight: they are told of."""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

STARTS = {"subprocess.Popen": 3, "os.exec": 2, "os.posix_spawn": 2, "os.system": -1}
"""Audit events that start a program, and where among their arguments its environment stands."""
PYTHON = re.compile(r"(^|/)i?(python|pypy)[0-9.]*$")
BEFORE_A_COMMAND = (";", "&", "|", "exec", "env", "then", "do")
TAKES_A_VALUE = ("-W", "-X", "--check-hash-based-pycs")


def watch(note: Callable[[str], None], needed: Sequence[str]) -> None:
    """Tell `note` of each Python that will not begin the meter; there is no way to stop.

    One does not where -I, -E or -S leave out the environment, or where the environment that it is
    given lacks one of the `needed` variables.
    """

    def hear(event: str, args: tuple[Any, ...]) -> None:
        if event in STARTS:
            # The program must run as it would without.
            with suppress(Exception):
                why = unfollowed(event, args, needed)
                if why is not None:
                    note(f"a Python process was started {why}: it is not followed")

    sys.addaudithook(hear)


def unfollowed(event: str, args: tuple[Any, ...], needed: Sequence[str]) -> str | None:
    """Why the Python that an audit event starts will not begin the meter; None where it will."""
    place = STARTS[event]
    words = args[0] if place < 0 else args[1]
    said = [words] if isinstance(words, str | bytes | os.PathLike) else list(words)
    pythons = list(_pythons([os.fsdecode(word) for word in said]))
    if any(_leaves_out(options) for options in pythons):
        return "with -I, -E or -S"
    given: Mapping[Any, Any] | None = args[place] if place >= 0 else None
    if pythons and given is not None:
        names = {os.fsdecode(name) for name in given}
        if not names.issuperset(needed):
            return "with an environment of its own"
    return None


def _pythons(words: list[str]) -> Iterator[list[str]]:
    """What stands behind each Python that the words start, in a shell's command too."""
    if PYTHON.search(words[0]):
        yield words[1:]
    for command in (word for word in words if " " in word and "python" in word):
        line = shlex.split(command)
        for place, word in enumerate(line):
            begins = place == 0 or line[place - 1].endswith(BEFORE_A_COMMAND)
            if begins and PYTHON.search(word):
                yield line[place + 1 :]


def _leaves_out(options: list[str]) -> bool:
    """Whether a Python's own options say that it must not read its environment."""
    skip = False
    for option in options:
        if skip:
            skip = False
        elif option in TAKES_A_VALUE:
            skip = True
        elif not option.startswith("-") or option.startswith("--") or option == "-":
            return False
        else:
            letters = re.split("[cmWX]", option[1:])[0]
            if set(letters) & set("IES"):
                return True
            if letters != option[1:]:
                return False
    return False
