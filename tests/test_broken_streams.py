"""Readers that leave, full and closed streams, signals: what a command still does, and its end."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

import e2r.cli
from e2r.errors import DataError
from e2r.records.folder import RunFolder
from tests.small_collection import write_collection


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """A run of 30 queries, whose progress is three lines and more."""
    place = write_collection(tmp_path_factory.mktemp("small") / "small", queries=30)
    return [
        *("run", "--dataset", f"beir:{place}", "--candidates", str(place / "first.run")),
        *("--depth", "6", "--k", "3", "--model", "random:7", "--method", "setwise.heapsort"),
    ]


def shell(script: str, words: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """`"$@"` in the script is e2r with its words; its exit code is what the script prints."""
    command = ["bash", "-c", script, "bash", sys.executable, "-m", "e2r", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def status(runs: Path) -> str:
    [manifest] = runs.rglob("manifest.json")
    found: str = json.loads(manifest.read_text())["status"]
    return found


@pytest.mark.parametrize(
    ("script", "code"),
    [
        ('{ { "$@" 2>&1; echo $? >&3; } | head -1 >/dev/null; } 3>&1', "0"),
        ('"$@" 2>/dev/full >/dev/null; echo $?', "0"),
        ('"$@" 2>&- >/dev/null; echo $?', "0"),
        ('"$@" 2>/dev/null >/dev/full; echo $?', "2"),
        ('"$@" 2>&- >&-; echo $?', "2"),
    ],
)
def test_a_run_goes_on_without_its_listeners(
    words: list[str], tmp_path: Path, script: str, code: str
) -> None:
    """Progress is dispensable: the run comes to its end, whoever stopped listening to it."""
    done = shell(script, [*words, "--runs", str(tmp_path / "runs")])
    assert done.stdout.split() == [code]
    assert status(tmp_path / "runs") == "complete"


@pytest.mark.parametrize("stderr", ["/dev/null", "/dev/full", "&-"])
def test_an_error_keeps_its_code_where_nobody_can_be_told(stderr: str) -> None:
    done = shell(f'"$@" 2>{stderr}; echo $?', ["validate", "/nowhere"])
    assert done.stdout.split()[-1] == "3"


def test_a_reader_of_stdout_ends_a_listing() -> None:
    script = '{ { "$@"; echo $? >&3; } | head -1 >/dev/null; } 3>&1'
    done = shell(script, ["list", "models", "--json"])
    assert (done.stdout.split(), done.stderr) == (["0"], "")


def test_an_interruption_that_a_library_swallows_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Native code that calls back into Python may drop what is raised there."""

    def swallow(*_: object, **__: object) -> object:
        with contextlib.suppress(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
        raise DataError("nothing can be measured")

    monkeypatch.setattr("e2r.metrics.evaluate", swallow)
    before = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(SystemExit) as left:
            e2r.cli.main(["evaluate", "runs"])
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
    assert left.value.code == 130
    assert "interrupted" in capsys.readouterr().err


@pytest.mark.parametrize(("ignored", "code"), [(False, 130), (True, 0)])
def test_a_terminal_that_goes_ends_a_run_unless_nohup_says_otherwise(
    words: list[str], tmp_path: Path, ignored: bool, code: int
) -> None:
    """SIGHUP comes while a query finishes, as when ssh is cut; what finished is kept."""
    script = (
        "import os, signal, sys, e2r.cli\n"
        "from e2r.records.folder import RunFolder\n"
        "commit = RunFolder.commit\n"
        "def noted(self, several):\n"
        "    commit(self, several)\n"
        "    os.kill(os.getpid(), signal.SIGHUP)\n"
        "RunFolder.commit = noted\n"
        "e2r.cli.main(sys.argv[1:])\n"
    )
    runs = tmp_path / "runs"
    begun = ["nohup"] if ignored else []
    done = subprocess.run(
        [*begun, sys.executable, "-c", script, *words, "--runs", str(runs)],
        capture_output=True,
        check=False,
    )
    assert done.returncode == code
    assert status(runs) == ("complete" if ignored else "started")
    [manifest] = runs.rglob("manifest.json")
    finished = RunFolder(manifest.parent).per_query()
    assert len(finished) == 30 if ignored else 1 <= len(finished) < 30
