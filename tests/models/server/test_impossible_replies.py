"""What a reply says and cannot be is asked again, then fails its query; the run is valid."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from e2r.data.findings import Finding
from e2r.metrics import evaluate
from e2r.metrics.runs.gate import check_run
from e2r.records.manifest import CONTRADICTS
from e2r.records.spec import Spec
from e2r.runner import run
from tests.models.server.local_servers import Said, serving
from tests.small_collection import write_collection

pytestmark = pytest.mark.usefixtures("short_pauses")
Change = Callable[[dict[str, Any]], None]


@pytest.fixture(scope="module")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_collection(tmp_path_factory.mktemp("small") / "small", queries=2, candidates=4)


def reply(body: dict[str, Any]) -> dict[str, Any]:
    """A reply as it should be: Passage A, or Yes with eight tenths."""
    choice: dict[str, Any] = {"message": {"content": " A"}}
    if body.get("logprobs"):
        tops = [{"token": "Yes", "logprob": -0.2}, {"token": "No", "logprob": -1.8}]
        choice["logprobs"] = {"content": [{**tops[0], "top_logprobs": tops}]}
    usage = {"prompt_tokens": 50, "completion_tokens": 1, "total_tokens": 51}
    return {"model": body["model"], "choices": [choice], "usage": usage}


def server(change: Change, healed: list[bool]) -> Any:
    """Changes what it replies about the second query, until it is healed."""

    def answer(path: str, body: dict[str, Any] | None, headers: Mapping[str, str]) -> Said:
        if body is None:
            return Said.json({"data": [{"id": "tiny"}]}, 200 if path.endswith("models") else 404)
        said = reply(body)
        if not healed and "number 1" in str(body["messages"]):
            change(said)
        return Said.json(said)

    return answer


def usage(**counts: Any) -> Change:
    return lambda said: said["usage"].update(counts)


def content(value: Any) -> Change:
    return lambda said: said["choices"][0].update(message={"content": value})


def chance(value: Any) -> Change:
    def change(said: dict[str, Any]) -> None:
        [position] = said["choices"][0]["logprobs"]["content"]
        position["top_logprobs"][1]["logprob"] = value

    return change


SELECT, SCORE = "setwise.heapsort", "pointwise.yes_no"
IMPOSSIBLE: dict[str, tuple[str, Change, str]] = {
    "a longer prompt than any": (SELECT, usage(prompt_tokens=10**7 + 1), "is no count of 1 to"),
    "fewer tokens than passages": (SELECT, usage(prompt_tokens=2), "2 tokens of 3 passages"),
    "a whole fraction": (SELECT, usage(prompt_tokens=50.0), "is no count"),
    "a text of no token": (SELECT, usage(completion_tokens=0), "none for a text that it wrote"),
    "a text of unknown tokens": (SELECT, usage(completion_tokens=None), "none for a text"),
    "a book of ten tokens": (SELECT, content("A" * 10**6), "1000000 characters are more than"),
    "an object for a text": (SELECT, content({"a": 1}), "is dict, which is no text"),
    "false for a text": (SELECT, content(False), "is bool, which is no text"),
    "parts that hold no text": (SELECT, content([{"type": "text", "text": {}}]), "is no text"),
    "more than certain": (SCORE, chance(3.5), "'3.5' is no log probability"),
    "not a number": (SCORE, chance(float("nan")), "'nan' is no log probability"),
    "true": (SCORE, chance(True), "'True' is no log probability"),
    "digits in quotes": (SCORE, chance("-1.0"), "'-1.0' is no log probability"),
}


@pytest.mark.parametrize(("method", "change", "says"), IMPOSSIBLE.values(), ids=IMPOSSIBLE)
def test_what_cannot_be_fails_its_query_and_resumes(
    collection: Path, tmp_path: Path, method: str, change: Change, says: str
) -> None:
    healed: list[bool] = []
    with serving(server(change, healed)) as url:
        spec = spec_of(collection, method, url)
        folder = run(spec, tmp_path)
        first, second = folder.per_query()
        assert (first.status, second.status) == ("ok", "failed")
        assert says in str(second.error)
        assert not errors(folder.path)
        evaluate([folder.path], save=True)
        healed.append(True)
        run(spec, tmp_path, resume=True)
    assert folder.manifest().status == "complete"
    assert not folder.result_path.exists(), "it told of other files"
    assert not errors(folder.path)


def test_a_total_that_is_no_sum_is_noted(collection: Path, tmp_path: Path) -> None:
    with serving(server(usage(total_tokens=999), [])) as url:
        folder = run(spec_of(collection, SELECT, url), tmp_path)
    assert folder.manifest().status == "complete"
    [said] = folder.manifest().contradictions
    assert said.startswith(f"{CONTRADICTS}total_tokens is not the sum")


def errors(folder: Path) -> list[str]:
    found: list[Finding] = []
    check_run(folder, found.append, follow=True)
    return [str(finding) for finding in found if finding.level == "error"]


@pytest.mark.parametrize("answer_tokens", [None, 50])
@pytest.mark.parametrize("method", [SELECT, "listwise.generation", "listwise.reasoning"])
def test_thoughts_that_use_all_their_room_are_valid(
    collection: Path, tmp_path: Path, method: str, answer_tokens: int | None
) -> None:
    def answer(path: str, body: dict[str, Any] | None, headers: Mapping[str, str]) -> Said:
        if body is None:
            return Said.json({"data": [{"id": "tiny"}]}, 200 if path.endswith("models") else 404)
        said = reply(body)
        said["usage"] = {"prompt_tokens": 50, "completion_tokens": body["max_tokens"]}
        return Said.json(said)

    with serving(answer) as url:
        tables = spec_of(collection, method, url).model_dump(exclude_none=True)
        tables["model"]["thinking"] = True
        tables["prompt"] = {} if answer_tokens is None else {"answer_tokens": answer_tokens}
        folder = run(Spec.of(tables, "the test"), tmp_path)
    assert folder.manifest().model.thinking == "on"
    assert not errors(folder.path)


def spec_of(collection: Path, method: str, url: str) -> Spec:
    return Spec.of(
        {
            "data": {"dataset": f"beir:{collection}", "candidates": f"{collection}/first.run"},
            "model": {"source": "openai:tiny"},
            "method": {"name": method, "k": 2},
            "execution": {"server": {"base_url": url, "attempts": 2, "timeout": 20}},
        },
        "the test",
    )
