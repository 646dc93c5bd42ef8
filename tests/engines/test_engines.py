"""What engines have in common, and how they are asked for: no cluster is needed here."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2r.cli import main
from e2r.cli.run import command
from e2r.cli.words import spec_with_engine
from e2r.data.collection import Candidate, CandidateList, Query
from e2r.engines import open_engine
from e2r.engines.engine import Finished
from e2r.engines.local import Local
from e2r.engines.worker import Expected, Worker
from e2r.errors import DataError, MissingError, UsageError
from e2r.models.simulated.no_model import NoModel
from e2r.models.simulated.random import Random
from e2r.records.manifest import Manifest, Session
from e2r.records.spec import RaySpec, Spec

ASKED = {
    "data": {"dataset": "demo", "depth": 4},
    "model": {"source": "random:7"},
    "method": {"name": "setwise.heapsort"},
}


def spec(**execution: object) -> Spec:
    return Spec.of({**ASKED, "execution": execution}, "the test")


def e2r(*words: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(list(words))
    assert isinstance(ended.value.code, int)
    return ended.value.code


def test_what_finished_comes_out_though_the_next_topic_is_broken() -> None:
    def topics() -> Iterator[CandidateList]:
        yield CandidateList(Query("q0", "words"), (Candidate("d0", "text", 1.0),))
        raise DataError("line 2 is broken")

    heard = []

    def hear() -> None:
        for event in Local(spec(), Random(7)).rerank(topics()):
            heard.append(event)

    with pytest.raises(DataError):
        hear()
    assert [event.record.qid for event in heard if isinstance(event, Finished)] == ["q0"]


def test_queries_that_ask_nothing_end_as_they_are_drawn() -> None:
    drawn: list[str] = []

    def topics() -> Iterator[CandidateList]:
        for number in range(100):
            drawn.append(f"q{number}")
            yield CandidateList(Query(drawn[-1], "words"), (Candidate("d0", "text", 1.0),))

    asked = Spec.of({**ASKED, "model": {"source": "none"}, "method": {"name": "first_stage"}}, "")
    for event in Local(asked, NoModel()).rerank(topics()):
        assert isinstance(event, Finished)
        assert event.record.qid == drawn[-1]
    assert len(drawn) == 100


def test_a_node_with_another_model_or_prompt_is_refused(tmp_path: Path) -> None:
    asked = spec()
    record = Random(7).record()
    same = Worker(asked, None, Expected(record, {}), str(tmp_path))
    told = same.open()
    assert isinstance(told, DataError)
    assert "prompts: {} → {'setwise'" in str(told)
    other = record.model_copy(update={"revision": "abc"})
    told = Worker(asked, None, Expected(other, {}), str(tmp_path)).open()
    assert "revision: 'abc' → None" in str(told)


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("e2r.engines.ray", "e2r.engines.cluster"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingError, match=r"pip install 'e2r\[ray\]'"):
        open_engine(spec(ray={}), Random(7), None)


@pytest.mark.parametrize(
    ("execution", "said"),
    [
        ({"ray": {"address": "ray://head:10001"}}, "--address auto"),
        ({"ray": {}, "device": "cuda:1"}, "pass --device cuda"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_written(
    execution: dict[str, object], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        open_engine(spec(**execution), Random(7), None)


def test_the_words_of_ray_need_its_engine(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--dataset", "demo", "--model", "random:7", "--method", "pointwise.qlm"]
    for name in ("run", "plan"):
        for option in ("--address", "--workers", "--worker-cpus", "--worker-gpus"):
            value = "auto" if option == "--address" else "1"
            assert e2r(name, *words, option, value) == 2
            assert f"{option} is of a Ray cluster: pass --engine ray" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["--workers", "2"], RaySpec(address="auto", cpus=16, workers=2)),
        (["--engine", "ray", "--worker-gpus", "1"], RaySpec(address="auto", cpus=16, gpus=1)),
        (["--engine", "ray"], RaySpec(address="auto", cpus=16)),
        (["--engine", "local"], None),
        ([], RaySpec(address="auto", cpus=16)),
    ],
)
def test_words_beside_a_spec_change_what_they_name(words: list[str], wanted: object) -> None:
    before = spec(ray={"address": "auto", "cpus": 16})
    with command.make_context("run", ["spec.toml", *words]) as context:
        after = spec_with_engine(context, before, context.params)
    assert after.execution.ray == wanted


def test_words_of_ray_beside_the_spec_of_a_local_run_are_refused() -> None:
    with (
        command.make_context("run", ["spec.toml", "--workers", "2"]) as context,
        pytest.raises(UsageError, match="pass --engine ray"),
    ):
        spec_with_engine(context, spec(), context.params)


def test_a_plan_takes_the_words_of_a_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--dataset", "demo", "--model", "Qwen/Qwen3-8B", "--method", "pointwise.yes_no"]
    words += ["--depth", "4", "--json"]
    assert e2r("plan", *words) == 0
    alone = json.loads(capsys.readouterr().out)
    assert e2r("plan", *words, "--engine", "ray", "--workers", "9", "--worker-gpus", "1") == 0
    assert json.loads(capsys.readouterr().out) == alone


def test_engines_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert e2r("list", "engines", "--json") == 0
    assert [row["name"] for row in json.loads(capsys.readouterr().out)] == ["local", "ray"]


def test_the_spec_of_a_run_names_its_cluster(tmp_path: Path) -> None:
    asked = spec(ray={"address": "auto", "workers": 2, "cpus": 1, "gpus": 0.5})
    path = tmp_path / "spec.toml"
    path.write_text(asked.to_toml())
    assert Spec.load(path) == asked
    assert spec().execution.ray is None
    path.write_text(spec(ray={}).to_toml())
    assert Spec.load(path).execution.ray == RaySpec()


def test_manifests_from_before_there_were_workers_are_valid() -> None:
    for record in (Manifest, Session):
        assert record.model_fields["workers"].default == []
