"""What the user once typed, remembered on this machine: as ssh remembers hosts.

Nothing that a run's files say is trusted for it: code of a model, the address that a key is sent
to, a cluster to join, a template outside of the spec's folder.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, TypeAlias, get_args

from e2r.borders.reading import MIB, json_file
from e2r.borders.writing import write
from e2r.errors import DataError, E2RError

Kind: TypeAlias = Literal["code", "server", "key", "cluster", "template", "method"]
KINDS: dict[Kind, str] = {
    "code": "this model at this revision may run Python code that it brings",
    "server": "this host may be sent prompts",
    "key": "this host is sent the key in this environment variable",
    "cluster": "this Ray cluster may be joined",
    "template": "this prompt template may be read",
    "method": "this file's plan may run, as it was then",
}


@dataclass(frozen=True)
class Trusted:
    """One thing that was typed: its kind, what it is of, and when."""

    kind: Kind
    what: str
    since: str


def place() -> Path:
    """The file that remembers, in the user's folder for configuration."""
    root = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    return Path(root).expanduser() / "e2r" / "trust.json"


def remembered() -> list[Trusted]:
    """Everything that is remembered, oldest first. Raises DataError for a broken file."""
    path = place()
    try:
        rows = json_file(path, MIB)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None
    wanted = {"kind", "what", "since"}
    if not isinstance(rows, list) or not all(
        isinstance(row, dict)
        and row.keys() == wanted
        and all(isinstance(value, str) for value in row.values())
        and row["kind"] in get_args(Kind)
        for row in rows
    ):
        raise DataError(f"{path}: not a list of what is trusted; mend or remove it")
    return [Trusted(**row) for row in rows]


def is_trusted(kind: Kind, what: str) -> bool:
    """Whether this was typed before."""
    return any((row.kind, row.what) == (kind, what) for row in remembered())


def remember(kind: Kind, what: str) -> None:
    """Remember what was typed just now. A machine where this cannot be kept asks again."""
    # Another's file must not stop a command in which the user has just said what they mean.
    with suppress(OSError, E2RError):
        rows = remembered()
        if any((row.kind, row.what) == (kind, what) for row in rows):
            return
        _save([*rows, Trusted(kind, what, datetime.now(UTC).isoformat(timespec="seconds"))])


def forget(word: str) -> list[Trusted]:
    """Forget what this word names, or everything for `all`; returns what is forgotten."""
    rows = remembered()
    gone = [row for row in rows if word in ("all", row.what, f"{row.kind}:{row.what}")]
    if gone:
        _save([row for row in rows if row not in gone])
    return gone


def _save(rows: list[Trusted]) -> None:
    import json

    path = place()
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    content = json.dumps([vars(row) for row in rows], indent=1) + "\n"
    write(path, content.encode(), root=path.parent)
