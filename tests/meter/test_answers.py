"""What a meter counts by others' word: servers asked over HTTP, and vLLM's offline LLM."""

from __future__ import annotations

import asyncio
import json
import sys
import types
from pathlib import Path
from typing import Any

import pytest

transformers = pytest.importorskip("transformers")

import openai  # noqa: E402
import pandas  # noqa: E402

import e2r  # noqa: E402
from e2r.meter.counter import Counter  # noqa: E402
from e2r.meter.http import answer_of  # noqa: E402
from e2r.meter.sheet import Sheet  # noqa: E402
from e2r.meter.topics import Topics  # noqa: E402
from tests import tiny_models  # noqa: E402
from tests.models.server.local_servers import Said, serving  # noqa: E402

USAGE = {
    "prompt_tokens": 40,
    "completion_tokens": 3,
    "prompt_tokens_details": {"cached_tokens": 16},
}


def completion(path: str, body: Any, headers: Any) -> Said:
    if path.endswith("/rerank"):
        told = {"model": body["model"], "usage": {"total_tokens": 99}, "results": []}
        return Said.json(told if body["query"] else {"results": []})
    message = {"role": "assistant", "content": "B"}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return Said.json(
        {"id": "1", "object": "chat.completion", "created": 1, "model": body["model"]}
        | {"choices": [choice], "usage": USAGE},
        **{"content-type": "application/json"},
    )


def test_servers_are_counted_by_the_usage_that_they_report(tmp_path: Path) -> None:
    import httpx2

    known, secret = "Qwen/Qwen2.5-7B-Instruct", "their-secret-model"
    say: Any = [{"role": "user", "content": "Which?"}]
    with serving(completion) as url, e2r.meter(tmp_path / "calls.csv") as meter:
        client = openai.OpenAI(base_url=url, api_key="x")
        with meter.query("q1"):
            client.chat.completions.create(model=known, messages=say)

        async def later() -> None:
            async with openai.AsyncOpenAI(base_url=url, api_key="x") as own:
                await own.chat.completions.create(model=secret, messages=say)

        asyncio.run(later())
        for query in ("flea", ""):
            httpx2.post(f"{url}/rerank", json={"model": secret, "query": query})
        client.close()
    table = meter.to_pandas()
    assert table["prompt_tokens"].tolist() == [40, 40, 99]
    assert table["cached_tokens"].tolist() == [16, 16, 0]
    assert table["generated_tokens"].tolist() == [3, 3, 0]
    assert table["model"].tolist() == [known, f"closed:{secret}", f"closed:{secret}"]
    assert table["qid"].tolist() == ["q1", "", ""]
    usage = e2r.Usage(40, 3, cached_tokens=16)
    price = e2r.estimate(e2r.Architecture.load(known), usage).flops
    assert table["flops"].tolist()[0] == price
    assert meter.petaflops is None
    assert any("report no usage" in text for text in meter.uncounted)
    # The client is as it was.
    assert httpx2.Client.send.__module__ != "e2r.meter.http"


def test_a_request_belongs_to_the_topic_that_it_asks_about(tmp_path: Path) -> None:
    """By the field that names the query, else by all that is asked; several topics are none."""
    import httpx2

    topics = Topics({"q1": "the flea", "q2": "what is a lynx"})
    sheet = Sheet.begin(tmp_path / "calls.csv")
    counter = Counter(sheet, topics)
    bodies = [
        ("rerank", {"query": "The flea?", "documents": ["what is a lynx"]}),
        ("chat/completions", {"messages": [{"content": [{"text": "Q: what is a lynx? "}]}]}),
        ("completions", {"prompt": ["the flea", "what is a lynx"]}),
        ("embeddings", {"input": ["the flea"]}),
    ]
    counter.start()
    with serving(completion) as url, httpx2.Client() as client:
        for path, body in bodies:
            client.post(f"{url}/{path}", json={"model": "theirs", **body})
    counter.close()
    table = pandas.read_csv(tmp_path / "calls.csv", keep_default_na=False)
    assert table["qid"].tolist() == ["q1", "q2", "", "q1"]


@pytest.mark.parametrize("usage", [{"prompt_tokens": -3}, {"prompt_tokens": True}, {}])
@pytest.mark.parametrize("more", [{}, {"completion_tokens": 2.5}, {"completion_tokens": 10**12}])
def test_usage_that_cannot_be_is_in_no_row(usage: dict[str, Any], more: dict[str, Any]) -> None:
    if more:
        usage = {"prompt_tokens": 40, **more}
    assert answer_of({"model": "theirs"}, {"usage": usage}) is None


def test_more_cached_than_asked_is_in_no_row() -> None:
    assert answer_of({}, {"usage": {**USAGE, "prompt_tokens": 15}}) is None
    found = answer_of({}, {"usage": {**USAGE, "completion_tokens": None}})
    assert found is not None
    assert (found.cached_tokens, found.generated_tokens) == (16, 0)


def test_an_offline_vllm_is_counted_by_its_token_ids(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stand-in that answers as vLLM's LLM does; `chat` calls `generate`, and is one request."""
    facts = transformers.AutoConfig.from_pretrained(tiny_models.save_llama(tmp_path / "theirs"))

    class LLM:
        def __init__(self) -> None:
            config = types.SimpleNamespace(model="org/theirs", hf_config=facts)
            self.llm_engine = types.SimpleNamespace(model_config=config)

        def generate(self, prompts: list[Any]) -> list[Any]:
            written = types.SimpleNamespace(token_ids=[1, 2])
            return [
                types.SimpleNamespace(
                    prompt_token_ids=list(range(10)),
                    num_cached_tokens=4,
                    outputs=[written] * len(prompts),
                )
            ]

        def chat(self, messages: list[Any]) -> list[Any]:
            return self.generate(messages)

    library = types.ModuleType("vllm.entrypoints.llm")
    library.LLM = LLM  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "vllm.entrypoints.llm", library)
    with e2r.meter(tmp_path / "calls.csv") as meter:
        assert len(LLM().chat(["a", "b"])) == 1
    table = meter.to_pandas()
    assert table["prompt_tokens"].tolist() == [10, 10]
    # The second sample finds the prompt computed.
    assert table["cached_tokens"].tolist() == [4, 10]
    assert table["generated_tokens"].tolist() == [2, 2]
    assert meter.petaflops is not None
    written = json.loads((tmp_path / table["model"][0]).read_text())
    assert written["model_type"] == "llama"
