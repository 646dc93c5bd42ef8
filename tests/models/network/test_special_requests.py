"""Classifiers, attention and thoughts on tiny models: values by hand, exact counts, batching."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from e2r.errors import DataError, UsageError
from e2r.models.network.transformers import TransformersModel, load
from e2r.prompts.request import Attention, Classify, Labels, Likelihood, Reason
from e2r.prompts.template import Message
from e2r.records.spec import ExecutionSpec, ModelSpec
from tests.tiny_models import save_cross_encoder, save_decoder_classifier, save_llama, save_t5

DOCUMENTS = ("the flea lives for a year", "rivers carve valleys", "the lazy dog jumps")


def opened(folder: Path, **execution: Any) -> TransformersModel:
    return load(ModelSpec(source=str(folder)), ExecutionSpec(device="cpu", **execution))


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Callable[[Path], Path]], Path]:
    kept: dict[str, Path] = {}

    def make(save: Callable[[Path], Path]) -> Path:
        if save.__name__ not in kept:
            kept[save.__name__] = save(tmp_path_factory.mktemp(save.__name__))
        return kept[save.__name__]

    return make


def pair(text: str) -> Classify:
    return Classify((Message("query", "which rivers"), Message("passage", text)))


def chat(text: str) -> Classify:
    return Classify((Message("system", "judge"), Message("user", f"rivers? {text}")), " yes")


@pytest.mark.parametrize(
    ("save", "form"), [(save_cross_encoder, pair), (save_decoder_classifier, chat)]
)
def test_a_classifier_scores_its_own_form_batched_as_alone(
    saved: Any, save: Any, form: Callable[[str], Classify]
) -> None:
    """Encoders read a pair; decoders a conversation with its turns and the opened answer."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    folder = saved(save)
    model = opened(folder)
    requests = [form(text) for text in (*DOCUMENTS, DOCUMENTS[0] * 3)]
    together = model.reply(requests)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    network = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    for request, reply in zip(requests, together, strict=True):
        [alone] = model.reply([request])
        assert reply.value == pytest.approx(alone.value, abs=1e-4)
        words = [m.content for m in request.messages]
        if form is chat:
            words = [f"<|system|>judge<|end|><|user|>{words[1]}<|end|><|assistant|> yes"]
        encoded = tokenizer(*words, return_tensors="pt")
        with torch.inference_mode():
            by_hand = float(network(**encoded).logits[0, 0])
        assert alone.value == pytest.approx(by_hand, abs=1e-4)
        assert reply.prompt_tokens == encoded["input_ids"].shape[1]
        assert (reply.generated_tokens, reply.head_positions) == (0, 1)
    assert len({reply.value for reply in together}) == len(together)


def test_a_decoder_is_not_shown_a_pair_without_a_sign_between(saved: Any) -> None:
    with pytest.raises(DataError, match=r"without a sign between them.*--template qwen3"):
        opened(saved(save_decoder_classifier)).reply([pair("the dog")])


def test_segments_of_a_pair_reach_the_classifier(saved: Any) -> None:
    encoder = opened(saved(save_cross_encoder))._encoder
    segments = encoder.encode(pair("the dog")).segments
    assert set(segments) == {0, 1}
    assert list(segments) == sorted(segments)


def test_a_classifiers_context_is_its_tokenizers(saved: Any) -> None:
    assert opened(saved(save_cross_encoder)).excess(pair("dog " * 200)) > 0


def test_who_is_asked_what_it_cannot_answer_says_so(saved: Any) -> None:
    words = (Message("user", "the dog"),)
    with pytest.raises(UsageError, match="a language model, which"):
        opened(saved(save_cross_encoder)).reply([Labels(words, ("Yes", "No"))])
    with pytest.raises(UsageError, match="a sequence classifier, which"):
        opened(saved(save_llama)).reply([pair("the dog")])
    t5 = opened(saved(save_t5))
    with pytest.raises(UsageError, match="decoder-only"):
        t5.reply([Reason(words, 3, "</think>", (" true", " false"))])
    with pytest.raises(UsageError, match="decoder-only"):
        t5.reply([Attention((Message("user", "[1] dog\n\nwhy"),), ("dog",))])


def attention(query: str) -> Attention:
    shown = "\n\n".join(f"[{i}] {text}" for i, text in enumerate(DOCUMENTS, start=1))
    return Attention((Message("user", f"Here:\n\n{shown}\n\nQuery: {query}"),), DOCUMENTS)


