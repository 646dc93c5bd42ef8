"""A real Ray cluster, real kills: the outcome is a local run's, and nothing is done twice."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest

import e2r.cli
from e2r.engines import cluster as cluster_module
from e2r.engines.progress import Silent
from e2r.errors import E2RError, IncompleteError, MissingError, UsageError
from e2r.prompts.request import Reply
from e2r.records.folder import RunFolder
from e2r.records.spec import Spec
from e2r.runner import run
from tests.engines import stand_ins
from tests.engines.conftest import ROOT
from tests.models.server.local_servers import serving
from tests.models.server.vllm_like import VllmLike
from tests.small_collection import write_collection
from tests.test_faults import only_folder, outcome
from tests.tiny_models import save_llama

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_collection(tmp_path_factory.mktemp("small") / "small", queries=24)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that the driver and its workers work in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def spec(collection: Path, address: str | None = None, /, **changes: Any) -> Spec:
    """24 queries by the random answerer; at an address, by two workers of the cluster there."""
    tables: dict[str, Any] = {
        "data": {
            "dataset": f"beir:{collection}",
            "candidates": str(collection / "first.run"),
            "depth": 12,
        },
        "model": {"source": "random:7"},
        "method": {"name": "setwise.heapsort", "k": 5},
        "execution": {"device": "cpu"},
    }
    tables.update(changes)
    if address is not None:
        tables["execution"] = {
            **tables["execution"], "ray": {"address": address, "workers": 2}
        }  # fmt: skip
    return Spec.of(tables, "the test")


class Watch(Silent):
    """Counts how often each query is committed, and does something at a moment."""

    def __init__(self, moments: dict[int, Callable[[], None]] | None = None) -> None:
        self.committed: Counter[str] = Counter()
        self.notes: list[str] = []
        self._moments = moments or {}

    def note(self, text: str) -> None:
        self.notes.append(text)

    def query_finished(self, record: Any) -> None:
        self.committed[record.qid] += 1
        self._moments.get(self.committed.total(), lambda: None)()


def work_with(monkeypatch: pytest.MonkeyPatch, worker: type) -> None:
    monkeypatch.setattr("e2r.engines.ray.Worker", worker)


def kill_a_busy_worker(folder: Path) -> bool:
    """Kill a worker that has a query to do, if there is one now."""
    for mark in sorted(folder.glob("busy-*")):
        pid = int(mark.name.rpartition("-")[2])
        if mark.read_text():
            os.kill(pid, signal.SIGKILL)
            return True
    return False


@pytest.mark.parametrize("method", ["pointwise.yes_no", "setwise.heapsort", "listwise.generation"])
def test_two_workers_with_a_model_equal_a_local_run(
    collection: Path,
    cluster: str,
    folder: Path,
    llama: Path,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
) -> None:
    """Ledger and ranking to the last bit; sampled calls are counted where they were asked."""
    data = {"dataset": f"beir:{collection}", "candidates": str(collection / "first.run")}
    changes = {
        "data": {**data, "depth": 5, "limit": 8},
        "model": {"source": str(llama)},
        "method": {"name": method, "k": 3},
        "prompt": {"answer_tokens": 6},
    }
    how = {"device": "cpu", "batch_size": 4}
    local = run(spec(collection, **changes, execution=how), folder / "local")
    how["verify_flops"] = 2
    work_with(monkeypatch, stand_ins.Patient)
    there = run(spec(collection, cluster, **changes, execution=how), folder / "ray")
    assert outcome(there) == outcome(local)
    manifest = there.manifest()
    assert manifest.identity == local.manifest().identity
    assert manifest.status == "complete"
    assert [worker.lost for worker in manifest.workers] == [False, False]
    assert sum(worker.queries for worker in manifest.workers) == 8
    assert all(worker.environment.device == "cpu" for worker in manifest.workers)
    assert all(worker.queries for worker in manifest.workers), "both have worked"
    assert len(manifest.verification) == 2, "one of each worker"
    assert all(call.counted == call.estimated for call in manifest.verification)
    assert not local.manifest().workers


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_llama(tmp_path_factory.mktemp("llama"))


def test_killed_workers_lose_nothing_and_nothing_is_done_twice(
    collection: Path, cluster: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two are killed, by a real SIGKILL, each with a query to do."""
    for begun in (3, 10):
        (folder / f"doom-{begun}").touch()
    work_with(monkeypatch, stand_ins.Doomed)
    watch = Watch()
    whole = run(spec(collection, cluster), folder / "ray", progress=watch)
    assert not list(folder.glob("doom-*"))
    assert outcome(whole) == outcome(run(spec(collection), folder / "local"))
    assert watch.committed == Counter({f"q{number}": 1 for number in range(24)})
    manifest = whole.manifest()
    lost = [note for note in manifest.notes if "was lost" in note]
    assert len(lost) == 2
    # How many a worker held when it was killed is a matter of time.
    assert all(re.search("[0-9]+ queries are sent again, another worker", note) for note in lost)
    assert lost == [note for note in watch.notes if "was lost" in note]
    assert sum(worker.lost for worker in manifest.workers) == 2
    assert len(manifest.workers) > 2
    assert sum(worker.queries for worker in manifest.workers) == 24


