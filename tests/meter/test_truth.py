"""The metered price of anyone's program is what PyTorch's own counter counts, to the integer."""

from __future__ import annotations

import csv
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

import e2r  # noqa: E402
from e2r.flops.architecture import Architecture  # noqa: E402
from e2r.flops.estimate import estimate  # noqa: E402
from e2r.flops.work import Usage  # noqa: E402
from tests import tiny_models  # noqa: E402

SHORT, LONG, WORD = "Does the passage answer", "The quick brown fox jumps over the lazy dog", "Yes"
TEXTS = [SHORT, LONG, WORD]
LM, PAIR = "AutoModelForCausalLM", "AutoModelForSeq2SeqLM"
ENDS = range(300, 340)
CLASSIFIER, BARE = "AutoModelForSequenceClassification", "AutoModel"


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    made: dict[str, Path] = {}

    def folder(name: str) -> Path:
        if name not in made:
            made[name] = tmp_path_factory.mktemp("models") / name
            getattr(tiny_models, f"save_{name}")(made[name])
        return made[name]

    return folder


def loaded(folder: Path, auto: str) -> tuple[Any, Any]:
    model = getattr(transformers, auto).from_pretrained(folder, attn_implementation="eager")
    return model.eval(), transformers.AutoTokenizer.from_pretrained(folder)


def batch(tokenizer: Any, texts: list[str], side: str = "right", **more: Any) -> dict[str, Any]:
    tokenizer.padding_side = side
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return dict(tokenizer(texts, return_tensors="pt", padding=True, **more))


def without_types(given: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if name != "token_type_ids"}


def generated(model: Any, tokenizer: Any, **options: Any) -> Any:
    given = without_types(batch(tokenizer, TEXTS, "left"))
    return model.generate(**given, max_new_tokens=9, do_sample=False, **options)


def read(model: Any, tokenizer: Any, **options: Any) -> Any:
    output = model(**without_types(batch(tokenizer, TEXTS)), **options)
    return output.logits if "logits" in output else output.last_hidden_state


def scored(model: Any, tokenizer: Any) -> Any:
    return model(**batch(tokenizer, TEXTS, text_pair=TEXTS[::-1])).logits


def one_by_one(model: Any, tokenizer: Any) -> Any:
    ids = tokenizer([SHORT], return_tensors="pt")["input_ids"]
    return torch.stack([model(input_ids=ids).logits.flatten()[-1] for _ in range(3)])


def over_a_prefix(model: Any, tokenizer: Any) -> Any:
    """A beginning is computed once, and each text goes on from a copy of its cache."""
    beginning = tokenizer([SHORT], return_tensors="pt")["input_ids"]
    first = model(beginning, use_cache=True)
    answers = []
    for text in (LONG, WORD):
        new = tokenizer([text], return_tensors="pt")["input_ids"]
        cache = first.past_key_values
        answers.append(model(new, past_key_values=cache, logits_to_keep=1).logits)
        cache.crop(-new.shape[1])
    return torch.cat(answers)


def own_loop(model: Any, tokenizer: Any) -> Any:
    """Greedy decoding as a stranger writes it."""
    ids = tokenizer([LONG], return_tensors="pt")["input_ids"]
    cache, written = None, []
    for _ in range(5):
        output = model(ids, past_key_values=cache, use_cache=True)
        cache, ids = output.past_key_values, output.logits[:, -1:].argmax(-1)
        written.append(ids)
    return torch.cat(written, 1)


def sampled(model: Any, tokenizer: Any, ends: list[int]) -> Any:
    """Up to 12 new tokens that are drawn, so that rows end at different steps."""
    torch.manual_seed(0)
    given = without_types(batch(tokenizer, TEXTS, "left"))
    settings = {"max_new_tokens": 12, "do_sample": True, "temperature": 5.0, "pad_token_id": 0}
    return model.generate(**given, **settings, eos_token_id=ends)


def ended_early(model: Any, tokenizer: Any) -> Any:
    """Rows end at different steps: any token may be the last one."""
    return sampled(model, tokenizer, list(ENDS))


def unlike(model: Any, tokenizer: Any) -> Any:
    """Decoder-only generation from a decoder prompt of several tokens."""
    given = without_types(batch(tokenizer, TEXTS))
    start = torch.tensor([[0, 7, 9]] * 3)
    return model.generate(**given, decoder_input_ids=start, max_new_tokens=4, do_sample=False)


def likelihood(model: Any, tokenizer: Any) -> Any:
    given = without_types(batch(tokenizer, TEXTS))
    return model(**given, labels=given["input_ids"][:, :5].contiguous()).logits


