"""First stages, rooflines, whole methods and budgets."""

from __future__ import annotations

from dataclasses import replace

import pytest

from e2r.errors import DataError, UsageError
from e2r.flops import first_stage, hardware
from e2r.flops.architecture import Architecture
from e2r.flops.estimate import estimate
from e2r.flops.work import Usage
from e2r.forecast.budget import Grid, made_for, search
from e2r.forecast.clock import Clock
from e2r.forecast.lengths import Lengths
from e2r.forecast.method import forecast


def test_first_stages() -> None:
    assert first_stage.bm25(9, 8_841_823) == 11 * 9 * 8_841_823
    assert first_stage.bm25_matched(9 * 8_841_823) == first_stage.bm25(9, 8_841_823)
    assert first_stage.expected_overlap([0.5, 1, 0], [0.5, 0.25, 1]) == 0.5
    assert first_stage.learned_sparse(0.5, 1000) == 1000
    assert first_stage.dense_exact(768, 1000) == 2 * 768 * 1000
    assert first_stage.dense_hnsw(768, 50) == first_stage.dense_exact(768, 50)
    assert first_stage.late_interaction(128, 32, 80, 10) == 10 * (2 * 128 * 32 * 80 + 32)
    encoding = estimate(Architecture.load("bge-base-en-v1.5"), Usage(12)).total
    stages = [
        first_stage.Stage("encode", encoding),
        first_stage.Stage("search", first_stage.dense_exact(768, 1000)),
    ]
    assert first_stage.pipeline(stages) == encoding + 1_536_000


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: first_stage.bm25(-1, 5),
        lambda: first_stage.bm25(1, 2.5),  # type: ignore[arg-type]
        lambda: first_stage.expected_overlap([0.5], [0.5, 0.5]),
        lambda: first_stage.expected_overlap([1.5], [0.5]),
        lambda: first_stage.learned_sparse(float("nan"), 5),
    ],
)
def test_first_stages_refuse(wrong: object) -> None:
    with pytest.raises(DataError):
        wrong()  # type: ignore[operator]


def test_bytes_of_a_known_call() -> None:
    arch = Architecture.load("Llama-2-7b-hf")
    parameters = arch.parameters.total
    table = 32000 * 4096
    key_values = 2 * 2 * 32 * 4096
    one, two = (estimate(arch, Usage(1000, count)).bytes for count in (1, 2))
    step = two - one
    activations = 2 * (32 * (4 * 8192 + 2 * (4096 + 11008) + 11008 + 4096) + 4096 + 32000)
    assert step == 2 * (parameters - table + 4096) + key_values * (1 + 1001) + activations


def test_a_pass_reads_the_weights_that_it_cannot_do_without() -> None:
    row = 1024
    without, first, further = hardware.least_weight_bytes(Architecture.load("Qwen3-0.6B"))
    # The tied head reads the whole table, which counts once among the parameters.
    assert first == further == 2 * (596_049_920 + row)
    assert without == first - 2 * 151936 * row
    _, first, further = hardware.least_weight_bytes(Architecture.load("flan-t5-large"))
    # A further pass reads neither the encoder nor what makes keys and values of its states.
    layer, cross = 4 * 1024**2 + 3 * 1024 * 2816, 4 * 1024**2
    decoder = 24 * (layer + cross + 3 * 1024) + 1024 + 32 * 16
    assert further == 2 * (decoder - 24 * 2 * 1024**2 + 32128 * 1024)
    encoder = 24 * (layer + 2 * 1024) + 1024 + 32 * 16
    assert first == 2 * (decoder + encoder + 32128 * 1024 + row)
    assert hardware.least_weight_bytes(Architecture.load("bge-reranker-base"))[2] == 0
    # All tokens of a pass may choose the same experts.
    sparse = Architecture.load("Qwen3-30B-A3B")
    _, first, further = hardware.least_weight_bytes(sparse)
    assert first == pytest.approx(2 * sparse.parameters.active, rel=1e-3)
    assert further == pytest.approx(first, rel=1e-3)