def test_a_query_that_kills_its_workers_is_recorded_and_tried_again_on_resume(
    collection: Path, cluster: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "poison").write_text("q5")
    work_with(monkeypatch, stand_ins.Poisoned)
    path = folder / "spec.toml"
    path.write_text(spec(collection, cluster).to_toml())
    with pytest.raises(SystemExit) as ended:
        e2r.cli.main(["run", str(path), "--runs", "runs"])
    assert ended.value.code == 5
    left = only_folder(folder / "runs")
    assert left.manifest().status == "partial"
    [failed] = [record for record in left.per_query() if record.status != "ok"]
    assert failed.qid == "q5"
    assert failed.error is not None
    assert failed.error.startswith("3 workers were lost with it, the last: The actor died")
    assert len(left.per_query()) == 24
    asked = Counter((folder / "asked").read_text().split())
    assert asked.pop("q5") == 3
    assert max(asked.values()) <= 2, "only those in the first chunk of the poison are sent again"
    (folder / "poison").write_text("")
    (folder / "asked").unlink()
    whole = run(spec(collection, cluster), folder / "runs", resume=True)
    assert (folder / "asked").read_text().split() == ["q5"]
    assert outcome(whole) == outcome(run(spec(collection), folder / "local"))
    [before] = whole.manifest().earlier
    assert sum(worker.lost for worker in before.workers) == 3


