"""Reuse within a query: the same values, and costs that follow from its own calls alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from e2r.models.network import prefixes
from e2r.models.network.transformers import TransformersModel, load
from e2r.models.reuse import Reuse, Share, common_length
from e2r.prompts.request import Attention, Generate, Labels, Likelihood, Reason, Reply, Request
from e2r.prompts.template import Message
from e2r.records.spec import ExecutionSpec, ModelSpec
from tests.tiny_models import save_cross_encoder, save_llama, save_qwen2, save_t5

OPENING = "given a query which of these"
TEXTS = ["the flea lives", "rivers carve deep valleys over dogs", "a year while dogs", "deep"]


def asked(text: str) -> tuple[Message, ...]:
    return (Message("user", f"{OPENING} {text}"),)


REQUESTS: list[Request] = [
    *(Likelihood(asked(text), "how long does it"[: 6 + i]) for i, text in enumerate(TEXTS)),
    *(Labels(asked(text), ("Yes", "No")) for text in TEXTS),
    *(Generate(asked(text), 1, " Passage:") for text in TEXTS),
    *(Generate(asked(text), 7) for text in TEXTS),
]
THOUGHTS: list[Request] = [Reason(asked(text), 6, "</think>", ("true", "false")) for text in TEXTS]


@pytest.fixture(scope="module", params=[save_llama, save_qwen2, save_t5])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = request.param(tmp_path_factory.mktemp("model"))
    return path


@pytest.fixture(scope="module")
def decoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_llama(tmp_path_factory.mktemp("decoder"))


def opened(folder: Path, notes: list[str] | None = None, **execution: Any) -> TransformersModel:
    heard = [] if notes is None else notes
    return load(
        ModelSpec(source=str(folder)), ExecutionSpec(device="cpu", **execution), heard.append
    )


def tokens(reply: Reply) -> tuple[int, ...]:
    return reply.prompt_tokens, reply.decoder_prompt_tokens, reply.generated_tokens


def test_reused_equals_computed(folder: Path) -> None:
    """Whatever is cached, values and real tokens are those of a model that caches nothing."""
    plain, reusing = opened(folder, batch_size=3), opened(folder, batch_size=3, reuse=True)
    requests = REQUESTS if plain.encoder_decoder else [*REQUESTS, *THOUGHTS]
    scopes = [f"q{place % 2}" for place in range(len(requests))]
    for again in range(2):
        before = plain.reply(requests)
        after = reusing.reply(requests, [f"{scope}.{again}" for scope in scopes])
        for expected, found in zip(before, after, strict=True):
            if isinstance(expected.value, str):
                assert found.value == expected.value
            else:
                assert found.value == pytest.approx(expected.value, abs=1e-4)
            assert tokens(found) == tokens(expected)
        cached = [reply.cached_tokens for reply in after]
        # The first call of each of the two queries pays for what all of its calls begin with.
        assert cached.count(0) == (len(requests) if plain.encoder_decoder else 2)


def test_repeated_calls_cost_nothing(folder: Path) -> None:
    model = opened(folder, reuse=True)
    request = REQUESTS[-1]
    first, second, other = model.reply([request, request, request], ["a", "a", "b"])
    [third] = model.reply([request], ["a"])
    assert first.value == second.value == third.value == other.value
    assert tokens(first) == tokens(other)
    for repeated in (second, third):
        assert tokens(repeated) == (0, 0, 0)
        assert (repeated.batch_size, repeated.seconds, repeated.head_positions) == (0, 0, 0)


def test_without_the_option_nothing_is_reused(folder: Path) -> None:
    replies = opened(folder).reply([REQUESTS[0]] * 2, ["a", "a"])
    assert [reply.cached_tokens for reply in replies] == [0, 0]
    assert tokens(replies[0]) == tokens(replies[1])


def test_a_classifier_repeats_and_shares_nothing(tmp_path: Path) -> None:
    from e2r.prompts.request import Classify

    model = opened(save_cross_encoder(tmp_path), reuse=True)
    pair = Classify((Message("query", "flea"), Message("passage", "the flea lives")))
    first, second = model.reply([pair, pair], ["a", "a"])
    assert first.value == second.value
    assert (first.prompt_tokens > 0, second.prompt_tokens) == (True, 0)


def test_memory_that_runs_out_halves_the_batch_and_says_so(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    notes: list[str] = []
    model = opened(folder, notes, batch_size=8)
    whole = model.reply(REQUESTS)
    usual = model._passes.label_logits

    def tight(encoded: Sequence[Any], *rest: Any) -> list[Reply]:
        if len(encoded) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return usual(encoded, *rest)

    monkeypatch.setattr(model._passes, "label_logits", tight)
    again = model.reply(REQUESTS)
    assert [reply.value for reply in again] == [
        pytest.approx(reply.value, abs=1e-4)
        if isinstance(reply.value, tuple | float)
        else reply.value
        for reply in whole
    ]
    assert model.batch_size == 1
    assert "out of memory with 4 calls a batch; going on with 2" in notes


def test_a_size_that_fits_is_kept_within_the_round(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    notes: list[str] = []
    model = opened(folder, notes, batch_size=8)
    model.prepare()
    usual, tried = model._passes.label_logits, []

    def tight(encoded: Sequence[Any], *rest: Any) -> list[Reply]:
        tried.append(len(encoded))
        if len(encoded) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return usual(encoded, *rest)

    monkeypatch.setattr(model._passes, "label_logits", tight)
    question = next(request for request in REQUESTS if isinstance(request, Labels))
    model.reply([question] * 16)
    assert tried == [8, 4, *[2] * 8]
    assert len(notes) == 2


def test_beginnings_that_do_not_fit_are_computed_fewer_at_once(
    decoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    model = opened(decoder, reuse=True, batch_size=8)
    model.prepare()
    questions = [Labels(asked(text), ("Yes", "No")) for text in TEXTS[:2]] * 3
    scopes = ["a", "a", "b", "b", "c", "c"]
    usual, tried = model._passes.begin, []

    def tight(beginnings: Sequence[Any]) -> None:
        tried.append(len(beginnings))
        if len(beginnings) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        usual(beginnings)

    monkeypatch.setattr(model._passes, "begin", tight)
    found = model.reply(questions, scopes)
    assert tried == [3, 1, 1, 1]
    for reply, alone in zip(found, opened(decoder).reply(questions), strict=True):
        assert reply.value == pytest.approx(alone.value, abs=1e-4)


def test_a_beginning_that_failed_is_begun_again(
    decoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What broke is told as it was, and the next question does not go on from nothing."""
    model = opened(decoder, reuse=True)
    model.prepare()
    usual = model._passes.begin

    def broken(beginnings: Sequence[Any]) -> None:
        raise ValueError("no luck")

    labels = [request for request in REQUESTS if isinstance(request, Labels)]
    monkeypatch.setattr(model._passes, "begin", broken)
    with pytest.raises(ValueError, match="no luck"):
        model.reply(labels[:2], ["a", "a"])
    monkeypatch.setattr(model._passes, "begin", usual)
    again = model.reply(labels[:2], ["a", "a"])
    assert [reply.value for reply in again] == [
        pytest.approx(reply.value, abs=1e-4) for reply in opened(decoder).reply(labels[:2])
    ]


