"""Whatever is in a file: an answer, soon, in little memory, and nothing else touched."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

FUZZING = Path(__file__).with_name("fuzzing.py")


@pytest.mark.parametrize(
    ("seed", "cases"),
    [(1, 60), *(pytest.param(seed, 150, marks=pytest.mark.slow) for seed in range(2, 4))],
)
def test_every_mutated_file_is_answered(tmp_path: Path, seed: int, cases: int) -> None:
    done = subprocess.run(
        [sys.executable, str(FUZZING), str(tmp_path), str(seed), str(cases)],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["most_mib"] < 1024, found
