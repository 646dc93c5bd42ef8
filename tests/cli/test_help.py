"""Help in groups, the shortest command that works, how a run ends, and what Tab offers."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest

from e2r.cli import COMPLETING, cli, main
from e2r.cli.grouped import ASKED
from e2r.cli.plan import command as plan_command
from e2r.cli.run import command as run_command
from e2r.cli.words import SHORTEST


def e2r(*words: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(list(words))
    assert isinstance(ended.value.code, int)
    return ended.value.code


def test_every_option_of_run_stands_in_one_group() -> None:
    grouped = [name for names in ASKED.values() for name in names]
    assert len(grouped) == len(set(grouped))
    assert {p.name for p in run_command.params} == {*grouped, "spec_file"}


@pytest.mark.parametrize("command", [run_command, plan_command])
def test_help_shows_every_option_once(command: click.Command) -> None:
    text = command.get_help(click.Context(command, info_name="x", terminal_width=80))
    text = text[text.index("\ne2r x:") :]
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert text.count(f"\n  {parameter.opts[0]} ") == 1, parameter.opts[0]
    assert text.index("What is ranked:") < text.index("Who ranks:") < text.index("How:")


@pytest.mark.parametrize("words", [(), ("--dataset", "demo"), ("--model", "random:1")])
def test_run_without_its_words_shows_a_command_that_works(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert e2r("run", *words) == 2
    err = capsys.readouterr().err
    assert SHORTEST in err
    for name in ("--dataset", "--model", "--method"):
        assert (name in err.partition("missing")[0]) == (name not in words)


def test_the_shortest_command_works_and_ends_with_what_it_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert e2r(*shlex.split(SHORTEST)[1:]) == 0
    out, err = capsys.readouterr()
    assert Path(out.strip()).is_dir()
    found, work, after = err.splitlines()[-3:]
    assert found.startswith("nDCG@10 0.")
    assert "PFLOPs a query" in found
    assert "0 parse failures (0.0%)" in work
    assert after == f"next: e2r evaluate {out.strip()}"
    assert e2r(*shlex.split(after)[2:]) == 0


def test_a_shell_is_answered() -> None:
    """Through a real process under its own name: its stdout is read as bytes by the shell."""
    done = subprocess.run(
        [Path(sys.executable).with_name("e2r")],
        env={
            **os.environ,
            COMPLETING: "bash_complete",
            "COMP_WORDS": "e2r com",
            "COMP_CWORD": "1",
        },
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["plain,compare"]


@pytest.mark.parametrize(
    ("words", "option", "begun", "offered"),
    [
        ("run", "--method", "setwise.heapsort", "setwise.heapsort.likelihood"),
        ("run", "--method", "a,pairwise.al", "a,pairwise.allpair"),
        ("run", "--model", "qwen/qwen3-", "Qwen/Qwen3-8B"),
        ("run", "--model", "pyp", "pypi:"),
        ("run", "--device", "cu", "cuda:0"),
        ("evaluate", "--measures", "ndcg", "nDCG@10"),
        ("evaluate", "--convention", "to", "torch"),
        ("plan", "--on", "H1", "H100"),
    ],
)
def test_tab_offers_names(words: str, option: str, begun: str, offered: str) -> None:
    command = cli.get_command(click.Context(cli), words)
    assert command is not None
    [parameter] = [p for p in command.params if option in p.opts]
    found = parameter.shell_complete(click.Context(command), begun)
    assert offered in [item.value for item in found]


def test_tab_offers_folders_for_runs() -> None:
    command = cli.get_command(click.Context(cli), "evaluate")
    assert command is not None
    [runs] = [p for p in command.params if p.name == "runs"]
    assert [item.type for item in runs.shell_complete(click.Context(command), "ru")] == ["dir"]