def test_a_call_that_alone_is_too_large_fails(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    model = opened(folder)
    model.prepare()

    def none(*_: Any) -> list[Reply]:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(model._passes, "likelihood", none)
    with pytest.raises(torch.OutOfMemoryError):
        model.reply(REQUESTS[:1])


def paid(requests: Sequence[Any], shares: Sequence[Share]) -> list[Reply]:
    """Replies that say what was cached."""
    return [
        Reply(None, prompt_tokens=len(request), cached_tokens=share.cached_tokens)
        for request, share in zip(requests, shares, strict=True)
    ]


def letters(request: Any) -> tuple[tuple[int, ...], int]:
    return tuple(map(ord, request)), 1


def test_costs_do_not_depend_on_company() -> None:
    """A query's tokens, cached ones and repeated calls are the same alone and among others."""
    rounds: list[list[Any]] = [["abcx", "abcyz"], ["abcd"], ["abq", "abcyz"]]

    def costs(scopes: list[str]) -> list[list[tuple[int, int]]]:
        reuse, found = Reuse(8), {scope: list[tuple[int, int]]() for scope in scopes}
        for asked in rounds:
            names = [scope for _ in asked for scope in scopes]
            requests = [request for request in asked for _ in scopes]
            for name, reply in zip(names, reuse.reply(requests, names, letters, paid), strict=True):
                found[name].append((reply.prompt_tokens, reply.cached_tokens))
        return list(found.values())

    alone = [(4, 0), (5, 3), (4, 3), (3, 2), (0, 0)]
    assert costs(["q"]) == [alone]
    assert costs(["q", "r", "s"]) == [alone] * 3


def test_the_second_of_two_single_calls_pays_for_what_they_share() -> None:
    """A beginning is known to be shared, and is kept, when a second prompt has shown it."""
    reuse, found = Reuse(8), []
    for request in ("abcx", "abcy", "abcz"):
        shares: list[Share] = []

        def compute(asked: Sequence[Any], given: Sequence[Share]) -> list[Reply]:
            shares.extend(given)  # noqa: B023 — called at once
            return paid(asked, given)

        asked: Any = [request]
        reuse.reply(asked, ["q"], letters, compute)
        found.append((shares[0].cached_tokens, shares[0].pays))
    assert found == [(0, False), (0, True), (3, False)]


def test_attention_requests_share_by_themselves(tmp_path: Path) -> None:
    model = opened(save_llama(tmp_path))
    shown = (Message("user", "[1] the flea. Query: flea"),)
    assert model.shareable(Attention(shown, ("the flea.",))) is None
    assert model.shareable(REQUESTS[0]) is not None


def test_common_length() -> None:
    assert common_length([(1, 2, 3), (1, 2), (1, 2, 4)]) == 2
    assert common_length([(1,), (2,)]) == 0
    assert common_length([(5, 6)]) == 2


@pytest.mark.parametrize("kind", ["Mpt", "GPTNeo", "Rwkv"])
def test_models_that_count_places_themselves_share_no_beginnings(kind: str) -> None:
    """Between what is cached and what is fed lies padding, which they would count."""
    import transformers

    small = {
        "Mpt": {"d_model": 16, "n_heads": 2, "n_layers": 1},
        "GPTNeo": {
            "hidden_size": 16,
            "num_heads": 2,
            "num_layers": 2,
            "attention_types": [[["global", "local"], 1]],
        },
        "Rwkv": {"hidden_size": 16, "num_hidden_layers": 2, "attention_hidden_size": 16},
    }[kind]
    config = getattr(transformers, f"{kind}Config")(vocab_size=50, **small)
    assert not prefixes.shareable(getattr(transformers, f"{kind}ForCausalLM")(config))


def test_a_model_that_reads_padding_writes_one_at_a_time(
    decoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = opened(decoder)
    wanted = [reply.value for reply in model.reply(REQUESTS[-4:])]
    usual, sizes = model._passes._generate, []

    def watched(inputs: Any, *rest: Any, **options: Any) -> Any:
        sizes.append(len(inputs.whole))
        return usual(inputs, *rest, **options)

    monkeypatch.setattr(model._passes, "_generate", watched)
    monkeypatch.setattr(model._model.config, "model_type", "rwkv")
    assert [reply.value for reply in model.reply(REQUESTS[-4:])] == wanted
    assert sizes == [1] * 4
    sizes.clear()
    model.reply(THOUGHTS)
    assert sizes == [1] * len(THOUGHTS)
