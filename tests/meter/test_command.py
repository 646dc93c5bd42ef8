"""`e2r meter`: a program runs as it would, and what was counted stays, however it ends."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("transformers")

from e2r.cli import main
from tests import tiny_models

LOAD = """
import os, sys, torch
from transformers import AutoModelForCausalLM, AutoTokenizer
model = AutoModelForCausalLM.from_pretrained({model!r}).eval()
tokenizer = AutoTokenizer.from_pretrained({model!r})
def ask(text):
    with torch.no_grad():
        return model(**dict(tokenizer([text], return_tensors="pt"))).logits.sum().item()
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.save_cross_encoder(tmp_path_factory.mktemp("models") / "theirs")


@pytest.fixture
def program(model: Path, tmp_path: Path) -> Any:
    def write(text: str, auto: str = "SequenceClassification") -> Path:
        path = tmp_path / "theirs.py"
        load = LOAD.replace("ForCausalLM", f"For{auto}").format(model=str(model))
        path.write_text(load + text)
        return path

    return write


def words(out: Path, *more: str | Path, meter: tuple[str, ...] = ()) -> list[str]:
    command = [sys.executable, "-m", "e2r", "meter", "--out", str(out), *meter, "--"]
    return [*command, *map(str, more)]


def metered(
    out: Path, *more: str | Path, meter: tuple[str, ...] = (), **options: Any
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        words(out, *more, meter=meter), capture_output=True, text=True, check=False, **options
    )


def rows(out: Path) -> list[dict[str, str]]:
    with out.open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_output_and_exit_code_are_the_programs_own(program: Any, tmp_path: Path) -> None:
    path = program("print(ask(sys.argv[1])); print('told', file=sys.stderr); sys.exit(7)")
    words_of = [sys.executable, str(path), "--flag"]
    alone = subprocess.run(words_of, capture_output=True, text=True, check=False)
    out, summary = tmp_path / "calls.csv", tmp_path / "summary.json"
    done = metered(out, *words_of, meter=("--queries", "2", "--summary", str(summary)))
    assert (done.returncode, done.stdout) == (7, alone.stdout)
    assert "told\n" in done.stderr
    assert "1 calls in" in done.stderr
    assert "a query of 2" in done.stderr
    found = json.loads(summary.read_text())
    assert (found["calls"], found["queries"], found["exit_code"]) == (1, 2, 7)
    assert found["petaflops_per_query"] == found["petaflops"] / 2


@pytest.mark.slow
def test_calls_belong_to_the_topic_in_their_prompt(program: Any, tmp_path: Path) -> None:
    topics = tmp_path / "topics.tsv"
    topics.write_text("q1\tthe flea\nq2\tflea lives\nq3\tthe flea lives\n")
    path = program(
        "for text in ('Is the FLEA here?', 'the flea  lives', 'one flea lives', 'a fox',\n"
        "             'the flea; flea lives'): ask(text)"
    )
    out = tmp_path / "calls.csv"
    done = metered(out, sys.executable, path, meter=("--topics", str(topics)))
    assert done.returncode == 0, done.stderr
    # The last holds two topics of which neither is a part of the other: nobody knows.
    assert [row["qid"] for row in rows(out)] == ["q1", "q3", "q2", "", ""]
    assert "no single topic was found" in done.stderr


