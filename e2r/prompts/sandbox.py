"""Fills a stranger's templates in a process of its own, which has little time and little memory."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from e2r.errors import DataError
from e2r.prompts.rendering import MEMORY, SECONDS, sha256_of

PASSED = re.compile(r"PYTHON|TZ$|LD_LIBRARY_PATH$|PATH$")
"""What the process knows of the environment: how to start, and no secret."""


class Sandbox:
    """One process that fills templates, started when it is first asked and again when it ended."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._known: set[str] = set()
        self._owner = os.getpid()

    def filled(
        self, template: str, values: Mapping[str, Any] | None, *, chat: bool, name: str
    ) -> dict[str, Any]:
        """What `rendering.filled` gives. Raises DataError, naming the template, where it fails."""
        with self._lock:
            answer = self._asked(template, values, chat)
        if answer is None:
            raise DataError(
                f"{name}: takes more than {SECONDS} seconds of computing or {MEMORY >> 20} MiB to "
                "fill, which no prompt does"
            )
        if "error" in answer:
            raise DataError(f"{name}: {answer['error']}")
        return answer

    def _asked(
        self, template: str, values: Mapping[str, Any] | None, chat: bool
    ) -> dict[str, Any] | None:
        process = self._running()
        sha256 = sha256_of(template)
        asked: dict[str, Any] = {"sha256": sha256, "values": values, "chat": chat}
        if sha256 not in self._known:
            asked["template"] = template
            self._known.add(sha256)
        if process.stdin is None or process.stdout is None:
            return None
        try:
            process.stdin.write(f"{json.dumps(asked)}\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line.endswith("\n"):
            self.close()
            return None
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _running(self) -> subprocess.Popen[str]:
        # A forked process has a process of its own, or two would read each other's answers.
        if self._process is None or self._owner != os.getpid():
            self._known.clear()
            self._owner = os.getpid()
            # -P: nothing that lies in the current folder is imported.
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "e2r.prompts.rendering"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                encoding="utf-8",
                env={name: value for name, value in os.environ.items() if PASSED.match(name)},
            )
        return self._process

    def close(self) -> None:
        """End the process, if there is one."""
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()


SANDBOX = Sandbox()
"""One is enough: prompts are filled one after another."""
