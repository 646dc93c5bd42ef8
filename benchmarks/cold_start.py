"""How soon the command line answers, beside a bare interpreter and an import of NumPy."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "python -c 'import numpy'": ["-c", "import numpy"],
    "e2r --help": ["-m", "e2r", "--help"],
    "import e2r": ["-c", "import e2r"],
}
REPEATS = 15


def seconds(words: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, *words], check=True, capture_output=True)
    return time.perf_counter() - began


def main() -> None:
    """Print the median of interleaved repeats, so that noise falls on all alike."""
    rounds = [{name: seconds(words) for name, words in COMMANDS.items()} for _ in range(REPEATS)]
    medians = {name: statistics.median(row[name] for row in rounds) for name in COMMANDS}
    bare = medians["python -c pass"]
    for name, median in medians.items():
        print(f"{name:<26} {median * 1000:7.0f} ms  {median / bare:5.1f} × bare")


main()
