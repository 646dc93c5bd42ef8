"""The clock's floor is a bound, its figures follow from one another, and bad words are refused."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from e2r.cli import main
from e2r.errors import DataError, UsageError
from e2r.flops import first_stage as formulas
from e2r.flops.architecture import Architecture
from e2r.flops.first_stage import Stage
from e2r.flops.hardware import accelerator, least_weight_bytes
from e2r.flops.work import Usage
from e2r.forecast.capacity import Asked, capacity, levers
from e2r.forecast.clock import Clock
from e2r.forecast.demand import demand, usages_of
from e2r.forecast.lengths import Lengths
from e2r.forecast.method import forecast
from e2r.forecast.pipeline import FirstStage
from e2r.ranking import METHODS
from e2r.ranking import method as find

QWEN = "Qwen2.5-7B-Instruct"
H100 = accelerator("H100")

UNASKED = {"pointwise.cross_encoder", "listwise.embedding", "listwise.fid"}
"""Methods of other models than decoders that write."""


def simulated(arch: Architecture, rounds: list[list[Usage]], clock: Clock) -> float:
    """Seconds of passes one after another, each at the data sheet's peaks: a run that is allowed.

    The calls of a round share passes up to the batch; a step of a pass reads what the chip did not
    keep, and a call that has ended takes no part in it.
    """
    _, with_head, further = least_weight_bytes(arch)
    total = 0.0
    for calls in rounds:
        for start in range(0, len(calls), clock.batch_size):
            batch = calls[start : start + clock.batch_size]
            kinds = usages_of(arch, batch)
            asked = demand(arch, kinds, np.ones(len(batch)), 1)
            read = max(with_head - clock.device.cache, 0)
            total += max(asked.prefill_flops / clock.device.flops, read / clock.device.bandwidth)
            most = max(max(call.generated_tokens, 1) - 1 for call in batch)
            before = asked.decode_flops / clock.device.flops
            weights = most * max(further - clock.device.cache, 0) / clock.device.bandwidth
            total += max(before, weights + asked.cache_read_bytes / clock.device.bandwidth)
    return total


@pytest.mark.parametrize("method", ["pointwise.yes_no", "setwise.heapsort", "listwise.generation"])
@pytest.mark.parametrize("batch", [1, 4, 16])
def test_no_order_of_passes_beats_the_floor(method: str, batch: int) -> None:
    arch = Architecture.load(QWEN)
    priced = forecast(arch, method, depth=30, answers="first-stage")
    clock = Clock(H100, batch_size=batch)
    calls = [
        usage
        for usage, weight in zip(priced.usages, priced.weights, strict=True)
        for _ in range(round(weight))
    ]
    asked = priced.demand(arch)
    rounds = round(priced.rounds)
    for spread in (
        [calls[i::rounds] for i in range(rounds)],
        [calls[: len(calls) - rounds + 1], *([call] for call in calls[len(calls) - rounds + 1 :])],
    ):
        assert clock.time(asked).floor.total <= simulated(arch, spread, clock) * (1 + 1e-9)


def test_the_floor_follows_the_longer_of_two() -> None:
    arch = Architecture.load(QWEN)
    alone = demand(arch, usages_of(arch, [Usage(20)]), [1.0], 1)
    reading = least_weight_bytes(arch)[1] - H100.cache
    assert Clock(H100).time(alone).floor.total == pytest.approx(reading / H100.bandwidth)
    long = demand(arch, usages_of(arch, [Usage(5000)]), [1.0], 1)
    assert Clock(H100).time(long).floor.total == pytest.approx(long.prefill_flops / H100.flops)
    steps = demand(arch, usages_of(arch, [Usage(100, 11)]), [1.0], 1)
    further = least_weight_bytes(arch)[2] - H100.cache
    wanted = (10 * further + steps.cache_read_bytes) / H100.bandwidth
    assert Clock(H100).time(steps).floor.decode == pytest.approx(wanted)
    half = Clock(H100, weight_bits=8).time(steps).floor.decode
    assert half == pytest.approx(wanted - 10 * (further + H100.cache) / 2 / H100.bandwidth)


def test_a_model_that_the_chip_can_keep_reads_nothing_again() -> None:
    arch = Architecture.load("cross-encoder/ms-marco-MiniLM-L6-v2")
    calls = demand(arch, usages_of(arch, [Usage(30)]), [5.0], 5)
    found = Clock(H100).time(calls).floor
    assert found.total == pytest.approx(calls.prefill_flops / H100.flops)


def test_more_in_flight_never_take_more_of_the_device() -> None:
    arch = Architecture.load(QWEN)
    asked = forecast(arch, "listwise.generation", depth=50).demand(arch)
    seconds = [Clock(H100, concurrency=n).time(asked).floor.total for n in (1, 2, 8, 64)]
    assert seconds == sorted(seconds, reverse=True)
    latency = [Clock(H100, concurrency=n).time(asked).told("latency") or 0 for n in (1, 2, 8, 64)]
    assert latency == sorted(latency)


def test_figures_follow_from_seconds() -> None:
    arch = Architecture.load(QWEN)
    asked = forecast(arch, "pointwise.yes_no", depth=20).demand(arch)
    timed = Clock(H100, utilization=0.4, concurrency=4, price_per_hour=3.6).time(asked)
    assert timed.expected is not None
    assert timed.expected.total == pytest.approx(timed.floor.total / 0.4)
    figures = timed.figures()
    seconds = figures["expected_seconds_per_query"]
    assert figures["expected_latency_seconds"] == pytest.approx(4 * seconds)
    assert figures["expected_joules_per_query"] == pytest.approx(700 * seconds)
    assert figures["expected_price_per_million_queries"] == pytest.approx(1000 * seconds)
    assert timed.told("queries_per_second") == pytest.approx(1 / seconds)
    bare = Clock(accelerator("TPUv5e")).time(asked).figures()
    assert bare["floor_joules_per_query"] is bare["floor_price_per_million_queries"] is None
    assert bare["expected_seconds_per_query"] is bare["expected_from"] is None


def test_a_service_is_counted_up_and_levers_save() -> None:
    asked = Asked(QWEN, Architecture.load(QWEN), "setwise.heapsort", 50)
    clock = Clock(H100, utilization=0.5)
    found = capacity(asked, clock, 100, ())
    seconds = found.timed.best.total
    assert found.accelerators == int(np.ceil(100 * seconds))
    assert found.least_accelerators <= found.accelerators
    saved = {
        lever.name: 1 - lever.service.timed.best.total / seconds
        for lever in levers(asked, clock, 100, ())
        if lever.service is not None
    }
    assert saved["passages of 37 tokens"] > 0.2
    assert saved["depth 25"] > 0.3
    assert 0 < saved["prefix reuse"] < 0.5
    assert saved["head at every position, as torch"] < 0
    assert {"set size 6", "8-bit weights", "16 queries in flight"} <= saved.keys()
    with pytest.raises(UsageError, match="--qps"):
        capacity(asked, clock, 0, ())
    big = Architecture.load("Llama-3.1-70B-Instruct")
    with pytest.raises(DataError, match="would hold it"):
        capacity(replace(asked, architecture=big), clock, 1, ())


@pytest.mark.parametrize("method", sorted(set(METHODS) - {"first_stage", *UNASKED}))
def test_every_method_has_a_capacity(method: str) -> None:
    """Whatever its parameters are, levers are tried on them."""
    thought = 100 if find(method).prompted_as.endswith("reasoning") else None
    lengths = Lengths(answer=thought)
    arch = Architecture.load("Qwen/Qwen2.5-7B-Instruct")
    asked = Asked("Qwen2.5-7B", arch, method, 100, 10, {}, lengths)
    clock = Clock(accelerator("H100"))
    assert capacity(asked, clock, 1, ()).accelerators >= 1
    assert levers(asked, clock, 1, ())


def test_the_floor_of_fusion_is_of_passages_that_are_read_one_by_one() -> None:
    """Seconds are of the FLOPs that the forecast tells, not of one long prompt's."""
    arch = Architecture.load("google/flan-t5-xl")
    priced = forecast(arch, "listwise.fid", lengths=Lengths(passage=300))
    needs = priced.demand(arch)
    assert needs.prefill_flops + needs.decode_flops == pytest.approx(priced.flops, rel=1e-9)


