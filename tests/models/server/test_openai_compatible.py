"""A model behind a server answers as the same model here does, or the method is refused."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from e2r.engines.progress import Silent
from e2r.errors import MissingError, UsageError
from e2r.metrics import evaluate
from e2r.models.encoding import Encoder
from e2r.models.server.logprobs import Found, Position, label_values, place_after, positions
from e2r.models.server.openai_calls import Calls, Manner
from e2r.models.server.word_tokenizer import WordTokenizer
from e2r.prompts.request import Generate
from e2r.prompts.template import Message
from e2r.records.folder import RunFolder
from e2r.records.ledger import read_ledger
from e2r.records.spec import Spec
from e2r.runner import run
from tests.models.server.local_servers import FaultProxy, Said, free_port, serving
from tests.models.server.vllm_like import VllmLike
from tests.small_collection import write_collection
from tests.tiny_models import save_llama

pytestmark = pytest.mark.usefixtures("short_pauses")

SERVED = [
    "pointwise.qlm",
    "pointwise.yes_no",
    "pointwise.reasoning",
    "pairwise.allpair",
    "pairwise.duot5",
    "setwise.heapsort",
    "setwise.heapsort.likelihood",
    "setwise.heapsort.reasoning",
    "listwise.generation",
    "listwise.likelihood",
    "listwise.first",
    "tournament.tourrank",
]


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_llama(tmp_path_factory.mktemp("llama"))


@pytest.fixture(scope="module")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_collection(tmp_path_factory.mktemp("small") / "small", queries=2, candidates=6)


def spec(collection: Path, method: str, url: str | None, /, **model: Any) -> Spec:
    """A spec for the model behind that server, or for the one that `source` names."""
    server = {"server": {"base_url": url, "attempts": 2, "timeout": 20}} if url else {}
    return Spec.of(
        {
            "data": {
                "dataset": f"beir:{collection}",
                "candidates": str(collection / "first.run"),
                "depth": 6,
            },
            "model": {"source": "openai:tiny", **model},
            "method": {"name": method, "k": 3},
            "prompt": {"answer_tokens": 6, "passage_tokens": 16},
            "execution": {"device": "cpu", **server},
        },
        "the test",
    )


def rows(folder: RunFolder) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = read_ledger(folder.ledger_path).to_pylist()
    return found


@pytest.mark.parametrize("method", SERVED)
def test_served_equals_local(llama: Path, collection: Path, tmp_path: Path, method: str) -> None:
    """The same ranking, answers and generated tokens; scores to 1e-4, or 1e-6 of a large sum."""
    local = run(spec(collection, method, None, source=str(llama)), tmp_path)
    with serving(VllmLike(llama)) as url:
        served = run(spec(collection, method, url, tokenizer=str(llama)), tmp_path)
    assert served.ranking() == local.ranking()
    shifts = "likelihood" in method or method == "pointwise.qlm"
    for theirs, ours in zip(rows(served), rows(local), strict=True):
        assert theirs["docids"] == ours["docids"]
        assert theirs["parsed"] == ours["parsed"]
        if isinstance(json.loads(ours["answer"]), float):
            near = pytest.approx(float(ours["answer"]), rel=1e-6, abs=1e-4)
            assert float(theirs["answer"]) == near
        else:
            assert theirs["answer"] == ours["answer"]
        assert theirs["truncated"] == ours["truncated"]
        assert theirs["generated_tokens"] == ours["generated_tokens"]
        # A server reads the last token of the scored text too; it cannot be told not to.
        assert 0 <= theirs["prompt_tokens"] - ours["prompt_tokens"] <= shifts
        assert theirs["head_positions"] == ours["head_positions"]


def test_the_record_says_what_the_server_is(llama: Path, collection: Path, tmp_path: Path) -> None:
    server = VllmLike(llama)
    with serving(server) as url:
        folder = run(spec(collection, "pointwise.yes_no", url, tokenizer=str(llama)), tmp_path)
    record = folder.manifest().model
    assert record.server is not None
    assert record.server.base_url == url
    assert record.server.reported == {"id": "tiny", "owned_by": "tests", "max_model_len": 1024}
    assert str(record.server.software).endswith("vllm-like/1")
    assert record.server.prompt_form == "token ids"
    assert record.server.notes == []
    assert record.architecture is not None
    assert {body["seed"] for _, body in server.asked} == {0}
    assert {body["temperature"] for _, body in server.asked} == {0}
    [row] = evaluate([folder.path], measures=["nDCG@10"]).to_json()
    assert row["petaflops_per_query"] > 0


def test_cached_tokens_are_the_server_s(llama: Path, collection: Path, tmp_path: Path) -> None:
    server = VllmLike(llama)
    server.usage = {"prompt_tokens_details": {"cached_tokens": 5}}
    with serving(server) as url:
        folder = run(spec(collection, "setwise.heapsort", url, tokenizer=str(llama)), tmp_path)
    assert {row["cached_tokens"] for row in rows(folder)} == {5}


@pytest.mark.parametrize("method", ["pointwise.yes_no", "setwise.heapsort", "listwise.generation"])
def test_an_assistant_s_message_that_is_continued_equals_local(
    llama: Path, collection: Path, tmp_path: Path, method: str
) -> None:
    local = run(spec(collection, method, None, source=str(llama)), tmp_path)
    with serving(VllmLike(llama)) as url:
        asked = spec(collection, method, url, tokenizer=str(llama), answer_start="continue")
        served = run(asked, tmp_path)
    assert served.ranking() == local.ranking()
    assert {row["prompt_tokens"] for row in rows(served)} == {
        row["prompt_tokens"] for row in rows(local)
    }


def test_without_a_tokenizer_words_are_counted_and_it_is_said(
    llama: Path, collection: Path, tmp_path: Path
) -> None:
    server = VllmLike(llama)
    with serving(server) as url:
        folder = run(spec(collection, "setwise.heapsort", url), tmp_path)
    record = folder.manifest().model.server
    assert record is not None
    assert record.counted_by == "words and marks"
    assert record.answer_start == "prompt"
    words = ("tokenizer", "8 further tokens", "--architecture", "does not report cached tokens")
    notes = [note for note in folder.manifest().notes if "cannot be read" not in note]
    for word, note in zip(words, notes, strict=True):
        assert word in note
    path, body = server.asked[-1]
    assert path == "/v1/chat/completions"
    assert body["max_tokens"] == 1 + 8
    assert body["messages"][-1]["content"].endswith(" Passage:")
    [row] = evaluate([folder.path], measures=["nDCG@10"]).to_json()
    assert row["petaflops_per_query"] is None
    assert row["measures"]["nDCG@10"]["value"] is not None
    assert any("--architecture" in note for note in row["notes"])


def test_an_architecture_by_name_prices_the_run(
    llama: Path, collection: Path, tmp_path: Path
) -> None:
    config = str(llama / "config.json")
    with serving(VllmLike(llama)) as url:
        folder = run(spec(collection, "listwise.generation", url, architecture=config), tmp_path)
    [row] = evaluate([folder.path], measures=["nDCG@10"]).to_json()
    assert row["petaflops_per_query"] > 0


def test_what_shapes_answers_is_in_the_run_s_identity_and_the_address_is_not(
    llama: Path, collection: Path, tmp_path: Path
) -> None:
    names = set()
    with serving(VllmLike(llama)) as url, serving(VllmLike(llama)) as other:
        first = run(spec(collection, "setwise.heapsort", url), tmp_path)
        again = run(spec(collection, "setwise.heapsort", other), tmp_path, resume=True)
        assert again.path == first.path
        for more in ({"answer_start": "continue"}, {"tokenizer": str(llama)}):
            names.add(run(spec(collection, "setwise.heapsort", url, **more), tmp_path).path)
    assert len(names | {first.path}) == 3


def refused(collection: Path, runs: Path, method: str, url: str, /, **model: Any) -> str:
    with pytest.raises(UsageError) as error:
        run(spec(collection, method, url, **model), runs)
    assert not list(runs.rglob("manifest.json"))
    return str(error.value)


@pytest.mark.parametrize("method", ["attention.icr", "pointwise.cross_encoder"])
def test_what_no_server_gives_is_refused_before_anything_is_asked(
    llama: Path, collection: Path, tmp_path: Path, method: str
) -> None:
    server = VllmLike(llama)
    with serving(server) as url:
        assert "servers do not give" in refused(
            collection, tmp_path, method, url, tokenizer=str(llama)
        )
    assert server.asked == []


def test_a_likelihood_needs_the_tokenizer(collection: Path, llama: Path, tmp_path: Path) -> None:
    with serving(VllmLike(llama)) as url:
        assert "--tokenizer" in refused(collection, tmp_path, "pointwise.qlm", url)


@pytest.mark.parametrize("method", ["pointwise.yes_no", "pointwise.qlm", "listwise.first"])
def test_without_log_probabilities_a_method_that_reads_them_is_refused(
    llama: Path, collection: Path, tmp_path: Path, method: str
) -> None:
    inner = VllmLike(llama)

    def without(path: str, body: dict[str, Any] | None, headers: Mapping[str, str]) -> Said:
        kept = body and {key: value for key, value in body.items() if "logprobs" not in key}
        return inner(path, kept, headers)

    with serving(without) as url:
        message = refused(collection, tmp_path, method, url, tokenizer=str(llama))
    assert "reads log probabilities" in message
    assert "docs/servers.md" in message


def test_another_model_s_tokenizer_is_refused(
    llama: Path, collection: Path, tmp_path: Path
) -> None:
    inner = VllmLike(llama)
    inner.usage = {"prompt_tokens": 4321}
    with serving(inner) as url:
        message = refused(collection, tmp_path, "listwise.generation", url, tokenizer=str(llama))
    assert "4321 tokens" in message


def test_a_model_that_the_server_has_not_is_refused(
    llama: Path, collection: Path, tmp_path: Path
) -> None:
    with serving(VllmLike(llama)) as url:
        message = refused(collection, tmp_path, "listwise.generation", url, source="openai:other")
    assert "'other'" in message


def test_a_server_that_is_not_there_is_missing(collection: Path, tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}/v1"
    with pytest.raises(MissingError, match="does not answer"):
        run(spec(collection, "listwise.generation", url), tmp_path)


def test_fewer_alternatives_are_asked_for_where_fewer_are_allowed(
    llama: Path, collection: Path, tmp_path: Path
) -> None:
    with serving(VllmLike(llama, allowed=5)) as url:
        folder = run(spec(collection, "pointwise.yes_no", url, tokenizer=str(llama)), tmp_path)
    record = folder.manifest().model.server
    assert record is not None
    assert record.logprobs == 5


def test_labels_that_are_not_listed_are_parse_failures_or_last(
    llama: Path, collection: Path, tmp_path: Path
) -> None:
    with serving(VllmLike(llama, listed=1)) as url, pytest.raises(UsageError, match="lists 1;"):
        run(spec(collection, "listwise.first", url, tokenizer=str(llama)), tmp_path)
    with serving(VllmLike(llama, listed=3)) as url:
        folder = run(spec(collection, "listwise.first", url, tokenizer=str(llama)), tmp_path)
    notes = folder.manifest().notes
    assert any("lists 3 alternatives where 20 were asked for" in note for note in notes)
    assert any("labels are not all among the 3 likeliest" in note for note in notes)
    assert any(not row["parsed"] and row["answer"] != "null" for row in rows(folder))
    assert all(record.status == "ok" for record in folder.per_query())
    with serving(VllmLike(llama, listed=None)) as url:
        whole = run(spec(collection, "listwise.first", url, tokenizer=str(llama)), tmp_path / "w")
    for cut, full in zip(rows(folder), rows(whole), strict=True):
        answer = json.loads(cut["answer"])
        if cut["parsed"]:
            assert answer == json.loads(full["answer"])
        elif answer is not None:
            assert answer[0] == json.loads(full["answer"])[0]


@pytest.mark.parametrize("method", ["listwise.likelihood", "pointwise.yes_no"])
@pytest.mark.parametrize(
    "how", [{"by_id": True}, {"names_ids": True}, {"by_id": True, "listed": 1}]
)
def test_labels_by_their_ids_are_those_of_a_run_here(
    llama: Path, collection: Path, tmp_path: Path, method: str, how: dict[str, Any]
) -> None:
    """Twenty labels of which a list of likeliest tokens would hold few: each is asked for."""
    with serving(VllmLike(llama, **how)) as url:
        served = run(spec(collection, method, url, tokenizer=str(llama)), tmp_path / "served")
    here = run(spec(collection, method, None, source=str(llama)), tmp_path / "here")
    assert served.ranking() == here.ranking()
    alike = ("prompt_tokens", "generated_tokens", "parsed", "docids")
    for one, other in zip(rows(served), rows(here), strict=True):
        assert [one[name] for name in alike] == [other[name] for name in alike]


def test_a_server_that_names_tokens_by_ids_needs_the_tokenizer(
    llama: Path, collection: Path, tmp_path: Path
) -> None:
    says = pytest.raises(UsageError, match=r"names tokens by their ids.*pass --tokenizer")
    with serving(VllmLike(llama, names_ids=True)) as url, says:
        run(spec(collection, "pointwise.yes_no", url), tmp_path)


def test_settings_that_a_server_refuses_are_left_out_and_what_that_means_is_said(
    llama: Path, collection: Path, tmp_path: Path
) -> None:
    refuses = ["cache_salt", "repetition_penalty", "temperature"]
    with serving(VllmLike(llama, refuses=refuses)) as url:
        folder = run(spec(collection, "pointwise.yes_no", url, tokenizer=str(llama)), tmp_path)
    record = folder.manifest().model.server
    assert record is not None
    assert record.settings == {"seed": 0, "frequency_penalty": 0, "presence_penalty": 0}
    assert (record.cache, record.version) == ("shared", "version: 0.1")
    assert any("drawn at random" in note for note in folder.manifest().notes)
    [row] = evaluate([folder.path], measures=["nDCG@10"]).to_json()
    assert row["cached_tokens_per_query"] is None
    assert any("does not report cached tokens" in note for note in row["notes"])


def test_each_run_has_a_salt_of_its_own(llama: Path, collection: Path, tmp_path: Path) -> None:
    server = VllmLike(llama)
    server.usage = {"prompt_tokens_details": {"cached_tokens": 3}}
    salts = set()
    with serving(server) as url:
        for part in ("a", "b"):
            folder = run(spec(collection, "setwise.heapsort", url), tmp_path / part)
            salts.add(server.asked[-1][1]["cache_salt"])
    assert len(salts) == 2
    assert all(salt not in folder.manifest_path.read_text() for salt in salts)
    record = folder.manifest().model.server
    assert record is not None
    assert record.cache == "isolated"


@pytest.mark.parametrize(
    "usage",
    [
        {"prompt_tokens": -3},
        {"prompt_tokens": 0},
        {"prompt_tokens": 2.5},
        {"prompt_tokens": True},
        {"prompt_tokens": 10**12},
        {"completion_tokens": -1},
        {"completion_tokens": 999},
        {"prompt_tokens_details": {"cached_tokens": -3}},
        {"prompt_tokens_details": {"cached_tokens": 10**6}},
    ],
)
def test_counts_that_cannot_be_are_no_reply(
    llama: Path, collection: Path, tmp_path: Path, usage: dict[str, Any]
) -> None:
    server = VllmLike(llama)
    server.usage = usage
    with (
        serving(server) as url,
        pytest.raises((UsageError, MissingError), match="which is no count"),
    ):
        run(spec(collection, "listwise.generation", url), tmp_path)


def test_an_answer_in_parts_is_its_text(llama: Path) -> None:
    parts = [{"type": "thinking", "thinking": "A"}, {"type": "text", "text": "B"}]
    calls = Calls(
        Manner("m", "prompt", {}),
        Encoder(WordTokenizer(), decoder_start=None, context=None),
        own=False,
    )
    post = calls.post(Generate((Message("user", "x"),), 4))
    usage = {"prompt_tokens": 3, "completion_tokens": 2}
    for message, text in (
        ({"content": parts}, "B"),
        ({"content": None, "reasoning_content": "A"}, ""),
        ({"content": "C"}, "C"),
    ):
        assert post.read({"choices": [{"message": message}], "usage": usage}).value == text


TOP = Position("B", -0.1, {"B": -0.1, " A": -2.5, "A ": -3.0, "x": -4.0})


def test_labels_are_found_by_their_spelling_then_without_spaces_then_below_all() -> None:
    found = label_values(TOP, ("A", "B", "C"), asked=4)
    assert found is not None
    a, b, c = found.values
    assert (a, b, found.unlisted) == (-2.5, -0.1, 1)
    assert -4.0000001 < c < -4.0
    assert label_values(TOP, ("A ", " A"), asked=4) == Found((-3.0, -2.5), 0)
    assert label_values(Position("▁A", -1.0, {}), ("A",), asked=20) == Found((-1.0,), 0)
    assert label_values(TOP, ("C", "D"), asked=4) is None
    assert label_values(TOP, ("B", "C"), asked=20) is None, "too few are listed to bound the rest"


def test_of_tokens_that_print_alike_the_likelier_counts() -> None:
    tops = [("Yes", -0.1), ("No", -2.4), ("Yes", -7.0), ("No", None)]
    listed = [{"token": token, "logprob": logprob} for token, logprob in tops]
    item = {"token": "Yes", "logprob": -0.1, "top_logprobs": listed}
    [place] = positions({"logprobs": {"content": [item]}}) or []
    assert label_values(place, ("Yes", "No"), asked=3) == Found((-0.1, -2.4), 0)


def test_both_shapes_of_log_probabilities_are_read() -> None:
    chat = {"token": "B", "logprob": -0.1, "top_logprobs": [{"token": "A", "logprob": -2.0}]}
    plain = {"tokens": ["B"], "token_logprobs": [-0.1], "top_logprobs": [{"A": -2.0}]}
    expected = [Position("B", -0.1, {"A": -2.0})]
    assert positions({"logprobs": {"content": [chat]}}) == expected
    assert positions({"logprobs": plain}) == expected
    for nothing in ({}, {"logprobs": None}, {"logprobs": {}}, {"logprobs": {"content": None}}):
        assert positions(nothing) is None


def test_the_answer_is_read_right_after_the_thought() -> None:
    found = [Position(token, -1.0, ()) for token in ("so", " </", "think", ">", " true", "</s>")]
    place = place_after(found, "</think>")
    assert place is not None
    assert place.token == " true"
    assert place_after(found[:4], "</think>") is None
    assert place_after(found[:2], "</think>") is None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"source": "openai:"}, "names no model"),
        ({"answer_start": "completions"}, "pass --tokenizer"),
    ],
)
def test_words_that_do_not_fit_are_refused(
    collection: Path, tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    url = f"http://127.0.0.1:{free_port()}/v1"
    assert words in refused(collection, tmp_path, "listwise.generation", url, **changes)


def test_a_served_model_needs_an_address_and_no_other_takes_one(
    collection: Path, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="--base-url"):
        run(spec(collection, "listwise.generation", None), tmp_path)
    with pytest.raises(UsageError, match="behind a server"):
        run(spec(collection, "listwise.generation", "http://h/v1", source="random:1"), tmp_path)


def test_a_server_that_answers_otherwise_on_resume_is_told_of(
    llama: Path, collection: Path, tmp_path: Path
) -> None:
    """As one does that was begun in float32 and is now served in bfloat16, under the same name."""
    server = VllmLike(llama)
    with serving(server) as url:
        asked = spec(collection, "pointwise.yes_no", url, tokenizer=str(llama))
        with pytest.raises(KeyboardInterrupt):
            run(asked, tmp_path, progress=Interrupting())
        server.model = server.model.bfloat16()
        folder = run(asked, tmp_path, resume=True)
    notes = folder.manifest().notes
    assert any("the server answers its trial otherwise" in note for note in notes)


class Interrupting(Silent):
    """Interrupts a run at its first finished query."""

    def query_finished(self, record: Any) -> None:
        raise KeyboardInterrupt


def test_a_name_that_the_server_has_not_is_called_so_though_log_probabilities_are_read(
    llama: Path, collection: Path, tmp_path: Path
) -> None:
    with serving(VllmLike(llama)) as url:
        asked = spec(collection, "pointwise.yes_no", url, source="openai:other")
        with pytest.raises(UsageError, match="it serves tiny"):
            run(asked, tmp_path)


def test_the_sidecar_does_not_list_this_machine_as_the_server_s(
    llama: Path, collection: Path, tmp_path: Path
) -> None:
    with serving(VllmLike(llama)) as url:
        folder = run(spec(collection, "listwise.generation", url), tmp_path)
    told = (folder.path / "ir-metadata.yml").read_text()
    assert "server: 'version: 0.1'" in told
    assert "torch" not in told
    assert folder.manifest().environment.processor not in told


def test_a_reply_of_another_model_is_noted_and_evaluate_repeats_it(
    llama: Path, collection: Path, tmp_path: Path
) -> None:
    tiny = VllmLike(llama)

    def answer(path: str, body: dict[str, Any] | None, headers: Mapping[str, str]) -> Said:
        said = tiny(path, body, headers)
        if body is None or "how long does a flea live" in json.dumps(body):
            return said
        return Said.json({**json.loads(said.body), "model": "another/Model-70B"})

    with serving(answer) as url:
        folder = run(spec(collection, "setwise.heapsort", url), tmp_path)
    [note] = [text for text in folder.manifest().notes if "another/Model-70B" in text]
    assert note in evaluate(folder.path, "nDCG@10").rows[0].notes


@pytest.mark.parametrize("seed", range(4))
def test_seeded_faults_of_a_server_change_neither_ledger_nor_ranking(
    llama: Path, collection: Path, tmp_path: Path, seed: int
) -> None:
    """Each question is disturbed up to three times: refused, dropped, cut short or late."""
    method = ("setwise.heapsort", "listwise.generation")[seed % 2]
    with serving(VllmLike(llama)) as upstream:
        calm = run(spec(collection, method, upstream, tokenizer=str(llama)), tmp_path / "calm")
        proxy = FaultProxy(upstream, most=3, seed=seed)
        proxy.slow = 0.05
        with serving(proxy) as url:
            asked = spec(collection, method, url, tokenizer=str(llama))
            server = asked.execution.server.model_copy(update={"attempts": 12})
            execution = asked.execution.model_copy(update={"server": server})
            stormy = run(asked.model_copy(update={"execution": execution}), tmp_path / "storm")
    clock = ("seconds", "batch_size", "padded_tokens")
    facts = [
        [{n: v for n, v in row.items() if n not in clock} for row in rows(f)]
        for f in (calm, stormy)
    ]
    assert facts[0] == facts[1]
    assert stormy.run_path.read_bytes() == calm.run_path.read_bytes()
    assert len(set(proxy.faults) - {"None"}) >= 3