@pytest.mark.parametrize(
    ("program_words", "told"),
    [
        (["there-is-no-such-program"], "cannot be started"),
        ([sys.executable, "-c", "print('nothing')"], "ran no model"),
        ([sys.executable, "-I", "-c", "print('nothing')"], "no Python process began the meter"),
        (["true"], "no Python process began the meter"),
        (
            [sys.executable, "-c", "import sys; sys.path.insert(0, '.'); import llama_cpp"],
            "llama.cpp in the process",
        ),
    ],
)
def test_a_program_that_makes_no_call_ends_with_4_and_says_why(
    program_words: list[str], told: str, tmp_path: Path
) -> None:
    (tmp_path / "llama_cpp.py").write_text("")
    done = metered(tmp_path / "calls.csv", *program_words, cwd=tmp_path)
    assert done.returncode == 4
    assert told in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("summary", "told"),
    [("calls.csv", "is the file of --out"), ("absent/sums.json", "there is no folder")],
)
def test_a_summary_that_cannot_be_is_refused_before_the_program_runs(
    summary: str, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, ran = tmp_path / "calls.csv", tmp_path / "ran"
    words = ["meter", "--out", str(out), "--summary", str(tmp_path / summary)]
    with pytest.raises(SystemExit) as left:
        main([*words, "--", "touch", str(ran)])
    assert left.value.code == 2
    assert told in capsys.readouterr().err
    assert not ran.exists()
    assert not out.exists()


def test_nothing_is_written_over(program: Any, tmp_path: Path) -> None:
    out = tmp_path / "calls.csv"
    out.write_text("mine")
    done = metered(out, sys.executable, program("ask('a fox')"))
    assert (done.returncode, out.read_text()) == (2, "mine")
    assert "is there already" in done.stderr


@pytest.mark.parametrize(
    ("end", "code"),
    [
        ("os.kill(os.getpid(), 9)", 137),
        pytest.param("raise RuntimeError('theirs')", 1, marks=pytest.mark.slow),
        pytest.param("os.kill(os.getpid(), 15)", 143, marks=pytest.mark.slow),
        pytest.param("os._exit(3)", 3, marks=pytest.mark.slow),
        pytest.param("__import__('signal').raise_signal(2)", 130, marks=pytest.mark.slow),
        pytest.param("os.abort()", 134, marks=pytest.mark.slow),
    ],
)
def test_however_a_program_ends_what_it_had_computed_stays(
    end: str, code: int, program: Any, tmp_path: Path
) -> None:
    out = tmp_path / "calls.csv"
    done = metered(out, sys.executable, program(f"ask('a fox'); ask('the flea lives'); {end}"))
    assert done.returncode == code, done.stderr
    assert len(rows(out)) == 2
    assert "2 calls in" in done.stderr


@pytest.mark.slow
def test_what_the_meter_is_told_the_program_is_told(program: Any, tmp_path: Path) -> None:
    path = program(
        "import signal\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(11))\n"
        "ask('a fox'); print('ready', flush=True); signal.pause()"
    )
    out = tmp_path / "calls.csv"
    running = subprocess.Popen(
        words(out, sys.executable, path),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert running.stdout is not None
    assert running.stdout.readline() == "ready\n"
    running.send_signal(signal.SIGTERM)
    assert running.wait() == 11
    running.stdout.close()
    assert len(rows(out)) == 1


CHILDREN = {
    "a process of its own": "import subprocess; subprocess.run([sys.executable, __file__, 'again'])"
    " if len(sys.argv) < 2 else None",
    "fork": "import multiprocessing as m; p = m.get_context('fork').Process(target=ask,"
    " args=('a fox',)); p.start(); p.join()",
    "spawn": "import multiprocessing as m\nif __name__ == '__main__':\n"
    "    p = m.get_context('spawn').Process(target=ask, args=('a fox',)); p.start(); p.join()",
    "threads": "import threading as t\nts = [t.Thread(target=ask, args=('a fox',)) for _ in '12']\n"
    "[x.start() for x in ts]; [x.join() for x in ts]",
}
CALLS = {"a process of its own": 2, "fork": 2, "spawn": 3, "threads": 3}


@pytest.mark.slow
@pytest.mark.parametrize("how", CHILDREN)
def test_children_and_threads_write_whole_rows_into_one_file(
    how: str, program: Any, tmp_path: Path
) -> None:
    out = tmp_path / "calls.csv"
    path = program(f"ask('the flea lives')\n{CHILDREN[how]}")
    done = metered(out, sys.executable, path)
    assert done.returncode == 0, done.stderr
    # A spawned child imports the program anew, and asks what stands at its top.
    assert len(rows(out)) == CALLS[how]
    assert all(None not in row and None not in row.values() for row in rows(out))


@pytest.mark.slow
def test_a_child_that_is_not_followed_is_said(program: Any, tmp_path: Path) -> None:
    child = "subprocess.run([sys.executable, '-I', '-c', '1'], check=True)"
    path = program(f"ask('a fox')\nimport subprocess\n{child}")
    done = metered(tmp_path / "calls.csv", sys.executable, path)
    assert "unsure: a Python process was started with -I" in done.stderr


@pytest.mark.slow
def test_calls_that_go_on_across_a_fork_are_written_once(program: Any, tmp_path: Path) -> None:
    """A cache that is still alive is an open call; the child's copy of it is not the child's."""
    llama = tiny_models.save_llama(tmp_path / "llama")
    path = program("")
    text = LOAD.format(model=str(llama)) + (
        "ids = torch.tensor([[5, 6, 7]])\nwith torch.no_grad(): kept = model(ids, use_cache=True)\n"
        "pid = os.fork()\n"
        "if pid == 0: sys.exit(0)\n"
        "os.waitpid(pid, 0)\n"
    )
    path.write_text(text)
    out = tmp_path / "calls.csv"
    done = metered(out, sys.executable, path)
    assert done.returncode == 0, done.stderr
    assert [row["prompt_tokens"] for row in rows(out)] == ["3"]
    # A cache that is gone ends its call at once, whatever happens next.
    path.write_text(f"{text}del kept; os._exit(0)\n")
    done = metered(tmp_path / "killed.csv", sys.executable, path)
    assert [row["prompt_tokens"] for row in rows(tmp_path / "killed.csv")] == ["3"]


@pytest.mark.slow
def test_modules_and_console_scripts_run_too(program: Any, tmp_path: Path) -> None:
    program("ask('a fox')")
    done = metered(tmp_path / "one.csv", sys.executable, "-m", "theirs", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    script = tmp_path / "script"
    script.write_text(f"#!{sys.executable}\n{(tmp_path / 'theirs.py').read_text()}")
    script.chmod(0o755)
    done = metered(tmp_path / "two.csv", script)
    assert done.returncode == 0, done.stderr
    assert [len(rows(tmp_path / name)) for name in ("one.csv", "two.csv")] == [1, 1]


@pytest.mark.slow
@pytest.mark.parametrize(
    "launcher",
    [
        ("torch.distributed.run", "--nproc-per-node", "2", "--master-addr", "127.0.0.1"),
        ("accelerate.commands.launch", "--cpu", "--num_processes", "1"),
    ],
)
def test_launchers_are_followed(launcher: tuple[str, ...], program: Any, tmp_path: Path) -> None:
    out = tmp_path / "calls.csv"
    path = program("ask('a fox')")
    done = metered(out, sys.executable, "-m", *launcher, path)
    assert done.returncode == 0, done.stderr
    assert len(rows(out)) == (2 if "2" in launcher else 1)


@pytest.mark.slow
def test_the_programs_own_start_file_still_runs(program: Any, tmp_path: Path) -> None:
    home = tmp_path / "start"
    home.mkdir()
    (home / "sitecustomize.py").write_text("print('theirs first')")
    environment = {**os.environ, "PYTHONPATH": str(home)}
    path = program("ask('a fox')")
    done = metered(tmp_path / "calls.csv", sys.executable, path, env=environment)
    assert done.stdout.startswith("theirs first\n")
    assert done.returncode == 0
