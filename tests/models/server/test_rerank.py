"""Endpoints that score a query's passages, in the shapes of the servers that have them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from e2r.data.findings import Finding
from e2r.errors import DataError, UsageError
from e2r.metrics import evaluate
from e2r.metrics.runs.gate import check_run
from e2r.models.server.http import Server
from e2r.models.server.rerank import connect
from e2r.money.words import price_list, tariff
from e2r.prompts.reading import reading
from e2r.prompts.request import Classify
from e2r.prompts.template import Message, PromptTemplate
from e2r.records.ledger import read_ledger
from e2r.records.spec import ServerSpec, Spec
from e2r.runner import run
from tests.models.server.local_servers import Said, serving
from tests.small_collection import write_collection
from tests.tiny_models import save_cross_encoder

Scorer = Callable[[str], float]
TOKENS = 7


def deaf(text: str) -> None:
    """Hears no note."""


def length(text: str) -> float:
    return float(len(text))


def endpoint(shape: str, scorer: Scorer = length, usage: bool = True, **more: Any) -> Any:
    """A server of one kind; `seen` collects the bodies that it scores."""
    seen: list[dict[str, Any]] = more.get("seen", [])

    def answer(path: str, body: dict[str, Any] | None, headers: Mapping[str, str]) -> Said:
        if body is None:
            return Said.json({"data": [{"id": "tiny", "owned_by": "test"}]})
        wanted = {"vllm": "/v1/score"}.get(shape, "/v1/rerank")
        texts = body.get({"vllm": "text_2", "tei": "texts"}.get(shape, "documents"))
        if path != wanted or texts is None:
            return Said.json({"error": {"message": "not here"}}, 404 if path != wanted else 422)
        seen.append(body)
        scores = [scorer(text) for text in texts]
        total = {"prompt_tokens": TOKENS * len(texts), "total_tokens": TOKENS * len(texts)}
        told = {"usage": total} if usage else {}
        places = sorted(range(len(texts)), key=lambda i: -scores[i])
        if shape == "vllm":
            rows = [{"index": i, "score": scores[i]} for i in range(len(texts))]
            return Said.json({"data": rows, **told})
        if shape == "tei":
            return Said.json([{"index": i, "score": scores[i]} for i in places])
        if shape == "sglang":
            meta = [{"meta_info": {"prompt_tokens": TOKENS}} if usage else {} for _ in texts]
            return Said.json([{"index": i, "score": scores[i], **meta[i]} for i in places])
        rows = [{"index": i, "relevance_score": scores[i]} for i in places]
        return Said.json({"results": rows, **told})

    return answer


def spec_of(url: str, **more: Any) -> Spec:
    model = {"source": "rerank:tiny", **more}
    return Spec.of(
        {
            "data": {"dataset": "demo"},
            "model": model,
            "method": {"name": "pointwise.cross_encoder"},
            "execution": {"server": {"base_url": url, "attempts": 1}},
        },
        "the test",
    )


def asked(*passages: str) -> list[Classify]:
    return [Classify((Message("query", "q"), Message("passage", text))) for text in passages]


STAGES = [(PromptTemplate.load("pair"), reading("pointwise.cross_encoder"))]


@pytest.mark.parametrize("shape", ["vllm", "cohere", "tei", "sglang"])
@pytest.mark.parametrize("usage", [True, False])
def test_every_shape_scores_a_list_in_one_call(shape: str, usage: bool) -> None:
    seen: list[dict[str, Any]] = []
    with serving(endpoint(shape, usage=usage, seen=seen)) as url:
        spec = spec_of(url, architecture="cross-encoder/ms-marco-MiniLM-L6-v2")
        server = Server(ServerSpec(base_url=url, attempts=1))
        model = connect(spec, STAGES, server, deaf)
        replies = model.reply(asked("a", "ccc", "bb"), ["1", "1", "1"])
        server.close()
    assert [reply.value for reply in replies] == [1.0, 3.0, 2.0]
    assert len(seen) == 2, "the small question, and one for the list"
    told = usage and shape != "tei"
    assert [reply.prompt_tokens for reply in replies] == [TOKENS if told else 0] * 3
    record = model.record()
    assert (record.architecture is not None) == told
    assert record.server is not None
    notes = " ".join(record.server.notes)
    assert ("no price" in notes) != told
    assert ("sigmoid" in notes) == (shape in ("cohere", "sglang"))


def test_lists_of_several_queries_are_calls_of_their_own() -> None:
    seen: list[dict[str, Any]] = []
    with serving(endpoint("cohere", seen=seen)) as url:
        server = Server(ServerSpec(base_url=url, attempts=1))
        model = connect(spec_of(url), STAGES, server, deaf)
        replies = model.reply(asked("a", "bb", "ccc"), ["1", "1", "2"])
        server.close()
    assert [reply.value for reply in replies] == [1.0, 2.0, 3.0]
    assert [reply.batch_size for reply in replies] == [2, 2, 1]
    # Both are under way at once: which is served first is a matter of time.
    assert sorted(body["documents"] for body in seen[1:]) == [["a", "bb"], ["ccc"]]


@pytest.mark.parametrize(
    "body",
    [
        {"results": [{"index": 0, "relevance_score": 1.0}]},
        {"results": [{"index": 0, "relevance_score": 1.0}] * 2},
        {"results": [{"index": i, "relevance_score": "x"} for i in range(2)]},
        {"results": [{"index": i} for i in range(2)]},
        {"results": 7},
        {},
        [1, 2],
    ],
)
def test_what_is_no_list_of_scores_is_refused(body: Any) -> None:
    def answer(path: str, asked: dict[str, Any] | None, headers: Mapping[str, str]) -> Said:
        if path.endswith("models"):
            return Said.json({})
        return Said.json(body) if path.endswith("rerank") else Said(404)

    with serving(answer) as url:
        server = Server(ServerSpec(base_url=url, attempts=1))
        with pytest.raises(UsageError, match="known shape"):
            connect(spec_of(url), STAGES, server, deaf)
        server.close()


def test_other_methods_are_refused() -> None:
    stages = [(PromptTemplate.load("yes_no"), reading("pointwise.yes_no"))]
    server = Server(ServerSpec(base_url="http://127.0.0.1:9/v1", attempts=1))
    with pytest.raises(UsageError, match=r"pointwise\.cross_encoder"):
        connect(spec_of("http://127.0.0.1:9/v1"), stages, server, deaf)


def test_a_run_counts_by_the_tokenizer_as_a_local_run_does(tmp_path: Path) -> None:
    """The endpoint scores as it likes; texts, tokens and prices are those of the model here."""
    collection = write_collection(tmp_path / "small", queries=2, candidates=5)
    model = tmp_path / "bert"
    save_cross_encoder(model)

    def made(source: dict[str, Any], **execution: Any) -> Any:
        tables = {
            "data": {
                "dataset": f"beir:{collection}",
                "candidates": str(collection / "first.run"),
                "depth": 5,
            },
            "model": source,
            "method": {"name": "pointwise.cross_encoder", "k": 3},
            "execution": execution,
        }
        return run(Spec.of(tables, "the test"), tmp_path / "runs")

    with serving(endpoint("vllm", usage=False)) as url:
        served = made({"source": "rerank:tiny", "tokenizer": str(model)}, server={"base_url": url})
    local = made({"source": str(model)}, device="cpu")
    ours, theirs = (read_ledger(folder.ledger_path).to_pylist() for folder in (served, local))
    assert [row["prompt_tokens"] for row in ours] == [row["prompt_tokens"] for row in theirs]
    assert [row["docids"] for row in ours] == [row["docids"] for row in theirs]
    facts = served.manifest().model.architecture
    assert facts is not None
    assert facts["model_type"] == "bert"
    assert json.loads(ours[0]["answer"]) > 1
    assert served.manifest().model.server.prompt_form == "score, raw"


def test_a_template_of_words_is_refused() -> None:
    with serving(endpoint("cohere")) as url:
        server = Server(ServerSpec(base_url=url, attempts=1))
        model = connect(spec_of(url), STAGES, server, deaf)
        with pytest.raises(UsageError, match="leave --template out"):
            model.reply([Classify((Message("user", "x"),))])
        server.close()


def test_names_of_unknown_architecture_are_said() -> None:
    with pytest.raises((UsageError, DataError)):
        spec_of("http://127.0.0.1:9/v1", answer_start="sideways")


IMPOSSIBLE = {
    "negative": {"prompt_tokens": -5},
    "fewer than passages": {"prompt_tokens": 2},
    "a fraction": {"prompt_tokens": 10.5},
    "in quotes": {"prompt_tokens": "21"},
    "true": {"prompt_tokens": True},
    "longer than any prompts": {"total_tokens": 2**63},
    "gone since the first list": None,
}


@pytest.mark.parametrize("usage", IMPOSSIBLE.values(), ids=IMPOSSIBLE)
def test_tokens_that_cannot_be_are_no_reply(usage: dict[str, Any] | None) -> None:
    sound = endpoint("vllm")

    def answer(path: str, body: dict[str, Any] | None, headers: Mapping[str, str]) -> Said:
        said = sound(path, body, headers)
        if body is None or len(body["text_2"]) != 3:
            return said
        return Said.json({**json.loads(said.body), "usage": usage})

    with serving(answer) as url:
        server = Server(ServerSpec(base_url=url, attempts=1))
        replies = connect(spec_of(url), STAGES, server, deaf).reply(
            asked("a", "bb", "ccc"), ["1"] * 3
        )
        server.close()
    assert all("no count" in str(r.error) or "usage" in str(r.error) for r in replies)


@pytest.mark.parametrize("shape", ["tei", "cohere"])
def test_a_run_whose_tokens_nobody_counts_is_valid_and_has_no_price(
    tmp_path: Path, shape: str
) -> None:
    collection = write_collection(tmp_path / "small", queries=2, candidates=4)
    with serving(endpoint(shape, usage=False)) as url:
        spec = spec_of(url).model_dump()
        spec["data"] = {"dataset": f"beir:{collection}", "candidates": f"{collection}/first.run"}
        folder = run(Spec.of(spec, "the test"), tmp_path / "runs")
    found: list[Finding] = []
    check_run(folder.path, found.append, follow=True)
    assert [str(finding) for finding in found if finding.level == "error"] == []
    [row] = evaluate([folder.path]).rows
    assert (row.cost.per_query, row.work.prompt_tokens_per_query) == (None, None)


def test_searches_are_counted_where_tokens_are_not(tmp_path: Path) -> None:
    """As Cohere's are: a query is one request, whatever nobody knows of its tokens."""
    collection = write_collection(tmp_path / "small", queries=2, candidates=4)
    with serving(endpoint("cohere", usage=False)) as url:
        spec = spec_of(url).model_dump()
        spec["data"] = {"dataset": f"beir:{collection}", "candidates": f"{collection}/first.run"}
        for word in ("in=1,out=1", "search=2,documents=100,document_tokens=500"):
            with pytest.raises(UsageError, match="tells no tokens"):
                run(Spec.of(spec, "the test"), tmp_path / "refused", prices=price_list(word))
        asked = Spec.of(spec, "the test")
        folder = run(asked, tmp_path / "runs", prices=price_list("search=2,documents=3"))
    recorded = folder.manifest().prices
    assert recorded is not None
    assert Decimal(str(recorded["spent"])) == Decimal(2 * 2 * 2) / 1000
    [row] = evaluate([folder.path]).rows
    assert row.paid is not None
    assert row.paid.exact.total == 2 * 2
    [row] = evaluate([folder.path], tariff=tariff(["in=1,out=1"])).rows
    assert row.paid is None
    assert any("nobody counted its tokens" in note for note in row.notes)


def test_another_model_than_the_one_asked_is_said_once(tmp_path: Path) -> None:
    inner = endpoint("cohere")

    def answer(path: str, body: dict[str, Any] | None, headers: Mapping[str, str]) -> Said:
        said = inner(path, body, headers)
        return said if body is None else Said.json({**json.loads(said.body), "model": "other"})

    collection = write_collection(tmp_path / "small", queries=3, candidates=4)
    with serving(answer) as url:
        spec = spec_of(url).model_dump()
        spec["data"] = {"dataset": f"beir:{collection}", "candidates": f"{collection}/first.run"}
        folder = run(Spec.of(spec, "the test"), tmp_path / "runs")
    said = folder.manifest().contradictions
    assert [note for note in said if "other has answered, where tiny was asked" in note] == said
    assert len(said) == 1
