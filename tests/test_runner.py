"""A run ends with the same ledger and ranking, whatever happened to it on the way."""

from __future__ import annotations

import itertools
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from e2r.borders.reading import sha256_of
from e2r.engines.progress import Silent
from e2r.errors import UsageError
from e2r.models.answerer import Answered, Question
from e2r.models.simulated.random import Random
from e2r.prompts.request import Reply
from e2r.ranking import METHODS, PRICED_ONLY
from e2r.records.folder import RunFolder
from e2r.records.ledger import read_ledger
from e2r.records.manifest import ModelRecord
from e2r.records.spec import Spec
from e2r.runner import run
from tests.small_collection import write_collection
from tests.tiny_models import save_cross_encoder, save_llama

ASKING = sorted(set(METHODS) - PRICED_ONLY - {"first_stage"})


@pytest.fixture(scope="module")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_collection(tmp_path_factory.mktemp("small") / "small")


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_llama(tmp_path_factory.mktemp("llama"))


@pytest.fixture(scope="module")
def cross_encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_cross_encoder(tmp_path_factory.mktemp("cross_encoder"))


def spec(collection: Path, method: str, model: str, /, **changes: Any) -> Spec:
    tables: dict[str, Any] = {
        "data": {
            "dataset": f"beir:{collection}",
            "candidates": str(collection / "first.run"),
            "depth": 12,
        },
        "model": {"source": model},
        "method": {"name": method, "k": 5},
        "prompt": {"answer_tokens": 6},
        "execution": {"device": "cpu", "batch_size": 4},
    }
    return Spec.of({**tables, **changes}, "the test")


def facts(folder: RunFolder) -> list[dict[str, Any]]:
    """The ledger without what depends on the clock and on who shared a batch."""
    rows: list[dict[str, Any]] = read_ledger(folder.ledger_path).to_pylist()
    for row in rows:
        for name in ("seconds", "batch_size", "padded_tokens"):
            del row[name]
    return rows


@pytest.mark.parametrize("method", sorted(set(METHODS) - PRICED_ONLY))
def test_a_run_folder_holds_what_the_contract_says(
    collection: Path, tmp_path: Path, method: str
) -> None:
    model = "none" if method == "first_stage" else "random:7"
    folder = run(spec(collection, method, model), tmp_path)
    assert folder.path.relative_to(tmp_path).parts[:-1] == (
        "small",
        "no-model" if model == "none" else "random-7",
    )
    assert folder.path.name.startswith(f"{method}--")
    manifest = folder.manifest()
    assert manifest.status == "complete"
    assert set(manifest.files) == {
        "spec.toml",
        "ledger.parquet",
        "per_query.jsonl",
        "run.trec.gz",
    }
    folder.verify_files()
    records = folder.per_query()
    assert [record.qid for record in records] == [f"q{i}" for i in range(6)]
    assert sum(record.calls for record in records) == read_ledger(folder.ledger_path).num_rows
    ranking = folder.ranking()
    for record in records:
        assert tuple(docid for docid, _ in ranking[record.qid]) == record.ranking
        scores = [score for _, score in ranking[record.qid]]
        assert all(a > b for a, b in itertools.pairwise(scores))
    left = {path.name for path in folder.path.iterdir()}
    assert left - {"ir-metadata.yml"} == {*manifest.files, "manifest.json"}
    for path in folder.path.iterdir():
        assert b"river fox" not in path.read_bytes(), "passage text never enters a run folder"
    assert ":" not in str(folder.path.relative_to(tmp_path))


@pytest.mark.parametrize("method", ASKING)
def test_the_spec_of_a_run_repeats_it(collection: Path, tmp_path: Path, method: str) -> None:
    first = run(spec(collection, method, "random:7"), tmp_path / "a")
    second = run(Spec.load(first.spec_path), tmp_path / "b")
    assert first.path.name == second.path.name
    assert facts(first) == facts(second)
    assert first.run_path.read_bytes() == second.run_path.read_bytes()


