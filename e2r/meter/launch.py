"""Runs a program beside a meter: unchanged, with its own output, signals and exit code."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from e2r.borders.writing import write
from e2r.errors import MissingError
from e2r.meter.sheet import Sheet
from e2r.meter.start import OUT, TOPICS

STARTED = Path(__file__).parent / "started"
PASSED_ON = (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGCONT)


def launch(program: Sequence[str], sheet: Sheet, topics: Mapping[str, str] | None = None) -> int:
    """Run a program to its end and give back its exit code, 128 + n where signal n ended it.

    Every Python process that it starts is counted as well, as long as it reads its environment.
    Raises MissingError for a program that cannot be started.
    """
    with tempfile.TemporaryDirectory(prefix="e2r-meter-") as folder:
        environment = {**os.environ, OUT: str(sheet.out.resolve())}
        before = os.environ.get("PYTHONPATH")
        environment["PYTHONPATH"] = os.pathsep.join([str(STARTED), *([before] if before else [])])
        if topics is not None:
            asked = Path(folder) / "topics.json"
            write(asked, json.dumps(dict(topics)).encode(), durable=False)
            environment[TOPICS] = str(asked)
        try:
            running = subprocess.Popen(list(program), env=environment)
        except OSError as error:
            raise MissingError(
                f"{program[0]}: cannot be started ({error.strerror}); name a program as you would "
                "in a shell"
            ) from None
        with _signals(running):
            code = running.wait()
    return 128 - code if code < 0 else code


@contextmanager
def _signals(running: subprocess.Popen[bytes]) -> Iterator[None]:
    """What this process is told, the program is told; Ctrl-C reaches both from the terminal."""

    def on(number: int, _: FrameType | None) -> None:
        running.send_signal(number)

    before = {number: signal.signal(number, on) for number in PASSED_ON}
    before[signal.SIGINT] = signal.signal(signal.SIGINT, lambda *_: None)
    before[signal.SIGQUIT] = signal.signal(signal.SIGQUIT, lambda *_: None)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
