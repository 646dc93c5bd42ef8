"""The catalogue: every entry builds, and its weights are those of the published checkpoint."""

from __future__ import annotations

import re

import pytest

from e2r.errors import DataError, MissingError
from e2r.flops import catalogue
from e2r.flops.architecture import Architecture
from e2r.flops.conventions import CONVENTIONS
from e2r.flops.estimate import estimate
from e2r.flops.work import Usage

PARAMETERS = {
    "BAAI/bge-base-en-v1.5": 109_482_240,
    "BAAI/bge-reranker-base": 278_044_417,
    "BAAI/bge-reranker-large": 559_891_457,
    "BAAI/bge-reranker-v2-m3": 567_755_777,
    "EleutherAI/pythia-1b": 1_011_781_632,
    "HuggingFaceTB/SmolLM2-1.7B-Instruct": 1_711_376_384,
    "HuggingFaceTB/SmolLM2-135M-Instruct": 134_515_008,
    "HuggingFaceTB/SmolLM2-360M-Instruct": 361_821_120,
    "HuggingFaceTB/SmolLM3-3B": 3_075_098_624,
    "Qwen/Qwen1.5-MoE-A2.7B-Chat": 14_315_784_192,
    "Qwen/Qwen2.5-0.5B-Instruct": 494_032_768,
    "Qwen/Qwen2.5-1.5B-Instruct": 1_543_714_304,
    "Qwen/Qwen2.5-14B-Instruct": 14_770_033_664,
    "Qwen/Qwen2.5-32B-Instruct": 32_763_876_352,
    "Qwen/Qwen2.5-3B-Instruct": 3_085_938_688,
    "Qwen/Qwen2.5-72B-Instruct": 72_706_203_648,
    "Qwen/Qwen2.5-7B-Instruct": 7_615_616_512,
    "Qwen/Qwen3-0.6B": 596_049_920,
    "Qwen/Qwen3-1.7B": 1_720_574_976,
    "Qwen/Qwen3-14B": 14_768_307_200,
    "Qwen/Qwen3-235B-A22B": 235_093_634_560,
    "Qwen/Qwen3-30B-A3B": 30_532_122_624,
    "Qwen/Qwen3-32B": 32_762_123_264,
    "Qwen/Qwen3-4B": 4_022_468_096,
    "Qwen/Qwen3-8B": 8_190_735_360,
    "Qwen/Qwen3-Reranker-0.6B": 595_776_512,
    "ai21labs/Jamba-v0.1": 51_570_323_328,
    "allenai/OLMo-2-1124-7B-Instruct": 7_298_617_344,
    "answerdotai/ModernBERT-base": 149_655_232,
    "answerdotai/ModernBERT-large": 395_881_664,
    "cross-encoder/ms-marco-MiniLM-L6-v2": 22_713_601,
    "deepseek-ai/DeepSeek-V2-Lite-Chat": 15_706_484_224,
    "deepseek-ai/DeepSeek-V3": 671_026_404_352,
    "facebook/bart-large": 406_291_456,
    "google-t5/t5-3b": 2_851_598_336,
    "google-t5/t5-base": 222_903_552,
    "google/flan-t5-base": 247_577_856,
    "google/flan-t5-large": 783_150_080,
    "google/flan-t5-small": 76_961_152,
    "google/flan-t5-xl": 2_849_757_184,
    "google/flan-t5-xxl": 11_135_332_352,
    "google/gemma-2-27b-it": 27_227_128_320,
    "google/gemma-2-2b-it": 2_614_341_888,
    "google/gemma-2-9b-it": 9_241_705_984,
    "google/gemma-2b-it": 2_506_172_416,
    "google/gemma-3-1b-it": 999_885_952,
    "google/gemma-7b-it": 8_537_680_896,
    "meta-llama/Llama-2-13b-hf": 13_015_864_320,
    "meta-llama/Llama-2-7b-hf": 6_738_415_616,
    "meta-llama/Llama-3.1-70B-Instruct": 70_553_706_496,
    "meta-llama/Llama-3.1-8B-Instruct": 8_030_261_248,
    "meta-llama/Llama-3.2-1B-Instruct": 1_235_814_400,
    "meta-llama/Llama-3.2-3B-Instruct": 3_212_749_824,
    "microsoft/Phi-3-mini-4k-instruct": 3_821_079_552,
    "microsoft/phi-4": 14_659_507_200,
    "mistralai/Mistral-7B-Instruct-v0.3": 7_248_023_552,
    "mistralai/Mistral-7B-v0.1": 7_241_732_096,
    "mistralai/Mixtral-8x7B-Instruct-v0.1": 46_702_792_704,
    "openai-community/gpt2": 124_439_808,
    "openai/gpt-oss-120b": 116_829_156_672,
    "openai/gpt-oss-20b": 20_914_757_184,
    "sentence-transformers/all-MiniLM-L6-v2": 22_713_216,
    "tiiuae/falcon-7b": 6_921_720_704,
}
"""Counts that the checkpoints' pages on the Hub state (tied matrices once)."""


