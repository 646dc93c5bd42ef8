"""A real `transformers serve` on this machine, behind a proxy that disturbs it or takes it away."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from e2r.models.server import http as server_module
from e2r.records.folder import RunFolder
from e2r.records.ledger import read_ledger
from e2r.records.spec import ExecutionSpec, ModelSpec, Spec
from e2r.runner import run
from tests.models.server.local_servers import FaultProxy, free_port, serving
from tests.small_collection import write_collection
from tests.tiny_models import save_llama

pytestmark = pytest.mark.slow

KEY = "sk-this-is-a-secret"


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint that brings a penalty of its own, which no run here applies."""
    folder = save_llama(tmp_path_factory.mktemp("served") / "llama", context=4096)
    config = folder / "generation_config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "repetition_penalty": 1.5}))
    return folder


@pytest.fixture(scope="module")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_collection(tmp_path_factory.mktemp("small") / "small", queries=6, candidates=6)


@pytest.fixture(scope="module")
def upstream(llama: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The base URL of the real server, offline, in float32 on the processor."""
    port = free_port()
    with transformers_serve(llama, port, tmp_path_factory.mktemp("log") / "serve.log"):
        yield f"http://127.0.0.1:{port}/v1"


@contextmanager
def transformers_serve(llama: Path, port: int, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A real server process, which answers when this is entered."""
    words = ["serve", str(llama), "--port", str(port), "--host", "127.0.0.1"]
    command = [str(Path(sys.executable).with_name("transformers")), *words]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    with log.open("ab") as stream:
        server = subprocess.Popen(
            [*command, "--device", "cpu", "--dtype", "float32"],
            stdout=stream,
            stderr=stream,
            env=environment,
        )
    try:
        until = time.monotonic() + 600
        while not _is_up(port):
            if server.poll() is not None or time.monotonic() > until:
                pytest.fail(f"transformers serve did not start:\n{log.read_text()}")
            time.sleep(0.2)
        yield server
    finally:
        server.terminate()
        server.wait(200)


def _is_up(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as response:
            return bool(response.status == 200)
    except OSError:
        return False


def e2r(
    collection: Path, llama: Path, runs: Path, url: str, method: str, *more: str
) -> subprocess.CompletedProcess[str]:
    """The command line, as a user calls it, with a key in the environment."""
    data = ["--dataset", f"beir:{collection}", "--candidates", str(collection / "first.run")]
    shape = ["--method", method, "--depth", "6", "--k", "3", "--passage-tokens", "16"]
    server = ["--model", f"openai:{llama}", "--base-url", url, "--attempts", "5", "--timeout", "20"]
    where = ["--runs", str(runs), "--concurrency", "4", "--answer-tokens", "12"]
    return subprocess.run(
        [sys.executable, "-m", "e2r", "run", *data, *shape, *server, *where, *more],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OPENAI_API_KEY": KEY, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"},
    )


def folder_of(runs: Path) -> RunFolder:
    [manifest] = runs.rglob("manifest.json")
    return RunFolder(manifest.parent)


def outcome(folder: RunFolder) -> tuple[Any, list[dict[str, Any]]]:
    """Ranking and ledger, without what depends on the clock."""
    rows: list[dict[str, Any]] = read_ledger(folder.ledger_path).to_pylist()
    for row in rows:
        for name in ("seconds", "batch_size"):
            del row[name]
    return folder.ranking(), rows


def spec(collection: Path, llama: Path, url: str, method: str, **execution: Any) -> Spec:
    server = {"base_url": url, "attempts": 6, "concurrency": 4, **execution}
    return Spec.of(
        {
            "data": {
                "dataset": f"beir:{collection}",
                "candidates": str(collection / "first.run"),
                "depth": 6,
                "limit": 3,
            },
            "model": {"source": f"openai:{llama}", "tokenizer": str(llama)},
            "method": {"name": method, "k": 3},
            "prompt": {"passage_tokens": 16, "answer_tokens": 12},
            "execution": {"device": "cpu", "server": server},
        },
        "the test",
    )


def test_faults_on_the_way_change_nothing(
    upstream: str, collection: Path, llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "FIRST_PAUSE", 0.01)
    seen: set[str] = set()
    for method, most in (("setwise.heapsort", 3), ("listwise.generation", 5)):
        calm = run(spec(collection, llama, upstream, method), tmp_path / "calm")
        proxy, storm = FaultProxy(upstream, most=most, seed=6), tmp_path / "storm"
        with serving(proxy) as url:
            stormy = run(spec(collection, llama, url, method, timeout=3, attempts=12), storm)
        assert outcome(stormy) == outcome(calm)
        seen |= set(proxy.faults)
    assert seen == {*FaultProxy.KINDS, "None"}


@pytest.mark.parametrize("method", ["setwise.heapsort", "listwise.generation"])
def test_a_served_run_equals_the_same_model_run_here(
    upstream: str, collection: Path, llama: Path, tmp_path: Path, method: str
) -> None:
    """`transformers serve` takes no token ids, so the prompt travels as text."""
    asked = spec(collection, llama, upstream, method)
    served = run(asked, tmp_path)
    record = served.manifest().model.server
    assert record is not None
    assert record.prompt_form == "text"
    here = {"model": ModelSpec(source=str(llama)), "execution": ExecutionSpec(device="cpu")}
    local = run(asked.model_copy(update=here), tmp_path)
    assert served.ranking() == local.ranking()
    names = ("docids", "answer", "prompt_tokens", "generated_tokens", "head_positions")
    theirs, ours = outcome(served)[1], outcome(local)[1]
    assert [[row[name] for name in names] for row in theirs] == [
        [row[name] for name in names] for row in ours
    ]


def test_a_server_that_goes_away_leaves_a_run_to_resume(
    upstream: str, collection: Path, llama: Path, tmp_path: Path
) -> None:
    """What is finished is never asked again; the outcome is the undisturbed run's."""
    method, fewer = "setwise.heapsort", ("--attempts", "2", "--concurrency", "2")
    calm = e2r(collection, llama, tmp_path / "calm", upstream, method)
    assert calm.returncode == 0, calm.stderr
    proxy = FaultProxy(upstream, goes_away_after=20)
    runs = tmp_path / "runs"
    with serving(proxy) as url:
        gone = e2r(collection, llama, runs, url, method, *fewer)
        assert gone.returncode == 4, gone.stderr
        assert "--resume" in gone.stderr
        assert "Traceback" not in gone.stderr
        folder = folder_of(runs)
        assert folder.manifest().status == "started"
        finished = {record.qid for record in folder.per_query()}
        assert 0 < len(finished) < 6
        before = proxy.answered.copy()
        proxy.goes_away_after = None
        back = e2r(collection, llama, runs, url, method, *fewer, "--resume")
        assert back.returncode == 0, back.stderr
    assert outcome(folder) == outcome(folder_of(tmp_path / "calm"))
    again = proxy.answered - before
    calls = {record.qid: record.calls for record in folder.per_query()}
    # One more: the question that tries the server out.
    assert again.total() == 1 + sum(calls[qid] for qid in calls if qid not in finished)


def test_a_server_killed_in_the_middle_leaves_a_run_to_resume(
    upstream: str, collection: Path, llama: Path, tmp_path: Path
) -> None:
    """A real SIGKILL of the real server; a new one at the same address goes on."""
    method, fewer = "setwise.heapsort", ("--attempts", "2", "--concurrency", "2")
    assert e2r(collection, llama, tmp_path / "calm", upstream, method).returncode == 0
    port, log, runs = free_port(), tmp_path / "serve.log", tmp_path / "runs"
    proxy = FaultProxy(f"http://127.0.0.1:{port}/v1")

    with serving(proxy) as url:
        with transformers_serve(llama, port, log) as server:
            proxy.watch = lambda answers: server.kill() if answers == 20 else None
            gone = e2r(collection, llama, runs, url, method, *fewer)
            assert gone.returncode == 4, gone.stderr
        folder = folder_of(runs)
        finished = {record.qid for record in folder.per_query()}
        assert 0 < len(finished) < 6
        before = proxy.answered.copy()
        with transformers_serve(llama, port, log):
            back = e2r(collection, llama, runs, url, method, *fewer, "--resume")
        assert back.returncode == 0, back.stderr
    assert outcome(folder) == outcome(folder_of(tmp_path / "calm"))
    again = (proxy.answered - before).total()
    assert again == 1 + sum(r.calls for r in folder.per_query() if r.qid not in finished)


def test_a_method_that_reads_logits_is_refused(
    upstream: str, collection: Path, llama: Path, tmp_path: Path
) -> None:
    for method in ("pointwise.yes_no", "setwise.heapsort.likelihood"):
        done = e2r(collection, llama, tmp_path, upstream, method)
        assert done.returncode == 2, done.stderr
        assert "reads log probabilities" in done.stderr
    assert not list(tmp_path.iterdir())


def test_an_answer_start_that_the_server_does_not_know_is_refused(
    upstream: str, collection: Path, llama: Path, tmp_path: Path
) -> None:
    done = e2r(
        collection, llama, tmp_path, upstream, "setwise.heapsort", "--answer-start", "continue"
    )
    assert done.returncode == 2, done.stderr
    assert "continue_final_message" in done.stderr


def test_the_key_is_in_no_file_and_in_no_word(
    upstream: str, collection: Path, llama: Path, tmp_path: Path
) -> None:
    proxy = FaultProxy(upstream, most=1, seed=1)
    with serving(proxy) as url:
        done = e2r(collection, llama, tmp_path, url, "listwise.generation", "--timeout", "1")
    assert done.returncode == 0, done.stderr
    assert all(headers["Authorization"] == f"Bearer {KEY}" for headers in proxy.headers)
    assert KEY not in done.stdout + done.stderr
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) > 4
    for path in files:
        assert KEY.encode() not in path.read_bytes(), path
