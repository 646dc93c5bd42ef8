"""Nothing that a file says steers a terminal, or the log of a CI."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from e2r.borders.showing import escaped, is_plain, json_escaped, shown
from e2r.records.folder import sha256_of
from tests.metrics.recorded_runs import MakeRun, make_run

__all__ = ["make_run"]

STEERING = (
    "\x1b]0;pwned\x07\x1b[2J\r\x08\x7f\x9b31m\x90\u202e\u2066\u200b\u2028\n"
    "::set-env name=X::y\n  ##[error]z"
)
STEERS = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]"
)


def steers(text: str) -> bool:
    """Whether printed text holds a control or turning character, or a line that is a command."""
    return bool(STEERS.search(text)) or bool(re.search(r"(?m)^\s*(::[a-zA-Z]|##\[)", text))


@given(st.text(st.characters()))
def test_text_is_shown_on_one_line_and_words_as_they_are(text: str) -> None:
    found = shown(text)
    assert not steers(found)
    assert "\n" not in found
    if all(unicodedata.category(c)[0] in "LNPSM" or c == " " for c in text) and "::" not in text:
        assert found == text or text.lstrip().startswith("##[")
    assert not steers(escaped(text))
    assert is_plain(found)


@given(st.dictionaries(st.text(), st.text()))
def test_json_that_is_shown_means_the_same(value: dict[str, str]) -> None:
    text = json_escaped(json.dumps(value, ensure_ascii=False, indent=1))
    assert json.loads(text) == value
    assert not STEERS.search(text)


def hostile(make_run: MakeRun) -> Path:
    """A run whose every name steers, in a folder whose name does."""
    folder = make_run(failed=("q2",)).path
    evil = folder.parent / f"x{STEERING.replace('/', '')}"
    folder.rename(evil)
    manifest = json.loads((evil / "manifest.json").read_text())
    for part, name in (("model", "name"), ("model", "id"), ("dataset", "first_stage")):
        manifest[part][name] = STEERING
    manifest["notes"] = [STEERING]
    manifest["method"] = f"a{STEERING}"
    records = [json.loads(line) for line in (evil / "per_query.jsonl").read_text().splitlines()]
    for record in records:
        if record["error"]:
            record["error"] = STEERING
    (evil / "per_query.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in records))
    manifest["files"]["per_query.jsonl"] = sha256_of(evil / "per_query.jsonl")
    (evil / "manifest.json").write_text(json.dumps(manifest))
    return evil


@pytest.mark.parametrize(
    "words",
    [
        "evaluate {0}",
        "evaluate {0} --format csv",
        "evaluate {0} --format markdown",
        "evaluate {0} --format json",
        "evaluate {0} --columns all",
        "frontier {0}",
        "compare {0}",
        "validate {0}",
        "validate {0} --json",
        "leaderboard --runs {0} --out {1}",
        "run {2}",
        "plan {2}",
        "validate {2}",
    ],
)
def test_no_command_lets_a_file_steer(make_run: MakeRun, tmp_path: Path, words: str) -> None:
    make_run()
    hostile(make_run)
    spec = tmp_path / "spec.toml"
    word = json.dumps(STEERING.replace("\x7f", ""))
    spec.write_text(f"[data]\n{word} = 1\n[model]\nsource = {word}\n")
    argv = words.format(tmp_path / "runs", tmp_path / "site", spec).split()
    done = subprocess.run(
        [sys.executable, "-c", f"from e2r.cli import main; main({argv!r})"],
        capture_output=True,
        check=False,
        cwd=tmp_path,
    )
    said = done.stdout.decode(), done.stderr.decode()
    assert done.returncode in (0, 2, 3, 5), said
    assert "Traceback" not in said[1]
    assert not steers(said[0].replace("\t", " ")), said[0]
    assert not steers(said[1].replace("\t", " ")), said[1]


def test_a_terminal_is_steered_by_our_own_drawing_alone(make_run: MakeRun, tmp_path: Path) -> None:
    """On a terminal, tables are drawn with styles; what is in their cells is escaped."""
    import os
    import pty

    make_run()
    hostile(make_run)
    code = f"from e2r.cli import main; main(['evaluate', {str(tmp_path / 'runs')!r}])"
    reader, writer = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=writer, stderr=writer, stdin=subprocess.DEVNULL
    ) as process:
        os.close(writer)
        said = b""
        while True:
            try:
                more = os.read(reader, 65536)
            except OSError:  # the other end is closed
                break
            if not more:
                break
            said += more
        process.wait()
    os.close(reader)
    text = said.decode()
    assert "pwned" in text
    assert not re.search(r"\x1b(?!\[[0-9;]*m)|[\x07\x08\x7f-\x9f\u202e\u2066]", text)
