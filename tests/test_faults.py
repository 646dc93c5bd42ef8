"""Kills, full disks and failing queries: nothing that finished is lost, nothing asked twice."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

import e2r.cli
from e2r.engines.progress import Silent
from e2r.errors import DataError, IncompleteError, MissingError, UsageError
from e2r.models.answerer import Answered, Question
from e2r.models.simulated.random import Random
from e2r.records.folder import RunFolder
from e2r.records.ledger import read_ledger
from e2r.records.spec import ExecutionSpec, ModelSpec, Spec
from e2r.runner import run
from tests.small_collection import write_collection
from tests.tiny_models import save_llama

MOMENTS = 30


@pytest.fixture(scope="module")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_collection(tmp_path_factory.mktemp("small") / "small", queries=20)


@pytest.fixture
def asked(collection: Path) -> Spec:
    tables: dict[str, Any] = {
        "data": {
            "dataset": f"beir:{collection}",
            "candidates": str(collection / "first.run"),
            "depth": 12,
        },
        "model": {"source": "random:7"},
        "method": {"name": "setwise.heapsort", "k": 5},
    }
    return Spec.of(tables, "the test")


def outcome(folder: RunFolder) -> tuple[list[dict[str, Any]], bytes]:
    """Ledger without the clock's and the batches' columns, and the ranking's bytes."""
    table = read_ledger(folder.ledger_path)
    return (
        table.drop_columns(["seconds", "batch_size", "padded_tokens"]).to_pylist(),
        folder.run_path.read_bytes(),
    )


def only_folder(runs: Path) -> RunFolder:
    [manifest] = runs.rglob("manifest.json")
    return RunFolder(manifest.parent)


def victim(words: list[str], log: Path) -> None:
    """`e2r run` in a process of its own whose answers take a millisecond and are noted."""
    answer = Random.answer

    def slow(self: Random, questions: Sequence[Question]) -> list[Answered]:
        time.sleep(0.001)
        return answer(self, questions)

    Random.answer = slow  # type: ignore[method-assign]
    commit = RunFolder.commit

    def noted(self: RunFolder, several: Any) -> None:
        commit(self, several)
        with log.open("a") as stream:
            stream.write("".join(f"{record.qid}\n" for record, _ in several))

    RunFolder.commit = noted  # type: ignore[method-assign]
    with log.with_suffix(".out").open("a") as out:
        os.dup2(out.fileno(), 1)
        os.dup2(out.fileno(), 2)
    e2r.cli.main(words)


@pytest.mark.slow
def test_thirty_kills_lose_nothing_and_ask_nothing_twice(asked: Spec, tmp_path: Path) -> None:
    """Kills real `e2r run --resume` processes, several in a row on one run, at seeded moments.

    A moment is drawn uniformly from the time that an undisturbed process takes from its start to
    its end, so that it falls before the run begins, between queries, or into the last merge. A
    fork server imports everything once; each victim is a process of its own, killed by a real
    SIGKILL, SIGTERM or SIGINT. A run that comes through is compared, and the next is begun.
    """
    undisturbed = outcome(run(asked, tmp_path / "whole"))
    path = tmp_path / "spec.toml"
    path.write_text(asked.to_toml())
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(["tests.test_faults", "e2r.cli.run", "e2r.runner"])

    def begin(number: int) -> Any:
        runs = tmp_path / f"runs-{number}"
        words = ["run", str(path), "--resume", "--runs", str(runs)]
        process = processes.Process(target=victim, args=(words, tmp_path / f"{number}.log"))
        process.start()
        return process

    def check(number: int) -> None:
        assert outcome(only_folder(tmp_path / f"runs-{number}")) == undisturbed
        committed = (tmp_path / f"{number}.log").read_text().split()
        assert len(committed) == len(set(committed)), "a finished query was asked again"

    begin(0).join()
    began = time.monotonic()
    process = begin(1)
    process.join()
    whole = time.monotonic() - began
    assert process.exitcode == 0
    check(1)
    generator = random.Random(5)
    signals = [signal.SIGKILL, signal.SIGTERM, signal.SIGINT]
    number, killed, in_a_row = 2, 0, 0
    codes: list[int] = []
    while killed < MOMENTS:
        process = begin(number)
        process.join(generator.uniform(0, whole))
        if process.exitcode is None:
            os.kill(process.pid, generator.choice(signals))
            process.join()
        codes.append(process.exitcode)
        if process.exitcode == 0:
            check(number)
            number, in_a_row = number + 1, 0
        else:
            killed, in_a_row = killed + 1, in_a_row + 1
        if in_a_row == 8:
            begin(number).join()
            check(number)
            number, in_a_row = number + 1, 0
    if in_a_row:
        begin(number).join()
        check(number)
    # Before a handler stands, SIGTERM ends a process by itself and SIGINT is Python's own end.
    assert set(codes) <= {0, 1, 130, -signal.SIGKILL, -signal.SIGTERM, -signal.SIGINT}
    assert -signal.SIGKILL in codes
    assert 130 in codes


