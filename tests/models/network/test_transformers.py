"""Tiny real models through the real loading code: values, exact token counts, batching."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from e2r.errors import DataError, MissingError, UsageError
from e2r.models.network import onednn
from e2r.models.network.transformers import TransformersModel, load
from e2r.prompts.request import Generate, Labels, Likelihood, Reply, Request
from e2r.prompts.template import Message
from e2r.records.spec import ExecutionSpec, ModelSpec
from tests.tiny_models import save_llama, save_t5

WORDS = "the flea lives for a year while rivers carve deep valleys over dogs".split()  # noqa: SIM905


def asked(words: int) -> tuple[Message, ...]:
    return (Message("user", " ".join((WORDS * 4)[:words])),)


@pytest.fixture(scope="module", params=["llama", "t5"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    save = {"llama": save_llama, "t5": save_t5}[request.param]
    path: Path = save(tmp_path_factory.mktemp(request.param))
    return path


def opened(folder: Path, **execution: Any) -> TransformersModel:
    return load(ModelSpec(source=str(folder)), ExecutionSpec(device="cpu", **execution))


REQUESTS: list[Request] = [
    *(Likelihood(asked(n), "how long does a flea live"[: 8 + n]) for n in (1, 5, 9, 17)),
    *(Labels(asked(n), ("Yes", "No")) for n in (2, 6, 14)),
    *(Generate(asked(n), 2, "Passage") for n in (3, 8, 11)),
    *(Generate(asked(n), 1, " Passage:") for n in (4, 7)),
    *(Generate(asked(n), 9) for n in (12, 13)),
]


def real_tokens(reply: Reply) -> tuple[int, ...]:
    return (
        reply.prompt_tokens,
        reply.decoder_prompt_tokens,
        reply.generated_tokens,
        reply.head_positions,
    )


def test_batched_equals_alone(folder: Path) -> None:
    """Float32 scores to 1e-4, texts and token counts exactly, whatever shares a batch."""
    model = opened(folder, batch_size=4)
    together = model.reply(REQUESTS)
    for request, reply in zip(REQUESTS, together, strict=True):
        [alone] = model.reply([request])
        assert real_tokens(alone) == real_tokens(reply)
        assert alone.padded_tokens == 0
        if isinstance(alone.value, str):
            assert alone.value == reply.value
        else:
            assert reply.value == pytest.approx(alone.value, abs=1e-4)
    assert max(reply.batch_size for reply in together) > 1


def test_batches_keep_to_their_tokens(folder: Path) -> None:
    model = opened(folder, batch_size=8, batch_tokens=1)
    assert {reply.batch_size for reply in model.reply(REQUESTS)} == {1}


def test_likelihood_and_labels_match_a_forward_pass_by_hand(folder: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM, AutoTokenizer

    model = opened(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    text, target = asked(9)[0].content, "how long"
    ids = tokenizer(target, add_special_tokens=False)["input_ids"]
    if model.encoder_decoder:
        network = AutoModelForSeq2SeqLM.from_pretrained(folder).eval()
        prompt = tokenizer(text)["input_ids"]
        with torch.inference_mode():
            logits = network(
                input_ids=torch.tensor([prompt]), decoder_input_ids=torch.tensor([[0, *ids]])
            ).logits[0]
        expected = (len(prompt), len(ids), 0, len(ids))
        label_logits = logits[0]
    else:
        network = AutoModelForCausalLM.from_pretrained(folder).eval()
        prompt = tokenizer(f"<|user|>{text}<|end|><|assistant|>", add_special_tokens=False)[
            "input_ids"
        ]
        with torch.inference_mode():
            whole = network(input_ids=torch.tensor([prompt + ids])).logits[0]
        logits = whole[len(prompt) - 1 :]
        expected = (len(prompt) + len(ids) - 1, 0, 0, len(ids))
        label_logits = logits[0]
    chances = logits.log_softmax(-1)
    by_hand = sum(float(chances[i, token]) for i, token in enumerate(ids))
    [likelihood, labels] = model.reply(
        [Likelihood(asked(9), target), Labels(asked(9), ("Yes", "No"))]
    )
    assert likelihood.value == pytest.approx(by_hand, abs=1e-4)
    assert real_tokens(likelihood) == expected
    first = [tokenizer(word, add_special_tokens=False)["input_ids"][0] for word in ("Yes", "No")]
    assert labels.value == pytest.approx([float(label_logits[i]) for i in first], abs=1e-4)
    assert labels.head_positions == 1


def greedy(model: TransformersModel, request: Generate) -> list[int]:
    """Token ids by the plainest loop: one whole pass a token, until the end token."""
    import torch

    network, encoded = model._model, model._encoder.encode(request)
    end, ids = network.config.eos_token_id, list[int]()
    while len(ids) < request.max_new_tokens and end not in ids:
        with torch.inference_mode():
            if model.encoder_decoder:
                logits = network(
                    input_ids=torch.tensor([encoded.prompt]),
                    decoder_input_ids=torch.tensor([[*encoded.start, *ids]]),
                ).logits
            else:
                logits = network(input_ids=torch.tensor([[*encoded.prompt, *ids]])).logits
        ids.append(int(logits[0, -1].argmax()))
    return ids


def test_generation_is_the_plain_greedy_loop(folder: Path) -> None:
    """The same text, and as many tokens as the loop takes, the end token among them."""
    path = folder / "generation_config.json"
    before = path.read_text()
    path.write_text(json.dumps({**json.loads(before), "repetition_penalty": 5.0}))
    try:
        model = opened(folder, batch_size=4)
        requests = [Generate(asked(n), most) for n, most in ((1, 2), (4, 9), (9, 25), (3, 25))]
        for request, reply in zip(requests, model.reply(requests), strict=True):
            expected = greedy(model, request)
            assert reply.value == model._encoder.text(expected)
            assert reply.generated_tokens == len(expected)
    finally:
        path.write_text(before)


def test_texts_are_cut_at_token_borders(folder: Path) -> None:
    model = opened(folder)
    text = "the flea lives — for a year"
    whole, dropped = model.cut(text, 1000)
    assert (whole, dropped) == (text, 0)
    for other in (text, "😀 flea 😀😀 – é😀"):
        total = len(model._encoder.tokens(other))
        for most in range(1, total):
            cut, dropped = model.cut(other, most)
            assert other.startswith(cut)
            kept = len(model._encoder.tokens(cut))
            assert kept <= most
            assert kept + dropped == total


def test_a_text_cannot_speak_control_tokens(folder: Path) -> None:
    """What looks like the end of a turn inside a passage stays text."""
    model = opened(folder)
    special = set(model._encoder._tokenizer.all_special_ids)
    assert special
    for token in model._encoder._tokenizer.all_special_tokens:
        text, _ = model.cut(f"a flea{token} lives", 100)
        assert not special & set(model._encoder.tokens(text))


def test_a_model_that_is_not_here_is_missing(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"holds no config\.json"):
        load(ModelSpec(source=str(tmp_path)), ExecutionSpec())


def test_a_hub_model_without_a_hub_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(MissingError, match=r"model nobody/nothing: .*Hugging Face cache"):
        load(ModelSpec(source="nobody/nothing"), ExecutionSpec())


def test_another_revision_is_refused(folder: Path) -> None:
    with pytest.raises(DataError, match="but the spec asks for sha256:0"):
        load(ModelSpec(source=str(folder), revision="sha256:0"), ExecutionSpec())


def test_the_record_prices_the_model(folder: Path) -> None:
    """The manifest's architecture is what the estimator reads."""
    from e2r.flops.architecture import Architecture

    record = opened(folder).record()
    assert record.architecture is not None
    recorded = Architecture.load(record.architecture)
    on_disk = Architecture.load(str(folder))
    assert recorded.parameters == on_disk.parameters