MTEB = {
    "jinaai/jina-reranker-v3": 596_836_352,
    "zeroentropy/zerank-1": 4_022_470_656,
    "zeroentropy/zerank-1-small": 1_720_577_024,
    "zeroentropy/zerank-2": 4_022_470_656,
    "nvidia/llama-nemotron-rerank-1b-v2": 1_235_816_448,
    "infgrad/Prism-Qwen3.5-Reranker-0.8B": 752_393_024,
    "infgrad/Prism-Qwen3.5-Reranker-2B": 1_881_825_088,
    "infgrad/Prism-Qwen3.5-Reranker-4B": 4_205_751_296,
    "infgrad/Prism-Qwen3.5-Reranker-9B": 8_953_803_264,
    "Qwen/Qwen3-Reranker-0.6B": 595_776_512,
    "Qwen/Qwen3-Reranker-4B": 4_021_784_576,
    "Qwen/Qwen3-Reranker-8B": 8_188_548_096,
    "cross-encoder/ms-marco-MiniLM-L12-v2": 33_360_385,
    "cross-encoder/ms-marco-MiniLM-L2-v2": 15_615_745,
    "cross-encoder/ms-marco-MiniLM-L4-v2": 19_164_673,
    "cross-encoder/ms-marco-MiniLM-L6-v2": 22_713_601,
    "cross-encoder/ms-marco-TinyBERT-L2-v2": 4_386_049,
    "google/flan-t5-base": 247_577_856,
    "google/flan-t5-large": 783_150_080,
    "mistralai/Mistral-7B-Instruct-v0.2": 7_241_732_096,
    "mixedbread-ai/mxbai-rerank-base-v1": 184_422_913,
    "mixedbread-ai/mxbai-rerank-base-v2": 494_032_768,
    "mixedbread-ai/mxbai-rerank-large-v1": 435_062_785,
    "mixedbread-ai/mxbai-rerank-large-v2": 1_543_714_304,
    "mixedbread-ai/mxbai-rerank-xsmall-v1": 70_830_337,
    "sentence-transformers/all-MiniLM-L6-v2": 22_713_216,
}
"""Counts that mteb's model table states for the commit it names (its repository, August 2026)."""


NOT_IN_THE_PAPER = ("jamba", "mamba2", "qwen3_5", "qwen3_5_text")
"""Hybrids, which Eq. 9-15 do not describe."""

ENCODERS = {
    "cross-encoder/ettin-reranker-17m-v1": 16_797_440,
    "cross-encoder/ettin-reranker-32m-v1": 31_883_136,
    "cross-encoder/ettin-reranker-68m-v1": 68_144_640,
    "cross-encoder/ettin-reranker-150m-v1": 149_014_272,
    "cross-encoder/ettin-reranker-400m-v1": 394_781_696,
    "cross-encoder/ettin-reranker-1b-v1": 1_028_050_688,
    "ibm-granite/granite-embedding-reranker-english-r2": 149_014_272,
    "Alibaba-NLP/gte-multilingual-reranker-base": 305_368_320,
}
"""Counts of mteb's model table for the encoder under the head, of this name or of its base."""


