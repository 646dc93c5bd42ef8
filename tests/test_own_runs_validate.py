"""Whatever `e2r run` writes, `e2r validate` accepts: methods, models and ends, in all pairs."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from e2r.cli import main
from e2r.errors import DataError, UsageError
from e2r.models.answerer import Answered, Question
from e2r.models.simulated.random import Random
from e2r.prompts.request import Reply
from e2r.ranking import METHODS, PRICED_ONLY
from e2r.records.folder import RunFolder
from e2r.records.spec import Spec
from e2r.runner import run
from tests.models.server.local_servers import Said, serving
from tests.models.server.vllm_like import VllmLike
from tests.small_collection import write_collection
from tests.tiny_models import save_cross_encoder, save_llama, save_t5

ASKING = sorted(set(METHODS) - PRICED_ONLY - {"first_stage"})
CATALOGUED = "Qwen/Qwen2.5-7B-Instruct"


@pytest.fixture(scope="module")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_collection(tmp_path_factory.mktemp("small") / "small", queries=3, candidates=5)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    folder = tmp_path_factory.mktemp("models")
    return {
        "llama": save_llama(folder / "llama"),
        "t5": save_t5(folder / "t5"),
        "classifier": save_cross_encoder(folder / "classifier"),
    }


def spec(collection: Path, method: str, model: Mapping[str, Any], **execution: Any) -> Spec:
    tables: dict[str, Any] = {
        "data": {
            "dataset": f"beir:{collection}",
            "candidates": str(collection / "first.run"),
            "depth": 5,
        },
        "model": model,
        "method": {"name": method, "k": 2},
        "prompt": {"answer_tokens": 4},
        "execution": {"device": "cpu", **execution},
    }
    return Spec.of(tables, "the test")


def accepted(folder: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    """`e2r validate` has nothing but warnings to say of it, untouched and evaluated."""
    validated(folder, capsys)
    with pytest.raises(SystemExit) as ended:
        main(["evaluate", str(folder.path), "--json"])
    assert ended.value.code == 0
    capsys.readouterr()
    validated(folder, capsys, "--follow")


def validated(folder: RunFolder, capsys: pytest.CaptureFixture[str], *words: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["validate", str(folder.path), "--json", *words])
    [told] = json.loads(capsys.readouterr().out)["paths"]
    assert told["errors"] == []
    assert ended.value.code == 0


@pytest.mark.parametrize("method", sorted(set(METHODS) - PRICED_ONLY))
def test_runs_without_a_model(
    collection: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], method: str
) -> None:
    source = "none" if method == "first_stage" else "oracle"
    accepted(run(spec(collection, method, {"source": source}), tmp_path), capsys)


@pytest.mark.parametrize("method", ASKING)
@pytest.mark.parametrize("kind", ["llama", "t5", "classifier"])
def test_runs_of_a_model_here(
    collection: Path,
    models: Mapping[str, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    kind: str,
    method: str,
) -> None:
    asked = spec(collection, method, {"source": str(models[kind])}, reuse=method < "pairwise.d")
    folder = None
    with contextlib.suppress(UsageError, DataError):  # not every model can be asked everything
        folder = run(asked, tmp_path)
    if folder is not None:
        accepted(folder, capsys)


@pytest.mark.parametrize("method", ASKING)
@pytest.mark.parametrize("priced", ["tokenizer", "catalogue", "unknown"])
def test_runs_of_a_server(
    collection: Path,
    models: Mapping[str, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    priced: str,
    method: str,
) -> None:
    known: dict[str, dict[str, str]] = {
        "tokenizer": {"tokenizer": str(models["llama"])},
        "catalogue": {"architecture": CATALOGUED},
        "unknown": {},
    }
    with serving(VllmLike(models["llama"], by_id=True, allowed=100)) as url:
        asked = spec(
            collection,
            method,
            {"source": "openai:tiny", **known[priced]},
            server={"base_url": url, "attempts": 1},
        )
        folder = None
        with contextlib.suppress(UsageError):
            folder = run(asked, tmp_path)
    if folder is not None:
        accepted(folder, capsys)
    else:
        assert not list(tmp_path.rglob("manifest.json"))


class Failing(Random):
    """Fails for good on the call of a number of each query, with more words than a record holds."""

    def __init__(self, at: int) -> None:
        super().__init__(7)
        self._at = at
        self._asked: dict[str, int] = {}

    def answer(self, questions: Sequence[Question]) -> list[Answered]:
        found = super().answer(questions)
        for place, question in enumerate(questions):
            qid = question.topic.query.qid
            if qid == "q1":
                continue
            self._asked[qid] = self._asked.get(qid, 0) + 1
            if self._asked[qid] == self._at:
                found[place] = Answered(None, False, Reply(None), error=f"no\nluck {'x' * 400}")
        return found


@pytest.mark.parametrize("method", ASKING)
@pytest.mark.parametrize("at", [1, 3])
def test_runs_in_which_queries_failed_early(
    collection: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    at: int,
) -> None:
    monkeypatch.setattr("e2r.runner.open_answerer", lambda *_: Failing(at))
    folder = run(spec(collection, method, {"source": "random:7"}), tmp_path)
    failed = [record for record in folder.per_query() if record.status == "failed"]
    assert all(len(record.error or "") <= 300 for record in failed)
    assert folder.manifest().status == ("partial" if failed else "complete")
    accepted(folder, capsys)


def test_runs_in_which_every_query_failed(
    collection: Path, models: Mapping[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A server that answers its trial and then nothing that it is asked."""
    tiny = VllmLike(models["llama"])

    def answer(path: str, body: dict[str, Any] | None, headers: Mapping[str, str]) -> Said:
        real = body is not None and "how long does a flea live" not in json.dumps(body)
        return Said.json({"error": "x" * 500}, 400) if real else tiny(path, body, headers)

    with serving(answer) as url:
        asked = spec(
            collection,
            "setwise.heapsort",
            {"source": "openai:tiny", "architecture": CATALOGUED},
            server={"base_url": url, "attempts": 1},
        )
        folder = run(asked, tmp_path)
    assert folder.manifest().status == "partial"
    validated(folder, capsys)