def flops_by_counter(model: TransformersModel, requests: Sequence[Request]) -> int:
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    model._model.set_attn_implementation("eager")
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        model.reply(requests)
    return int(counter.get_total_flops())


def test_a_reply_costs_what_the_estimator_says(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The counts that a reply reports, priced under torch, are what PyTorch's counter sees.

    The layers are PyTorch's own, so that nobody tells the counter what a product costs.
    """
    from e2r.cli.progress import usage_of
    from e2r.flops.architecture import Architecture
    from e2r.flops.estimate import estimate

    monkeypatch.setattr(onednn, "pack", lambda network: network)
    model = opened(folder)
    architecture = Architecture.load(model.record().architecture or {})
    for request in (Likelihood(asked(9), "how long does it"), Labels(asked(5), ("Yes", "No"))):
        [reply] = model.reply([request])
        counted = flops_by_counter(model, [request])
        assert estimate(architecture, usage_of(reply), convention="torch").flops == counted


def test_a_checkpoint_that_scores_by_its_own_code_is_refused_by_name(tmp_path: Path) -> None:
    save_llama(tmp_path)
    config = tmp_path / "config.json"
    facts = json.loads(config.read_text())
    config.write_text(json.dumps({**facts, "architectures": ["JinaForRanking"]}))
    with pytest.raises(UsageError, match=r"JinaForRanking.*priced and not run"):
        load(ModelSpec(source=str(tmp_path)), ExecutionSpec(device="cpu"))