def test_a_first_stage_has_parts_and_its_formulas_are_those_of_flops() -> None:
    [search] = FirstStage("bm25", documents=1000).stages(9)
    assert search.flops == formulas.bm25(9, 1000)
    [fewer] = FirstStage("bm25", documents=1000, posting_share=0.1).stages(9)
    assert fewer.flops == formulas.bm25_matched(900)
    encoder, search = FirstStage("sparse", documents=1000, overlap=0.5).stages(9)
    assert search.flops == formulas.learned_sparse(0.5, 1000)
    assert encoder.flops > 0
    _, search = FirstStage("dense", documents=1000, visited=50).stages(9)
    assert (search.flops, search.bytes) == (formulas.dense_hnsw(768, 50), 2 * 768 * 50)
    _, search = FirstStage("late", documents=1000).stages(32)
    assert search.flops == formulas.late_interaction(128, 32, 80, 1000)
    assert len(FirstStage("sparse", documents=9, overlap=1, encoder="none").stages(9)) == 1
    arch = Architecture.load(QWEN)
    asked = forecast(arch, "pointwise.yes_no", depth=5).demand(arch)
    stages = [Stage("search", 10**12, 10**12)]
    with_it, without = (Clock(H100).time(asked, it).floor for it in (stages, []))
    assert with_it.first_stage == pytest.approx((10**12 - H100.cache) / H100.bandwidth)
    assert with_it.total == pytest.approx(without.total + with_it.first_stage)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"kind": "bm52", "documents": 9}, "bm25"),
        ({"kind": "bm25"}, "--documents"),
        ({"kind": "sparse", "documents": 9}, "--overlap"),
        ({"kind": "bm25", "documents": 9, "overlap": 1.0}, "--posting-share"),
        ({"kind": "bm25", "documents": 9, "posting_share": 1.5}, "at most 1"),
        ({"kind": "bm25", "documents": 9, "encoder": "bge-base-en-v1.5"}, "--encoder"),
        ({"kind": "dense", "documents": 9, "visited": -1}, "at least 0"),
    ],
)
def test_first_stages_that_cannot_be_are_refused(words: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        FirstStage(**words)


@pytest.mark.parametrize(
    ("used", "said"),
    [
        ({"utilization": 0.0}, "utilization"),
        ({"utilization": float("nan")}, "utilization"),
        ({"utilization": 1.5}, "utilization"),
        ({"price_per_hour": -1.0}, "price of an hour"),
        ({"concurrency": 0}, "concurrency"),
    ],
)
def test_a_device_cannot_be_used_so(used: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        Clock(H100, **used)


METHOD = ["--method", "pointwise.yes_no", "--depth", "5"]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["estimate", QWEN, *METHOD, "--on", "H10"], 2, "e2r list accelerators"),
        (["estimate", QWEN, *METHOD, "--utilization", "0.4"], 2, "--on"),
        (["estimate", QWEN, *METHOD, "--price-per-hour", "1"], 2, "--on"),
        (["estimate", QWEN, *METHOD, "--concurrency", "4"], 2, "--on"),
        (["estimate", QWEN, *METHOD, "--on", "H100", "--price-per-hour", "-1"], 2, "at least 0"),
        (["estimate", QWEN, *METHOD, "--overlap", "3"], 2, "--first-stage"),
        (["estimate", QWEN, "--export", "--on", "H100"], 2, "--export"),
        (["estimate", "Llama-3.1-70B-Instruct", *METHOD, "--on", "H100"], 3, "2 of them"),
        (["capacity", QWEN, *METHOD, "--qps", "5"], 2, "--on"),
        (["budget", "--petaflops", "1", "--sort", "money"], 2, "--sort money"),
        (["estimate", QWEN, *METHOD, "--on", "nowhere.json"], 3, "cannot be read"),
    ],
)
def test_the_command_line_refuses(
    words: list[str], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        main(words)
    assert left.value.code == code
    assert said in capsys.readouterr().err


def test_capacity_prints_narrow_tables(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["capacity", QWEN, *METHOD, "--qps", "50", "--on", "L4", "--utilization", "0.4"]
    with pytest.raises(SystemExit):
        main([*words, "--price-per-hour", "0.8", "--first-stage", "bm25", "--documents", "9000"])
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    for word in ("L4s needed", "joules", "money", "prefix reuse", "first stage", "floor"):
        assert word in out
    with pytest.raises(SystemExit):
        main([*words, "--json"])
    figures = json.loads(capsys.readouterr().out)
    assert figures["accelerators"] >= figures["least_accelerators"] >= 1
    assert len(figures["levers"]) >= 6