def test_an_encoder_holds_one_layers_keys_and_values() -> None:
    config = dict(Architecture.load("bge-reranker-base").config)
    shallow, deep = (
        Architecture.load({**config, "num_hidden_layers": layers}) for layers in (1, 12)
    )
    for tokens in (1, 400):
        held = [
            hardware.peak_memory(arch, Usage(tokens)) - 2 * arch.parameters.total
            for arch in (shallow, deep)
        ]
        assert held[0] == held[1] == 2 * tokens * (768 + 3072 + 2 * 768)


def test_hardware_refuses() -> None:
    assert all(device.source for device in hardware.ACCELERATORS.values())
    with pytest.raises(UsageError, match=r"H100.*e2r list accelerators"):
        hardware.accelerator("H10")


def test_a_batch_holds_the_weights_once() -> None:
    arch = Architecture.load("Llama-3.1-8B-Instruct")
    alone, many = (hardware.peak_memory(arch, Usage(500, 50), batch) for batch in (1, 16))
    call = hardware.call_memory(arch, Usage(500, 50))
    assert many - alone == 15 * call
    import numpy

    assert hardware.call_memory(arch, Usage(numpy.array([10, 500]), 50)) == call


def test_the_cpu_is_measured() -> None:
    measured = hardware.measure_cpu(size=256, repeats=2)
    assert measured.flops > 1e6
    assert measured.bandwidth > 1e6


def test_a_method_costs_its_calls() -> None:
    arch = Architecture.load("Qwen2.5-7B-Instruct")
    priced = forecast(arch, "pointwise.yes_no", depth=100, lengths=Lengths(9, 75))
    one = forecast(arch, "pointwise.yes_no", depth=1, lengths=Lengths(9, 75))
    assert (priced.calls, priced.rounds) == (100, 1)
    assert priced.flops == 100 * one.flops
    assert one.flops == estimate(arch, Usage(int(one.prompt_tokens), 1)).total


def test_heapsort_is_near_the_papers_figure() -> None:
    arch = Architecture.load("flan-t5-large")
    priced = forecast(arch, "setwise.heapsort", lengths=Lengths(9, 75), convention="paper")
    assert 116 <= priced.calls <= 141
    assert priced.rounds < priced.calls
    assert priced.flops / 10**15 == pytest.approx(0.025, rel=0.15)
    lucky = forecast(arch, "setwise.heapsort", answers="first-stage")
    assert lucky.calls < priced.calls


def test_forecasts_refuse() -> None:
    encoder, decoder = (Architecture.load(n) for n in ("bge-reranker-base", "flan-t5-base"))
    with pytest.raises(UsageError, match="generates"):
        forecast(encoder, "setwise.heapsort")
    with pytest.raises(UsageError, match=r"setwise\.heapsort"):
        forecast(decoder, "setwise.heapsrt")
    with pytest.raises(DataError, match="depth"):
        forecast(decoder, "setwise.heapsort", depth=0)
    with pytest.raises(UsageError, match="set_size"):
        forecast(decoder, "setwise.heapsort", parameters={"set_size": 1})
    with pytest.raises(UsageError, match="decoder-only"):
        forecast(decoder, "attention.icr")
    with pytest.raises(UsageError, match="--answer-tokens"):
        forecast(decoder, "pointwise.reasoning")


def test_thoughts_are_paid_for_and_shared_documents_are_not() -> None:
    arch = Architecture.load("Qwen2.5-7B-Instruct")
    short, long = (
        forecast(arch, "pointwise.reasoning", depth=1, lengths=Lengths(answer=tokens))
        for tokens in (100, 500)
    )
    step = estimate(arch, Usage(int(short.prompt_tokens), 101)).total - short.flops
    assert long.flops > short.flops + 400 * step
    attended = forecast(arch, "attention.icr", depth=20)
    once = estimate(arch, Usage(int(attended.prompt_tokens / 2), head_positions=0)).total
    assert (attended.calls, attended.rounds) == (2, 1)
    assert once < attended.flops < 1.1 * once