# Not by preexec_fn: what runs between fork and exec waits for ever where a thread held a lock.
LIMITED = """
import os, resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]),) * 2)
os.execv(sys.executable, [sys.executable, "-m", "e2r", *sys.argv[2:]])
"""


def limited(words: list[str], bytes_a_file: int) -> subprocess.CompletedProcess[str]:
    """`e2r` in a process whose files may not grow beyond a size, which the kernel enforces."""
    return subprocess.run(
        [sys.executable, "-c", LIMITED, str(bytes_a_file), *words],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.parametrize("bytes_a_file", [3000, 6000])
def test_a_file_that_cannot_grow_leaves_a_run_that_goes_on(
    asked: Spec, tmp_path: Path, bytes_a_file: int
) -> None:
    """The first file to reach the limit stops the run, at a line or in the last merge."""
    path = tmp_path / "spec.toml"
    path.write_text(asked.to_toml())
    words = ["run", str(path), "--resume", "--runs", str(tmp_path / "runs")]
    done = limited(words, bytes_a_file)
    assert done.returncode == 5, done.stderr
    assert "cannot be written (File too large)" in done.stderr
    assert "make room there" in done.stderr
    assert "of 20 queries are missing" in done.stderr
    assert "Traceback" not in done.stderr
    folder = run(asked, tmp_path / "runs", resume=True)
    assert outcome(folder) == outcome(run(asked, tmp_path / "whole"))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 64 KB, mounted; skipped where the machine does not let us mount one."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = shutil.which("mount")
    words = [str(mount), "-t", "tmpfs", "-o", "size=64k", "e2r-test", str(place)]
    if mount is None or subprocess.run(words, capture_output=True, check=False).returncode:
        pytest.skip("no right to mount a small disk")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk_stops_the_run_and_room_lets_it_go_on(
    asked: Spec, small_disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # How many queries go to disk together hangs on the machine; together they may not fit at all.
    monkeypatch.setattr("e2r.records.commits.AHEAD", 0)
    with pytest.raises(IncompleteError, match=r"No space left.*queries are missing"):
        run(asked, small_disk)
    folder = only_folder(small_disk)
    finished = [record.qid for record in folder.per_query(cut_line_is_error=False)]
    assert 0 < len(finished) < 20
    subprocess.run(["mount", "-o", "remount,size=2m", str(small_disk)], check=True)
    again: list[str] = []

    class Watch(Silent):
        def query_finished(self, record: Any) -> None:
            again.append(record.qid)

    whole = run(asked, small_disk, resume=True, progress=Watch())
    assert sorted(again + finished) == sorted(f"q{number}" for number in range(20))
    assert outcome(whole) == outcome(run(asked, tmp_path / "whole"))


class Fragile(Random):
    """Breaks on queries whose number is even, until it is mended."""

    broken = True

    def answer(self, questions: Sequence[Question]) -> list[Answered]:
        if self.broken and any(int(q.topic.query.qid[1:]) % 2 == 0 for q in questions):
            raise RuntimeError("out of luck")
        return super().answer(questions)


def test_max_failures_stops_early_and_resume_goes_on(
    asked: Spec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fragile = Fragile(7)
    monkeypatch.setattr("e2r.runner.open_answerer", lambda *_: fragile)
    with pytest.raises(IncompleteError, match="of 20 queries are missing") as stopped:
        run(asked, tmp_path / "runs", max_failures=3)
    assert "3 queries failed" in str(stopped.value)
    assert "RuntimeError: out of luck" in str(stopped.value)
    records = only_folder(tmp_path / "runs").per_query()
    assert sum(record.status == "failed" for record in records) == 3
    assert len(records) < 20
    fragile.broken = False
    whole = run(asked, tmp_path / "runs", resume=True, max_failures=3)
    assert whole.manifest().status == "complete"
    assert outcome(whole) == outcome(run(asked, tmp_path / "whole"))


def test_a_resume_with_a_changed_spec_is_refused_with_the_difference(
    asked: Spec, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = run(asked, tmp_path / "runs")
    text = folder.spec_path.read_text()
    folder.spec_path.write_text(text.replace("depth = 12", "depth = 11"))
    with pytest.raises(SystemExit) as left:
        e2r.cli.main(["run", str(folder.spec_path), "--resume"])
    assert left.value.code == 2
    said = capsys.readouterr().err
    assert "depth: 12 → 11" in said
    assert [path.parent for path in (tmp_path / "runs").rglob("manifest.json")] == [folder.path]


def test_a_resume_over_changed_candidates_is_refused(
    collection: Path, asked: Spec, tmp_path: Path
) -> None:
    copy = tmp_path / "small"
    shutil.copytree(collection, copy)
    data = asked.data.model_copy(
        update={"dataset": f"beir:{copy}", "candidates": str(copy / "first.run")}
    )
    moved = asked.model_copy(update={"data": data})
    folder = run(moved, tmp_path / "runs")
    lines = (copy / "first.run").read_text().splitlines(True)
    (copy / "first.run").write_text("".join(lines[1:]))
    with pytest.raises(UsageError, match=r"candidates: '[0-9a-f]+' → '[0-9a-f]+'"):
        run(moved, tmp_path / "runs", resume=True, continued=folder.path)


def test_a_resume_with_other_weights_is_refused(
    collection: Path, asked: Spec, tmp_path: Path
) -> None:
    """A model's folder is known by its content, not by its name."""
    model = save_llama(tmp_path / "llama")
    changes = {
        "model": ModelSpec(source=str(model)),
        "execution": ExecutionSpec(device="cpu"),
        "data": asked.data.model_copy(update={"depth": 4, "limit": 2}),
    }
    spec = asked.model_copy(update=changes)
    folder = run(spec, tmp_path / "runs")
    ranking = folder.run_path.read_bytes()
    save_llama(model, context=512)
    repeated = Spec.load(folder.spec_path)
    with pytest.raises(DataError, match=r"is sha256:\w+, but the spec asks for sha256:\w+"):
        run(repeated, tmp_path / "runs", resume=True, continued=folder.path)
    with pytest.raises(UsageError, match=r"revision: 'sha256:\w+' → 'sha256:\w+'"):
        run(spec, tmp_path / "runs", resume=True, continued=folder.path)
    assert folder.run_path.read_bytes() == ranking


def test_a_resume_that_cannot_begin_changes_nothing(
    asked: Spec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A partial run stays readable where its model is gone, or a folder would be begun."""
    fragile = Fragile(7)
    monkeypatch.setattr("e2r.runner.open_answerer", lambda *_: fragile)
    folder = run(asked, tmp_path / "runs")
    assert folder.manifest().status == "partial"

    def gone() -> None:
        raise MissingError("the weights are gone")

    monkeypatch.setattr(fragile, "prepare", gone)
    for _ in range(2):
        with pytest.raises(MissingError, match="weights are gone"):
            run(asked, tmp_path / "runs", resume=True)
        with pytest.raises(MissingError, match="weights are gone"):
            run(asked, tmp_path / "new")
    folder.verify_files()
    assert sum(record.status == "failed" for record in folder.per_query()) == 10
    assert not list((tmp_path / "new").rglob("manifest.json"))


def test_parts_left_by_a_kill_after_the_end_are_removed(asked: Spec, tmp_path: Path) -> None:
    folder = run(asked, tmp_path)
    (folder.path / "parts").mkdir()
    run(asked, tmp_path, resume=True)
    assert not (folder.path / "parts").exists()
    with contextlib.suppress(UsageError):
        run(asked, tmp_path)
    assert json.loads(folder.manifest_path.read_text())["status"] == "complete"