def test_a_run_goes_on_elsewhere_than_where_it_began(
    collection: Path, cluster: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each query is waited for, so that an interruption leaves what was counted and no more."""
    monkeypatch.setattr("e2r.records.commits.AHEAD", 0)
    undisturbed = outcome(run(spec(collection), folder / "whole"))

    def interrupt() -> None:
        raise KeyboardInterrupt

    begun, there = spec(collection), spec(collection, cluster)
    for number, (first, second) in enumerate([(begun, there), (there, begun)]):
        runs = folder / str(number)
        before, after = Watch({7: interrupt}), Watch()
        with pytest.raises(KeyboardInterrupt):
            run(first, runs, progress=before)
        manifest = only_folder(runs).manifest()
        assert manifest.status == "started"
        there_before = first.execution.ray is not None
        assert manifest.engine == ("ray" if there_before else "local")
        assert sum(worker.queries for worker in manifest.workers) == 7 * there_before
        whole = run(second, runs, resume=True, progress=after)
        assert outcome(whole) == undisturbed
        [earlier] = whole.manifest().earlier
        assert (earlier.engine, earlier.workers) == (manifest.engine, manifest.workers)
        assert before.committed + after.committed == Counter(f"q{n}" for n in range(24))
    words = ["run", str(whole.spec_path), "--resume", "--engine", "ray", "--address", cluster]
    with pytest.raises(SystemExit) as ended:
        e2r.cli.main(words)
    assert ended.value.code == 0, "the engine may be named beside a spec"


def test_an_end_that_is_told_twice_counts_once(
    collection: Path, cluster: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work_with(monkeypatch, stand_ins.Twice)
    watch = Watch()
    asked = spec(collection, cluster, execution={"device": "cpu", "latency": True})
    whole = run(asked, folder / "ray", progress=watch)
    assert set(watch.committed.values()) == {1}
    assert whole.manifest().latency_mode == "one_query_at_a_time"
    assert outcome(whole) == outcome(run(spec(collection), folder / "local"))


def test_replies_are_told_in_few_messages_and_none_is_lost(
    collection: Path, cluster: str, folder: Path
) -> None:
    class Bar(Watch):
        calls = messages = 0

        def answered(self, replies: Sequence[Reply]) -> None:
            self.calls += len(replies)
            self.messages += 1

    here, there = Bar(), Bar()
    run(spec(collection), folder / "local", progress=here)
    run(spec(collection, cluster), folder / "ray", progress=there)
    assert there.calls == here.calls
    assert there.messages < here.messages / 2


def test_a_server_is_asked_by_each_worker(
    collection: Path, cluster: str, folder: Path, llama: Path
) -> None:
    """The tokenizer on the driver and the workers, the model behind a server on this machine."""
    data = {"dataset": f"beir:{collection}", "candidates": str(collection / "first.run")}
    changes = {
        "data": {**data, "depth": 4, "limit": 6},
        "model": {"source": "openai:tiny", "tokenizer": str(llama)},
        "method": {"name": "setwise.heapsort", "k": 2},
    }
    with serving(VllmLike(llama)) as url:
        server = {"server": {"base_url": url, "attempts": 2, "timeout": 60}}
        local = run(spec(collection, **changes, execution=server), folder / "local")
        there = run(spec(collection, cluster, **changes, execution=server), folder / "ray")
    assert outcome(there) == outcome(local)
    assert sum(worker.queries for worker in there.manifest().workers) == 6


def test_judgments_travel_to_the_oracle(collection: Path, cluster: str, folder: Path) -> None:
    oracle = {"model": {"source": "oracle"}}
    there = run(spec(collection, cluster, **oracle), folder / "ray")
    assert outcome(there) == outcome(run(spec(collection, **oracle), folder / "local"))


def test_errors_of_a_worker_keep_class_and_message(
    collection: Path, cluster: str, folder: Path, llama: Path
) -> None:
    copy = folder / "llama"
    copy.mkdir()
    for path in llama.iterdir():
        if path.suffix != ".safetensors":
            (copy / path.name).write_bytes(path.read_bytes())
    model = {"model": {"source": str(copy)}}
    with pytest.raises(E2RError) as here:
        run(spec(collection, **model), folder / "local")
    with pytest.raises(E2RError) as there:
        run(spec(collection, cluster, **model), folder / "ray")
    assert type(there.value) is type(here.value)
    assert there.value.exit_code in (3, 4)
    assert str(there.value) == str(here.value)


def test_a_bug_in_a_worker_is_a_bug_here(
    collection: Path, cluster: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work_with(monkeypatch, stand_ins.Buggy)
    with pytest.raises(ZeroDivisionError, match="a bug"):
        run(spec(collection, cluster), folder / "ray")


def test_max_failures_stops_the_workers(
    collection: Path, cluster: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work_with(monkeypatch, stand_ins.Failing)
    with pytest.raises(IncompleteError, match="stopped by --max-failures, 3 queries failed"):
        run(spec(collection, cluster), folder / "ray", max_failures=3)
    records = only_folder(folder / "ray").per_query()
    assert [record.error for record in records] == ["RuntimeError: out of luck"] * 3
    monkeypatch.undo()
    whole = run(spec(collection, cluster), folder / "ray", resume=True)
    assert outcome(whole) == outcome(run(spec(collection), folder / "local"))


def test_workers_that_cannot_start_end_the_run(
    collection: Path, cluster: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work_with(monkeypatch, stand_ins.Stillborn)
    with pytest.raises(MissingError, match="3 workers in a row were lost before their model"):
        run(spec(collection, cluster), folder / "ray")


def test_a_cluster_that_others_hold_is_not_waited_for_for_ever(
    collection: Path, cluster: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection is the caller's own here: it is used, and left."""
    import ray

    ray.init(address=cluster, log_to_driver=False)
    try:
        holder = ray.remote(stand_ins.Watched).options(num_cpus=2)
        held = holder.remote(spec(collection), None, None, str(folder))
        ray.get(held.place.remote())
        refused = pytest.raises(MissingError, match=r"no worker in 2 seconds.*of which 0 CPUs")
        with monkeypatch.context() as patch, refused:
            patch.setattr("e2r.engines.ray.PATIENCE", 2)
            run(spec(collection, cluster), folder / "ray")
        ray.kill(held)
        whole = run(spec(collection, cluster), folder / "ray", resume=True)
        assert ray.is_initialized()
    finally:
        ray.shutdown()
    assert whole.manifest().status == "complete"


def test_what_does_not_fit_is_refused(collection: Path, cluster: str, folder: Path) -> None:
    asked = spec(collection, execution={"ray": {"address": cluster, "cpus": 99}})
    with pytest.raises(UsageError, match=r"1 workers of 99 CPUs.*1 × \(2 CPUs, 0 GPUs\)"):
        run(asked, folder)


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that takes connections and never says a word."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield listening.getsockname()[1]


def test_where_no_cluster_is_the_exit_is_4(
    collection: Path,
    folder: Path,
    silent_port: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("e2r.engines.cluster.TIMEOUT", 2)
    for number, (port, said) in enumerate(
        [(1, "nobody answers there"), (silent_port, "no Ray cluster that lets us in")]
    ):
        path = folder / f"{number}.toml"
        path.write_text(spec(collection, f"127.0.0.1:{port}").to_toml())
        typed = ["--engine", "ray", "--address", f"127.0.0.1:{port}"]
        with pytest.raises(SystemExit) as ended:
            e2r.cli.main(["run", str(path), "--runs", str(number), *typed])
        assert ended.value.code == 4
        err = capsys.readouterr().err
        assert said in err
        assert "Traceback" not in err


def test_a_cluster_that_wants_another_token_is_not_joined(
    collection: Path, cluster: str, folder: Path
) -> None:
    path = folder / "spec.toml"
    path.write_text(spec(collection, cluster).to_toml())
    done = subprocess.run(
        [sys.executable, "-m", "e2r", "run", str(path), "--runs", "runs"],
        env={**os.environ, "RAY_AUTH_TOKEN": "another"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 4
    assert "set RAY_AUTH_MODE=token here too" in done.stderr


class Driver:
    """`e2r run --engine ray` with watched workers, in a process and session of its own."""

    def __init__(self, folder: Path, asked: Spec, queries: int) -> None:
        """Workers begin no more than so many queries until they are allowed to."""
        self.folder = folder
        stand_ins.allow(folder, queries)
        path = folder / "spec.toml"
        path.write_text(asked.to_toml())
        words = ["run", str(path), "--engine", "ray", "--workers", "2", "--resume", "--json"]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.engines.watched_run", *words, "--runs", "runs"],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def wait_for(self, queries: int) -> list[psutil.Process]:
        """Wait until so many queries are committed and a worker is busy; all of its processes."""
        deadline = time.monotonic() + 600
        while time.monotonic() < deadline and self.process.poll() is None:
            found = list((self.folder / "runs").rglob("per_query.jsonl"))
            if found and len(found[0].read_bytes().splitlines()) >= queries:
                below = psutil.Process(self.process.pid).children(recursive=True)
                assert any("raylet" in process.name() for process in below)
                return below
            time.sleep(0.01)
        raise AssertionError(self.process.communicate())


def test_a_killed_driver_leaves_a_run_that_goes_on_and_no_processes(
    collection: Path, folder: Path
) -> None:
    driver = Driver(folder, spec(collection), queries=6)
    below = driver.wait_for(4)
    # Ray's own agents first try to tell of the end, and leave a minute later.
    below = [process for process in below if not process.name().endswith("Agent")]
    assert len(below) > 3
    driver.process.kill()
    driver.process.communicate()
    _, alive = psutil.wait_procs(below, timeout=600)
    assert not alive
    finished = len(only_folder(folder / "runs").per_query(cut_line_is_error=False))
    assert 4 <= finished < 24
    watch = Watch()
    whole = run(spec(collection), folder / "runs", resume=True, progress=watch)
    assert watch.committed.total() == 24 - finished
    assert outcome(whole) == outcome(run(spec(collection), folder / "local"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_driver_leaves_with_130_and_no_processes(
    collection: Path, folder: Path, number: signal.Signals
) -> None:
    """Ctrl-C reaches every process of the terminal's group; SIGTERM the driver alone."""
    driver = Driver(folder, spec(collection), queries=6)
    below = driver.wait_for(4)
    if number is signal.SIGINT:
        os.killpg(driver.process.pid, number)
    else:
        driver.process.send_signal(number)
    _, err = driver.process.communicate(timeout=600)
    assert driver.process.returncode == 130, err
    assert "--resume" in err
    assert "Traceback" not in err
    _, alive = psutil.wait_procs(below, timeout=600)
    assert not alive
    assert RunFolder(only_folder(folder / "runs").path).manifest().status == "started"


def test_stdout_is_json_alone_though_a_worker_is_killed(collection: Path, folder: Path) -> None:
    driver = Driver(folder, spec(collection), queries=4)
    driver.wait_for(2)
    while not kill_a_busy_worker(folder):
        assert driver.process.poll() is None
    stand_ins.allow(folder, 24)
    out, err = driver.process.communicate(timeout=600)
    assert driver.process.returncode == 0, err
    assert json.loads(out)["status"] == "complete"
    assert "worker" in err
    assert "was lost (The actor died" in err
    assert all(
        line.startswith(("note: ", "runs/", "10/24", "20/24", "24/24")) for line in err.splitlines()
    ), err
    whole = only_folder(folder / "runs")
    assert outcome(whole) == outcome(run(spec(collection), folder / "local"))
    for path in whole.path.iterdir():
        assert b"river fox" not in path.read_bytes(), "passage text never enters a run folder"


def test_a_cluster_that_died_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It leaves its address behind, by which Ray would go on trying for minutes."""
    (tmp_path / "ray").mkdir()
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        left = f"127.0.0.1:{closed.getsockname()[1]}"
    (tmp_path / "ray" / "ray_current_cluster").write_text(left)
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    monkeypatch.setattr(cluster_module, "TIMEOUT", 4.0)
    began = time.monotonic()
    with pytest.raises(MissingError, match="no Ray cluster"):
        cluster_module.connect("auto")
    assert time.monotonic() - began < 120, "Ray alone goes on for longer"
