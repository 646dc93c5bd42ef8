"""Starts the process that Java lives in and talks to it; whatever happens there is one E2RError."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from e2r.data.bm25.java import INSTALL, VECTOR_MODULE, find_java
from e2r.errors import MissingError

CHILD = Path(__file__).with_name("child.py")
LAST_WORDS = 600


class FailedError(MissingError):
    """Java answered that it could not do what it was asked."""


class JavaProcess:
    """A conversation with the child: one JSON message a line, in either direction.

    The child writes only when it was asked, and is asked only when it has answered, so that
    neither waits for the other for ever.
    """

    def __init__(self, process: subprocess.Popen[bytes], said: Any) -> None:
        self._process = process
        self._said = said

    def send(self, do: str, **words: Any) -> None:
        """Ask without waiting for an answer. Raises MissingError if the child is gone."""
        line = json.dumps({"do": do, **words}).encode() + b"\n"
        try:
            self._in.write(line)
            self._in.flush()
        except OSError:
            raise self._ended(do) from None

    def ask(self, do: str, **words: Any) -> dict[str, Any]:
        """Ask and wait for the answer.

        Raises FailedError where Java could not do it, MissingError where the child is gone or
        speaks something else.
        """
        self.send(do, **words)
        line = self._out.readline()
        if not line.endswith(b"\n"):
            raise self._ended(do)
        try:
            reply = json.loads(line)
        except ValueError:
            reply = None
        if not isinstance(reply, dict):
            raise MissingError(
                f"BM25's Java process answered {do!r} by {line[:80]!r} where JSON is wanted; "
                f"reinstall Pyserini ({INSTALL}) and repeat"
            )
        if "failed" in reply:
            raise FailedError(f"BM25 by Pyserini: {do} failed: {str(reply['failed'])[:LAST_WORDS]}")
        return reply

    @property
    def _in(self) -> Any:
        return self._process.stdin

    @property
    def _out(self) -> Any:
        return self._process.stdout

    def _ended(self, do: str) -> MissingError:
        try:
            code = self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        self._said.seek(0)
        words = self._said.read().decode("utf-8", "replace").strip()[-LAST_WORDS:]
        return MissingError(
            f"BM25's Java process ended (exit code {code}) during {do!r}; its last words: "
            f"{words or 'none'}\nif it ran out of memory, give it more (JAVA_TOOL_OPTIONS=-Xmx8g); "
            f"else reinstall it ({INSTALL}) and repeat"
        )


@contextmanager
def java_process(command: Sequence[str] | None = None) -> Iterator[JavaProcess]:
    """Run the child for as long as the block lasts; `command` replaces it in tests.

    Raises MissingError where Pyserini or a Java that is new enough is not installed.
    """
    environment = dict(os.environ)
    if command is None:
        for package in ("pyserini", "jnius"):
            if find_spec(package) is None:
                raise MissingError(f"BM25 needs the package {package}; run: {INSTALL}")
        java = find_java()
        environment["JAVA_HOME"] = str(java.home)
        command = [sys.executable, "-P", str(CHILD), *([] if java.has_vectors else [VECTOR_MODULE])]
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=said,
            env=environment,
        )
        try:
            yield JavaProcess(process, said)
        finally:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    _close(pipe)


def _close(pipe: Any) -> None:
    # What is left are words for a child that is dead; its end has been told already.
    with suppress(BrokenPipeError):
        pipe.close()