def test_budget_lists_what_fits_cheapest_first() -> None:
    grid = Grid(
        models=["flan-t5-base", "flan-t5-xl", "ms-marco-MiniLM-L6-v2", "Llama-3.1-70B-Instruct"],
        methods=["pointwise.yes_no", "setwise.heapsort"],
        depths=[10, 100],
        set_sizes=[3, 5],
    )
    found = search(grid, petaflops=0.05)
    prices = [option.petaflops for option in found.options]
    assert prices == sorted(prices)
    assert prices[-1] <= 0.05
    assert 0 < len(prices) < found.weighed
    clock = Clock(hardware.accelerator("A100"))
    quick = search(grid, milliseconds=200, clock=clock)
    assert all(option.milliseconds and option.milliseconds <= 200 for option in quick.options)
    [refused] = quick.refused
    assert "Llama-3.1-70B-Instruct does not fit into A100" in refused
    assert "2 of them would hold it" in refused
    with pytest.raises(UsageError, match="budget"):
        search(grid)
    with pytest.raises(UsageError, match="accelerator"):
        search(grid, milliseconds=5)
    with pytest.raises(UsageError, match="--price-per-hour"):
        search(grid, price_per_million=5, clock=clock)
    with pytest.raises(UsageError, match="leaves nothing"):
        search(grid, petaflops=-1)
    with pytest.raises(UsageError, match=r"unknown method 'setwise\.heap'.*setwise\.heapsort"):
        search(Grid(["flan-t5-base"], methods=["setwise.heap"]), petaflops=1)


def test_budget_tries_what_a_checkpoint_was_trained_for() -> None:
    assert made_for("castorini/monot5-base-msmarco") == ["pointwise.monot5"]
    assert made_for("castorini/duot5-3b-msmarco") == ["pairwise.duot5", "pairwise.duot5.allpair"]
    assert made_for("Qwen/Qwen3-Reranker-4B") == ["pointwise.qwen3"]
    assert made_for("ielabgroup/Rank-R1-7B-v0.1") == ["setwise.heapsort.reasoning"]
    for reasoner in ("liuwenhan/reasonrank-7B", "le723z/Rearank-7B", "hltcoe/Rank-K-32B"):
        assert made_for(reasoner) == ["listwise.reasoning"]
    assert made_for("jinaai/jina-reranker-v3") == ["listwise.embedding"]
    general = made_for("google/flan-t5-xl")
    assert "setwise.heapsort" in general
    assert not {"pointwise.qwen3", "pointwise.monot5", "pointwise.reasoning"} & set(general)
    found = search(Grid(models=["flan-t5-xl"], depths=[10]), petaflops=1)
    assert {option.method for option in found.options} <= set(general)


def test_a_thought_of_unknown_length_is_no_price() -> None:
    """ReasonRank without its thought would look three to ten times too cheap."""
    grid = Grid(["liuwenhan/reasonrank-7B"], depths=(100,))
    found = search(grid, petaflops=100)
    assert not found.options
    assert "--answer-tokens" in found.refused[0]
    prices = [
        search(replace(grid, answer_tokens=tokens), petaflops=100).options[0].petaflops
        for tokens in (100, 1100)
    ]
    # 9 windows, 1000 tokens more in each, 7.6 billion weights less the embedding.
    assert prices[1] - prices[0] > 9 * 1000 * 2 * 7e9 / 1e15


def test_a_classifier_is_offered_its_own_score() -> None:
    found = search(Grid(["BAAI/bge-reranker-v2-m3"]), petaflops=100)
    assert {option.method for option in found.options} == {"pointwise.cross_encoder"}