def test_attention_is_that_of_one_whole_pass(saved: Any) -> None:
    """The prefill is shared and paid for once; the weights are those of a pass without a cache."""
    import torch
    from transformers import AutoModelForCausalLM

    folder = saved(save_llama)
    model = opened(folder)
    requests = [attention("which rivers carve the valleys"), attention("N/A")]
    replies = model.reply(requests)
    network = AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager").eval()
    for request, reply in zip(requests, replies, strict=True):
        item = model._encoder.encode(request)
        text = model._encoder.text
        for (first, end), document in zip(item.spans, DOCUMENTS, strict=True):
            assert text(list(item.prompt[first:end])).strip().endswith(document)
        assert text(list(item.prompt[item.question :])).startswith("Query:")
        with torch.inference_mode():
            layers = network(torch.tensor([item.prompt]), output_attentions=True).attentions
        whole = sum(layer[0].double()[:, item.question :].mean(1).sum(0) for layer in layers)
        assert isinstance(reply.value, tuple)
        for (first, end), weights in zip(item.spans, reply.value, strict=True):
            assert list(weights) == pytest.approx(whole[first:end].tolist(), rel=1e-3)
        assert reply.prompt_tokens == len(item.prompt)
    question = model._encoder.encode(requests[0]).question
    assert [reply.cached_tokens for reply in replies] == [0, question]
    assert replies[0].head_positions == 0


def test_documents_that_the_template_hides_are_refused(saved: Any) -> None:
    request = Attention((Message("user", "1. the dog\n\nwhy"),), ("the dog",))
    with pytest.raises(DataError, match="does not show document 1"):
        opened(saved(save_llama)).reply([request])


def thought(until: str, most: int, words: str = "the dog") -> Reason:
    return Reason((Message("text", words),), most, until, (" true", " false"))


def test_a_thought_ends_where_its_words_come_and_the_next_logits_are_read(saved: Any) -> None:
    """Whatever the tiny model says first is taken for the end of its thought."""
    import torch
    from transformers import AutoModelForCausalLM

    folder = saved(save_llama)
    model = opened(folder)
    network = AutoModelForCausalLM.from_pretrained(folder).eval()
    encoder = model._encoder
    ids = list(encoder.encode(thought("", 1)).prompt)
    said: list[int] = []
    for _ in range(4):
        with torch.inference_mode():
            logits = network(torch.tensor([ids + said])).logits[0, -1]
        said.append(int(logits.argmax()))
    until = encoder.text(said[:3])
    length = next(t for t in range(1, 4) if until in encoder.text(said[:t]))
    with torch.inference_mode():
        logits = network(torch.tensor([ids + said[:length]])).logits[0, -1]
    labels = encoder.label_ids(thought(until, 1))
    [reply] = model.reply([thought(until, 8)])
    assert reply.value == pytest.approx([float(logits[i]) for i in labels], abs=1e-4)
    assert reply.generated_tokens == length + 1
    assert reply.prompt_tokens == len(ids)
    batch = model.reply([thought(until, 8), thought(until, 8, "rivers carve deep valleys")])
    assert batch[0].value == pytest.approx(reply.value, abs=1e-3)
    assert batch[0].generated_tokens == reply.generated_tokens


def test_a_thought_without_end_has_no_value(saved: Any) -> None:
    [reply] = opened(saved(save_llama)).reply([thought("</never>", 5)])
    assert reply.value is None
    assert 1 <= reply.generated_tokens <= 6


def test_a_target_may_begin_with_padding(saved: Any) -> None:
    """As llm-rankers scores query likelihood: the padding token is scored as well."""
    import torch
    from transformers import AutoModelForSeq2SeqLM

    folder = saved(save_t5)
    model = opened(folder)
    words = (Message("user", "rivers carve deep valleys"),)
    [shifted] = model.reply([Likelihood(words, "how long", padded=True)])
    network = AutoModelForSeq2SeqLM.from_pretrained(folder).eval()
    ids = [0, *model._encoder.tokens("how long")]
    prompt = torch.tensor([model._encoder.encode(Likelihood(words, "x")).prompt])
    with torch.inference_mode():
        loss = network(input_ids=prompt, labels=torch.tensor([ids])).loss
    assert shifted.value == pytest.approx(-float(loss) * len(ids), abs=1e-3)
    assert shifted.head_positions == shifted.decoder_prompt_tokens == len(ids)


def test_labels_are_told_apart_by_the_token_that_they_add(saved: Any) -> None:
    encoder = opened(saved(save_llama))._encoder
    words = (Message("user", "the dog"),)
    spaced = Labels(words, (" A", " B"), " Passage:")
    whole = encoder.tokens(" Passage: A")
    assert encoder.label_ids(spaced)[0] == whole[len(encoder.tokens(" Passage:"))]
    with pytest.raises(DataError, match="begin with the same token"):
        encoder.label_ids(Labels(words, ("zqx", "zqy")))