@pytest.mark.parametrize("method", ASKING)
def test_a_replay_is_the_run(collection: Path, tmp_path: Path, method: str) -> None:
    first = run(spec(collection, method, "random:7"), tmp_path / "a")
    replayed = run(spec(collection, method, f"replay:{first.path}"), tmp_path / "b")
    assert facts(replayed) == facts(first)
    assert replayed.run_path.read_bytes() == first.run_path.read_bytes()


@pytest.mark.parametrize("method", ASKING)
def test_the_oracle_sorts_by_grade(collection: Path, tmp_path: Path, method: str) -> None:
    from e2r.data.files.qrels import read_qrels

    judgments = read_qrels(collection / "qrels" / "test.tsv")
    folder = run(spec(collection, method, "oracle"), tmp_path)
    for qid, ranking in folder.ranking().items():
        grades = [judgments[qid][docid] for docid, _ in ranking]
        best = sorted(judgments[qid].values(), reverse=True)
        # The points of a tournament are tiers: the best two lead, in first-stage order.
        first = 2 if method == "tournament.tourrank" else 5
        assert sorted(grades[:first], reverse=True) == best[:first]
        if first == 5:
            assert grades[:5] == best[:5]


class Crash(Silent):
    """Progress that ends the process's work at the n-th event."""

    def __init__(self, events: int) -> None:
        self.left = events

    def answered(self, replies: Sequence[Reply]) -> None:
        self._count()

    def query_finished(self, record: Any) -> None:
        self._count()

    def _count(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt


@pytest.mark.parametrize("method", ASKING)
def test_interrupted_anywhere_and_resumed_equals_undisturbed(
    collection: Path, tmp_path: Path, llama: Path, cross_encoder: Path, method: str
) -> None:
    """A real (tiny) model; every answer is exactly that of the undisturbed run."""
    model = cross_encoder if method == "pointwise.cross_encoder" else llama
    data = {"dataset": f"beir:{collection}", "candidates": str(collection / "first.run")}
    asked = spec(collection, method, str(model), data={**data, "depth": 5, "limit": 4})
    undisturbed = run(asked, tmp_path / "whole")
    for events in (0, 1, 4):
        runs = tmp_path / str(events)
        with pytest.raises(KeyboardInterrupt):
            run(asked, runs, progress=Crash(events))
        [manifest] = runs.rglob("manifest.json")
        assert RunFolder(manifest.parent).manifest().status == "started"
        with pytest.raises(UsageError, match="--resume"):
            run(asked, runs)
        resumed = run(asked, runs, resume=True)
        assert facts(resumed) == facts(undisturbed)
        assert resumed.run_path.read_bytes() == undisturbed.run_path.read_bytes()
    if method in ("pointwise.qlm", "pointwise.yes_no", "setwise.heapsort"):
        answers = [row["answer"] for row in facts(undisturbed)]
        assert answers.count("null") < 0.8 * len(answers), "silence would hide a difference"
        assert len(set(answers)) > 3


def test_resume_drops_a_cut_line_and_asks_nothing_twice(
    collection: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each query is waited for, so that the disk holds no more than was counted."""
    monkeypatch.setattr("e2r.records.commits.AHEAD", 0)
    asked = spec(collection, "pointwise.qlm", "random:7")
    undisturbed = run(asked, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        run(asked, tmp_path / "cut", progress=Crash(7))
    [manifest] = (tmp_path / "cut").rglob("manifest.json")
    folder = RunFolder(manifest.parent)
    finished = len(folder.per_query())
    assert finished == 4
    with folder.per_query_path.open("a") as stream:
        stream.write('{"qid": "q4", "sta')

    asked_again: list[str] = []

    class Watch(Silent):
        def query_finished(self, record: Any) -> None:
            asked_again.append(record.qid)

    resumed = run(asked, tmp_path / "cut", resume=True, progress=Watch())
    assert asked_again == ["q4", "q5"]
    assert facts(resumed) == facts(undisturbed)
    before = sha256_of(resumed.manifest_path)
    run(asked, tmp_path / "cut", resume=True)
    assert sha256_of(resumed.manifest_path) == before, "a complete run is left as it is"


def test_a_broken_query_fails_alone_and_is_tried_again(
    collection: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Fragile(Random):
        """Breaks on one query, whoever shares its batch."""

        broken = True
        batch_size = 4

        def record(self) -> ModelRecord:
            return super().record()

        def answer(self, questions: Sequence[Question]) -> list[Answered]:
            if self.broken and any(question.topic.query.qid == "q2" for question in questions):
                raise RuntimeError("out of luck")
            return super().answer(questions)

    fragile = Fragile(7)
    monkeypatch.setattr("e2r.runner.open_answerer", lambda *_: fragile)
    asked = spec(collection, "setwise.heapsort", "random:7")
    folder = run(asked, tmp_path)
    assert folder.manifest().status == "partial"
    [failed] = [record for record in folder.per_query() if record.status != "ok"]
    assert (failed.qid, failed.error) == ("q2", "RuntimeError: out of luck")
    fragile.broken = False
    whole = run(asked, tmp_path, resume=True)
    assert whole.manifest().status == "complete"
    undisturbed = run(asked, tmp_path / "again")
    assert facts(whole) == facts(undisturbed)


def test_two_processes_cannot_write_one_run(collection: Path, tmp_path: Path) -> None:
    asked = spec(collection, "pointwise.qlm", "random:7")
    folder = run(asked, tmp_path)
    with folder.lock(), pytest.raises(UsageError, match="another process"):
        run(asked, tmp_path, resume=True)


def test_a_folder_that_holds_another_run_is_refused(collection: Path, tmp_path: Path) -> None:
    asked = spec(collection, "pointwise.qlm", "random:7")
    folder = run(asked, tmp_path)
    manifest = json.loads(folder.manifest_path.read_text())
    manifest["identity"]["depth"] = 99
    folder.manifest_path.write_text(json.dumps(manifest))
    with pytest.raises(UsageError, match="depth: 99 → 12"):
        run(asked, tmp_path, resume=True)


@pytest.mark.slow
def test_killed_for_real_and_resumed(collection: Path, tmp_path: Path, llama: Path) -> None:
    """SIGKILL and SIGTERM at random moments of a real process, until it comes through."""
    asked = spec(collection, "setwise.heapsort", str(llama))
    undisturbed = run(asked, tmp_path / "whole")
    generator = random.Random(1)
    path = tmp_path / "spec.toml"
    path.write_text(asked.to_toml())
    words = [
        sys.executable,
        "-m",
        "e2r",
        "run",
        str(path),
        "--resume",
        "--runs",
        str(tmp_path / "k"),
    ]
    queries = len(undisturbed.per_query())

    def begun() -> int:
        """Queries on record; -1 before the run has begun."""
        found = list((tmp_path / "k").rglob("manifest.json"))
        if not found:
            return -1
        record = found[0].with_name("per_query.jsonl")
        return record.read_bytes().count(b"\n") if record.exists() else 0

    done = None
    codes = []
    for attempt in range(12):
        process = subprocess.Popen(words, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        if attempt < 6:
            # Strike when a drawn number of further queries is on record, before the last.
            goal = generator.randrange(begun(), queries)
            while begun() < goal and process.poll() is None:
                time.sleep(0.001)
            if process.poll() is None:
                os.kill(process.pid, generator.choice([signal.SIGKILL, signal.SIGTERM]))
        codes.append(process.wait())
        if process.returncode == 0:
            done = attempt
            break
    assert done is not None, codes
    assert codes[:-1]
    assert set(codes[:-1]) <= {-9, -15, 130}
    [manifest] = (tmp_path / "k").rglob("manifest.json")
    resumed = RunFolder(manifest.parent)
    assert facts(resumed) == facts(undisturbed)
    assert resumed.run_path.read_bytes() == undisturbed.run_path.read_bytes()


def test_a_cascade_is_one_run_with_one_ledger(collection: Path, tmp_path: Path) -> None:
    """The second method sees the top of the first's output, in that order, and nothing else."""
    stages = {"name": "pointwise.qlm", "then": [{"name": "setwise.heapsort", "over": 4, "k": 2}]}
    folder = run(spec(collection, "", "random:7", method=stages), tmp_path)
    assert folder.path.name.startswith("pointwise.qlm+setwise.heapsort--")
    manifest = folder.manifest()
    assert manifest.method == "pointwise.qlm+setwise.heapsort"
    assert manifest.method_parameters == {"2.over": 4, "2.k": 2, "2.set_size": 3}
    assert set(manifest.prompts) == {"qlm", "setwise"}
    rows = read_ledger(folder.ledger_path).to_pylist()
    alone = run(spec(collection, "pointwise.qlm", "random:7"), tmp_path)
    for record, before in zip(folder.per_query(), alone.per_query(), strict=True):
        mine = [row for row in rows if row["qid"] == record.qid]
        later = [row for row in mine if row["task"] == "Choose"]
        assert [row["task"] for row in mine] == ["Score"] * 12 + ["Choose"] * len(later)
        assert {docid for row in later for docid in row["docids"]} <= set(before.ranking[:4])
        assert set(record.ranking[:4]) == set(before.ranking[:4])
        assert record.ranking[4:] == before.ranking[4:]
        assert [row["round"] for row in mine] == sorted(row["round"] for row in mine)
        assert record.rounds == max(row["round"] for row in mine) + 1
    again = run(Spec.load(folder.spec_path), tmp_path / "again")
    assert facts(again) == facts(folder)
    replayed = run(spec(collection, "", f"replay:{folder.path}", method=stages), tmp_path / "r")
    assert facts(replayed) == facts(folder)


def test_a_cascade_runs_on_a_model(collection: Path, tmp_path: Path, llama: Path) -> None:
    stages = {
        "name": "pointwise.yes_no",
        "then": [
            {"name": "setwise.heapsort.likelihood", "over": 5, "k": 3},
            {"name": "pairwise.allpair", "over": 2},
        ],
    }
    data = {"dataset": f"beir:{collection}", "candidates": str(collection / "first.run")}
    data |= {"depth": 8, "limit": 2}
    folder = run(spec(collection, "", str(llama), method=stages, data=data), tmp_path)
    assert folder.manifest().status == "complete"
    tasks = [row["task"] for row in read_ledger(folder.ledger_path).to_pylist()]
    assert tasks.count("Score") == 16
    assert tasks.count("Prefer") == 4


def test_cascades_and_fidelities_that_cannot_be_are_refused(
    collection: Path, tmp_path: Path
) -> None:
    def asked(**method: Any) -> None:
        run(spec(collection, "", "random:7", method=method), tmp_path)

    with pytest.raises(UsageError, match="leave it out of the cascade"):
        asked(name="first_stage", then=[{"name": "pointwise.qlm", "over": 4}])
    misspelt = {"name": "setwise.heapsort", "over": 4, "parameters": {"setsize": 3}}
    with pytest.raises(UsageError, match="did you mean set_size"):
        asked(name="pointwise.qlm", then=[misspelt])
    with pytest.raises(UsageError, match="llm-rankers has no such method"):
        asked(name="listwise.first", fidelity="llm-rankers")


def test_a_fidelity_is_a_run_of_its_own(collection: Path, tmp_path: Path) -> None:
    mended = run(spec(collection, "setwise.bubblesort", "oracle"), tmp_path)
    method = {"name": "setwise.bubblesort", "k": 5, "fidelity": "llm-rankers"}
    kept = run(spec(collection, "", "oracle", method=method), tmp_path)
    assert kept.path != mended.path
    assert kept.manifest().identity["fidelity"] == "llm-rankers"