PROGRAMS = {
    "generate": ("llama", LM, generated),
    "generate without a cache": ("llama", LM, lambda m, t: generated(m, t, use_cache=False)),
    "generate with beams": ("llama", LM, lambda m, t: generated(m, t, num_beams=2)),
    "generate, ended early": ("llama", LM, ended_early),
    "generate in chunks": ("qwen2", LM, lambda m, t: generated(m, t, prefill_chunk_size=16)),
    "forward": ("qwen2", LM, read),
    "forward, two positions": ("qwen2", LM, lambda m, t: read(m, t, logits_to_keep=2)),
    "forward, one by one": ("llama", LM, one_by_one),
    "over a prefix": ("llama", LM, over_a_prefix),
    "own loop": ("qwen2", LM, own_loop),
    "pair": ("t5", PAIR, generated),
    "pair of another family": ("t5gemma", PAIR, generated),
    "pair, ended early": ("t5", PAIR, ended_early),
    "pair from three tokens": ("t5", PAIR, unlike),
    "pair, likelihood": ("t5", PAIR, likelihood),
    "cross-encoder": ("cross_encoder", CLASSIFIER, scored),
    "decoder classifier": ("decoder_classifier", CLASSIFIER, one_by_one),
    "embeddings": ("cross_encoder", BARE, lambda m, t: m(**batch(t, TEXTS)).last_hidden_state),
    "embeddings of a decoder": ("qwen2", BARE, read),
}


def rows(path: Path) -> list[dict[str, int]]:
    with path.open(newline="") as stream:
        return [
            {name: int(text) for name, text in row.items() if name not in ("qid", "model")}
            for row in csv.DictReader(stream)
        ]


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_metered_price_is_what_pytorch_counts_and_no_number_changes(
    name: str, folders: Callable[[str], Path], tmp_path: Path
) -> None:
    kind, auto, program = PROGRAMS[name]
    model, tokenizer = loaded(folders(kind), auto)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        alone = program(model, tokenizer)
        with (
            FlopCounterMode(display=False) as counter,
            e2r.meter(tmp_path / "calls.csv") as meter,
        ):
            metered = program(model, tokenizer)
    assert torch.equal(alone, metered)
    assert meter.total("torch").flops == counter.get_total_flops()
    assert list(meter.uncounted) == []
    ideal = meter.total("ideal").flops
    assert ideal is not None
    assert 0 < ideal < counter.get_total_flops()


def test_padding_and_rows_that_have_ended_are_told_apart_from_what_was_asked(
    folders: Callable[[str], Path], tmp_path: Path
) -> None:
    model, tokenizer = loaded(folders("llama"), LM)
    lengths = [len(tokenizer(text)["input_ids"]) for text in TEXTS]
    ends = list(ENDS)
    with torch.no_grad(), e2r.meter(tmp_path / "calls.csv") as meter:
        output = sampled(model, tokenizer, ends)
    new = output[:, max(lengths) :]
    asked = [
        next((place + 1 for place, token in enumerate(row) if token in ends), len(row))
        for row in new.tolist()
    ]
    assert min(asked) < max(asked)
    found = rows(tmp_path / "calls.csv")
    assert [row["prompt_tokens"] for row in found] == lengths
    assert [row["generated_tokens"] for row in found] == asked
    idle = [max(lengths) - n + max(asked) - more for n, more in zip(lengths, asked, strict=True)]
    assert [row["padded_tokens"] for row in found] == idle
    arch = Architecture.load(str(folders("llama")))
    alone = [estimate(arch, Usage(n, m)).flops for n, m in zip(lengths, asked, strict=True)]
    assert meter.total("ideal").flops == sum(alone)


def test_rows_without_a_mask_are_padded_by_what_ends_some_of_them(
    folders: Callable[[str], Path], tmp_path: Path
) -> None:
    model, tokenizer = loaded(folders("llama"), LM)
    ids = batch(tokenizer, TEXTS)["input_ids"]
    with torch.no_grad(), e2r.meter(tmp_path / "calls.csv"):
        model(input_ids=ids)
    lengths = [len(tokenizer(text)["input_ids"]) for text in TEXTS]
    assert [row["prompt_tokens"] for row in rows(tmp_path / "calls.csv")] == lengths


@pytest.mark.parametrize(
    ("kind", "auto", "program", "why"),
    [
        ("t5", PAIR, lambda m, t: generated(m, t, num_beams=2), "no watched encoder made for it"),
        ("t5", PAIR, lambda m, t: generated(m, t, use_cache=False), "states used twice"),
    ],
)
def test_what_no_usage_describes_has_tokens_and_no_price(
    kind: str,
    auto: str,
    program: Callable[[Any, Any], Any],
    why: str,
    folders: Callable[[str], Path],
    tmp_path: Path,
) -> None:
    model, tokenizer = loaded(folders(kind), auto)
    with torch.no_grad(), e2r.meter(tmp_path / "calls.csv") as meter:
        program(model, tokenizer)
    assert meter.petaflops is None
    assert any(why in text for text in meter.uncounted)
    assert sum(row["prompt_tokens"] for row in rows(tmp_path / "calls.csv")) > 0
