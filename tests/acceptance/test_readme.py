"""The README's commands run as they stand, where what they name is at hand."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest

from e2r.cli import main

ROOT = Path(__file__).parents[2]
ABSENT = {
    "…": "a part is left to the reader",
    "path/to/": "a path of the reader's",
    "requests.jsonl": "the reader's candidates",
    "candidates.jsonl": "the reader's candidates",
    "theirs.": "somebody else's run",
    "openai:": "a server",
    "bm25.run": "the reader's candidates",
    "--candidates bm25": "an index",
    "runs/a": "runs of the reader's",
    "calibrate": "a minute of measuring",
}
"""Words in a command by which it names what no clone holds, with what that is."""


def commands() -> list[str]:
    """The indented e2r commands of the README, continuation lines joined, comments cut off."""
    text = (ROOT / "README.md").read_text(encoding="utf-8").replace("\\\n", " ")
    found = re.findall(r"^ {4}(e2r .*)$", text, re.MULTILINE)
    return [re.sub(r"\s+", " ", re.sub(r"\s#.*$", "", line)).strip() for line in found]


RUNNABLE = [line for line in commands() if not any(word in line for word in ABSENT)]


def test_most_commands_can_be_tried() -> None:
    assert len(RUNNABLE) >= 10
    for word in ABSENT:
        assert any(word in line for line in commands()), f"{word}: nothing is left out for it"


@pytest.mark.slow
@pytest.mark.parametrize("line", RUNNABLE)
def test_it_runs(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a folder with some of the committed runs, so that nothing is written into the checkout."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for model in ("SmolLM2-135M-Instruct.Q4_1", "flan-t5-large", "no-model"):
        place = Path("runs") / "trec-dl-2019" / model
        shutil.copytree(ROOT / place, tmp_path / place)
    with pytest.raises(SystemExit) as ended:
        main(shlex.split(line)[1:])
    assert ended.value.code == 0, line
