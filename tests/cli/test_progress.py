"""Progress: lines where nobody watches, a bar on a terminal."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from e2r.cli.progress import Lines
from e2r.prompts.request import Reply
from e2r.records.manifest import ModelRecord
from e2r.records.query import QueryRecord
from tests.small_collection import write_collection


def record(qid: str, status: str = "ok", error: str | None = None) -> QueryRecord:
    return QueryRecord(qid, status, 1, 1, 10, 0, 0, 0, 0.1, 3, ("d",), error)


def test_lines_add_up_the_price_of_the_calls(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from e2r.flops.architecture import Architecture
    from e2r.flops.estimate import estimate
    from e2r.flops.work import Usage

    facts = {
        "model_type": "llama", "vocab_size": 100, "hidden_size": 8, "intermediate_size": 16,
        "num_hidden_layers": 2, "num_attention_heads": 2, "architectures": ["LlamaForCausalLM"],
    }  # fmt: skip
    lines = Lines()
    model = ModelRecord(id="m", name="m", revision=None, dtype="float32", architecture=facts)
    lines.started(tmp_path, model, queries=2, finished=0)
    lines.answered([Reply("A", prompt_tokens=9, generated_tokens=2, head_positions=1)] * 3)
    lines.query_finished(record("q1"))
    lines.query_finished(record("q2", "failed", "no luck"))
    one = estimate(Architecture.load(facts), Usage(prompt_tokens=9, generated_tokens=2)).flops
    assert lines.flops == 3 * one
    err = capsys.readouterr().err
    assert "2 queries" in err
    assert "query q2 failed: no luck" in err
    assert "2/2 queries, 3 calls" in err


@pytest.mark.parametrize("absurd", [-5, 10.9, 10**30])
def test_a_reply_without_a_price_ends_no_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], absurd: Any
) -> None:
    """Whatever counts come this far, progress goes on without a price, or with one."""
    facts = {
        "model_type": "llama", "vocab_size": 100, "hidden_size": 8, "intermediate_size": 16,
        "num_hidden_layers": 2, "num_attention_heads": 2, "architectures": ["LlamaForCausalLM"],
    }  # fmt: skip
    lines = Lines()
    model = ModelRecord(id="m", name="m", revision=None, dtype="float32", architecture=facts)
    lines.started(tmp_path, model, queries=1, finished=0)
    lines.answered([Reply("A", prompt_tokens=absurd, cached_tokens=absurd, generated_tokens=2)])
    lines.query_finished(record("q1"))
    assert "1/1 queries, 1 calls" in capsys.readouterr().err


def test_what_has_no_price_is_not_called_0_and_sessions_are_told_apart(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = Lines()
    model = ModelRecord(id="m", name="m", revision=None, dtype="unknown", architecture=None)
    lines.started(tmp_path, model, queries=9, finished=8)
    lines.answered([Reply("A", prompt_tokens=9, cached_tokens=None)] * 3)
    lines.query_finished(record("q9"))
    err = capsys.readouterr().err
    assert "9/9 queries (8 finished before), 3 calls" in err
    assert "PFLOPs" not in err


def test_a_terminal_gets_a_bar_and_its_stdout_the_folder_alone(tmp_path: Path) -> None:
    collection = write_collection(tmp_path / "small")
    reading, terminal = pty.openpty()
    words = [
        sys.executable, "-m", "e2r", "run", "--dataset", f"beir:{collection}",
        "--candidates", f"{collection}/first.run", "--model", "random:3",
        "--method", "setwise.heapsort", "--runs", str(tmp_path / "runs"),
    ]  # fmt: skip
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120"}
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=terminal, env=environment)
    os.close(terminal)
    drawn = b""
    while True:
        try:
            chunk = os.read(reading, 4096)
        except OSError:
            break
        if not chunk:
            break
        drawn += chunk
    assert process.stdout is not None
    out = process.stdout.read().decode()
    process.stdout.close()
    assert process.wait() == 0
    os.close(reading)
    text = drawn.decode()
    assert "setwise.heapsort" in text
    assert "6/6 queries" in text
    assert "calls" in text
    assert out.count("\n") == 1
    assert Path(out.strip()).is_dir()


def test_long_work_on_parts_is_told_in_ten_lines_and_short_work_not_at_all(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for done in range(20_000):
        Lines().working("putting the parts together", done, 20_000)
    said = capsys.readouterr().err.splitlines()
    assert said == [f"putting the parts together: {2000 * n:,} of 20,000" for n in range(10)]
    for done in range(999):
        Lines().working("putting the parts together", done, 999)
    assert not capsys.readouterr().err


@pytest.mark.parametrize(("count", "of"), [(20_000, " of 20,000"), (None, "")])
def test_long_work_is_told_again_after_some_seconds(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    count: int | None,
    of: str,
) -> None:
    """Whatever a tenth of it takes, and where nobody knows it: here each part takes two seconds."""
    clock = iter(range(0, 10_000, 2))
    monkeypatch.setattr("time.monotonic", lambda: float(next(clock)))
    lines = Lines()
    for done in range(1, 10):
        lines.working("putting the parts together", done, count)
    said = capsys.readouterr().err.splitlines()
    assert said == [f"putting the parts together: {n}{of}" for n in (3, 6, 9)]