@pytest.mark.parametrize("name", ENCODERS)
def test_the_encoder_under_a_head(name: str) -> None:
    assert Architecture.load(name, task="embedding").parameters.total == ENCODERS[name]


def test_an_encoder_pooled_before_its_decoder_is_refused() -> None:
    with pytest.raises(DataError, match="pooled by four"):
        Architecture.load("KaLM-Embedding/KaLM-Reranker-V1-Nano")


def test_every_entry_is_pinned_or_says_that_it_is_not() -> None:
    entries = catalogue.entries()
    assert len(entries) >= 100
    for name, entry in entries.items():
        assert set(entry) == {"source", "revision", "confirmed", "facts"}, name
        pinned = re.fullmatch(r"[0-9a-f]{40}", entry["revision"])
        assert pinned or entry["revision"] == "unpinned", name
        commit = entry["revision"] if pinned else "main"
        assert entry["source"] == f"https://huggingface.co/{name}/blob/{commit}/config.json"
        kinds = [text.partition(": ")[0] for text in entry["confirmed"]]
        assert set(kinds) <= {"revision", "parameters", "base", "config"}, name
        assert ("revision" in kinds) == bool(pinned), name
        said = "parameters: the model's page on the Hub" in entry["confirmed"]
        assert said == (name in PARAMETERS), name
        said = "parameters: mteb's model table" in entry["confirmed"]
        assert said == (name in MTEB), name
        for text in entry["confirmed"]:
            if text.startswith("base: parameters of "):
                base = Architecture.load(text.removeprefix("base: parameters of "))
                assert Architecture.load(name).parameters.total == base.parameters.total


@pytest.mark.parametrize(
    ("name", "context"),
    [
        ("jhu-clsp/rank1-1.5b", 131072),
        ("Qwen/Qwen2.5-1.5B-Instruct", 32768),
        ("Qwen/Qwen1.5-MoE-A2.7B-Chat", 32768),
        ("BAAI/bge-reranker-base", 512),
        ("BAAI/bge-reranker-v2-m3", 8192),
        ("google/gemma-3-4b-it", 131072),
        ("google/flan-t5-base", None),
    ],
)
def test_contexts(name: str, context: int | None) -> None:
    assert Architecture.load(name).context == context


@pytest.mark.parametrize(
    "name", ["castorini/LiT5-Distill-base", "LiT5-Distill-large-v2", "soyoung97/ListT5-3b"]
)
def test_fusion_in_the_decoder_is_no_single_prompt(name: str) -> None:
    with pytest.raises(DataError, match="fusion in the decoder"):
        Architecture.load(name)


@pytest.mark.parametrize("name", sorted(catalogue.entries()))
def test_every_entry_is_priced_under_every_convention(name: str) -> None:
    arch = Architecture.load(name)
    for convention in CONVENTIONS:
        if convention == "paper" and arch.model_type in NOT_IN_THE_PAPER:
            continue
        cost = estimate(arch, Usage(300), convention)
        assert cost.flops == sum(op.flops for op in cost.operations)
        assert cost.flops > 10**6


@pytest.mark.parametrize("name", sorted({**PARAMETERS, **MTEB}))
def test_parameters_of_the_published_checkpoint(name: str) -> None:
    stated = {table[name] for table in (PARAMETERS, MTEB) if name in table}
    assert {Architecture.load(name).parameters.total} == stated


def test_names_may_leave_out_the_owner() -> None:
    assert Architecture.load("flan-t5-large") == Architecture.load("google/flan-t5-large")


def test_missing_names_suggest_near_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(MissingError, match="google/flan-t5-large"):
        Architecture.load("google/flan-t5-lage")
