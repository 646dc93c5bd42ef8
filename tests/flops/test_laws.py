"""Laws of the estimator: additivity, linearity, order of conventions, ints against arrays."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from e2r.errors import DataError, UsageError
from e2r.flops import catalogue, variants
from e2r.flops.architecture import Architecture
from e2r.flops.conventions import CONVENTIONS
from e2r.flops.estimate import by_unit, estimate, evaluate, priced
from e2r.flops.expression import from_json
from e2r.flops.padding import overhead, padded_tokens
from e2r.flops.work import Usage

DECODERS = [
    "Llama-3.2-1B-Instruct",
    "Mistral-7B-v0.1",
    "gemma-3-1b-it",
    "gpt-oss-20b",
    "DeepSeek-V2-Lite-Chat",
    "Qwen3-30B-A3B",
    "Jamba-v0.1",
    "falcon-7b",
]
COUNTED = ["ideal", "torch", "deepspeed"]


@settings(max_examples=60, deadline=None)
@given(
    name=st.sampled_from(DECODERS),
    split=st.integers(1, 6000),
    rest=st.integers(1, 6000),
    generated=st.integers(0, 50),
)
def test_ideal_adds_up_over_prefix_splits(name: str, split: int, rest: int, generated: int) -> None:
    arch = Architecture.load(name)
    whole = estimate(arch, Usage(split + rest, generated)).flops
    first = estimate(arch, Usage(split, head="none")).flops
    second = estimate(arch, Usage(split + rest, generated, cached_tokens=split)).flops
    assert whole == first + second


@settings(max_examples=60, deadline=None)
@given(
    name=st.sampled_from(DECODERS),
    prompt=st.integers(1, 9000),
    cached=st.integers(0, 9000),
    generated=st.integers(0, 50),
)
def test_ideal_is_never_above_torch(name: str, prompt: int, cached: int, generated: int) -> None:
    arch = Architecture.load(name)
    usage = Usage(prompt, generated, cached_tokens=min(cached, prompt - 1))
    assert estimate(arch, usage).flops <= estimate(arch, usage, "torch").flops


@pytest.mark.parametrize("name", sorted(catalogue.entries()))
def test_ideal_is_never_above_torch_for_any_model(name: str) -> None:
    arch = Architecture.load(name)
    for prompt in (1, 37, 512, 9000):
        usage = Usage(prompt)
        assert estimate(arch, usage).flops <= estimate(arch, usage, "torch").flops


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_linear_in_layers(convention: str) -> None:
    arch = Architecture.load("Llama-3.2-1B-Instruct")
    costs: list[Any] = [
        estimate(
            variants.override(arch, {"num_hidden_layers": layers}), Usage(300, 5), convention
        ).flops
        for layers in (1, 2, 7)
    ]
    assert costs[2] - costs[0] == 6 * (costs[1] - costs[0])


@pytest.mark.parametrize("convention", CONVENTIONS)
@pytest.mark.parametrize("name", ["flan-t5-base", "gemma-2-2b-it", "Qwen2.5-7B-Instruct"])
def test_arrays_are_many_ints(name: str, convention: str) -> None:
    arch = Architecture.load(name)
    generator = np.random.default_rng(7)
    prompt, generated = generator.integers(1, 9000, 50), generator.integers(0, 40, 50)
    whole = estimate(arch, Usage(prompt, generated), convention)
    singles = [
        estimate(arch, Usage(int(n), int(o)), convention).flops
        for n, o in zip(prompt, generated, strict=True)
    ]
    assert whole.flops.tolist() == singles
    assert whole.total == sum(singles)
    per_operation = sum(np.asarray(cost.flops) for cost in whole.operations)
    assert np.broadcast_to(per_operation, (50,)).tolist() == singles


def test_two_dimensions_and_broadcasting() -> None:
    arch = Architecture.load("flan-t5-base")
    cost = estimate(arch, Usage(np.arange(1, 7).reshape(2, 3), 2, decoder_prompt_tokens=3))
    assert cost.flops.shape == (2, 3)
    assert cost.bytes.shape == (2, 3)
    assert estimate(arch, Usage(np.array([5, 6]), head="none")).flops.shape == (2,)


def test_exact_beyond_64_bits() -> None:
    arch = Architecture.load("Llama-3.1-70B-Instruct")
    prompt = np.array([10**9, 10**8])
    cost = estimate(arch, Usage(prompt))
    assert cost.flops.dtype == object
    assert cost.flops.tolist() == [estimate(arch, Usage(int(n))).flops for n in prompt]
    assert cost.flops[0] > 2**63
    many = estimate(arch, Usage(np.full(200_000, 8192)))
    assert many.flops.dtype == np.int64
    assert many.total == 200_000 * estimate(arch, Usage(8192)).total
    assert many.total > 2**63


def test_generating_0_costs_what_1_does_and_steps_add_up() -> None:
    for name in (*DECODERS, "flan-t5-base"):
        arch = Architecture.load(name)
        for convention in COUNTED:
            zero, one, two = (
                estimate(arch, Usage(100, count), convention).total for count in (0, 1, 2)
            )
            assert zero == one < two


def test_head_positions() -> None:
    arch = Architecture.load("Qwen2.5-7B-Instruct")
    head = 2 * 3584 * 152064
    none = estimate(arch, Usage(100, head="none")).total
    assert estimate(arch, Usage(100)).total - none == head
    assert estimate(arch, Usage(100, head="all")).total - none == 100 * head
    assert estimate(arch, Usage(100, head_positions=7)).total - none == 7 * head
    assert estimate(arch, Usage(100, cached_tokens=40, head="all")).total == (
        estimate(arch, Usage(100, cached_tokens=40, head_positions=60)).total
    )


def test_json_of_units_evaluates_alike() -> None:
    for name in (*DECODERS, "flan-t5-base", "ModernBERT-base", "mxbai-rerank-base-v1"):
        arch = Architecture.load(name)
        usage = Usage(700)
        for convention in COUNTED:
            cost = estimate(arch, usage, convention)
            exported = [op.to_json() for op in priced(arch, cost.convention)]
            total = sum(
                row["coefficient"] * _interpret(row["unit"], cost.variables) for row in exported
            )
            assert total == cost.flops
            for op, row in zip(priced(arch, cost.convention), exported, strict=True):
                assert from_json(row["unit"]) == op.unit


def _interpret(node: Any, variables: Any) -> int:
    if isinstance(node, int):
        return node
    if isinstance(node, str):
        return int(variables[node])
    symbol, left, right = node[0], *(_interpret(side, variables) for side in node[1:])
    return {
        "+": left + right,
        "-": left - right,
        "*": left * right,
        "//": left // right if right else 0,
        "min": min(left, right),
        "max": max(left, right),
    }[symbol]


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("Llama-3.1-8B-Instruct", 8_030_261_248),
        ("Qwen2.5-7B-Instruct", 7_615_616_512),
        ("Qwen3-8B", 8_190_735_360),
    ],
)
def test_coefficients_are_twice_the_non_embedding_parameters(name: str, parameters: int) -> None:
    arch = Architecture.load(name)
    facts = arch.config
    per_token = sum(
        count * term.flops for count, term in arch.terms() if (term.kind, term.per) == LINEAR
    )
    other = sum(count * term.parameters for count, term in arch.terms() if term.kind != "linear")
    head = facts["vocab_size"] * facts["hidden_size"]
    assert per_token == 2 * (parameters - other - head)


LINEAR = ("linear", "token")


def test_variants() -> None:
    arch = Architecture.load("Llama-3.2-1B-Instruct")
    usage = Usage(200, 3)
    whole = estimate(arch, usage).total
    assert estimate(variants.exit_after(arch, 16), usage).total == whole
    half = variants.exit_after(arch, 8)
    assert half.stacks == variants.override(arch, {"num_hidden_layers": 8}).stacks
    adapted = variants.with_lora(arch, 8, ["q_proj", "v_proj"])
    extra = 16 * 8 * ((2048 + 2048) + (2048 + 512))
    assert adapted.parameters.total - arch.parameters.total == extra
    assert estimate(adapted, usage).total - whole == 2 * extra * 202
    with pytest.raises(DataError, match="17"):
        variants.exit_after(arch, 17)
    with pytest.raises(DataError, match="nothing_proj"):
        variants.with_lora(arch, 8, ["nothing_proj"])
    with pytest.raises(UsageError, match="hidden_sizes"):
        variants.override(arch, {"hidden_sizes": 3})


def test_absorbed_latent_attention_is_cheaper_per_step_and_dearer_in_prefill() -> None:
    expanded = Architecture.load("DeepSeek-V2-Lite-Chat")
    absorbed = variants.override(expanded, {"mla_kernel": "absorbed"})

    def step(arch: Architecture) -> int:
        return estimate(arch, Usage(4000, 2), "torch").total - (
            estimate(arch, Usage(4000, 1), "torch").total
        )

    assert step(absorbed) < step(expanded)
    assert estimate(absorbed, Usage(4000)).total > estimate(expanded, Usage(4000)).total


def test_padding_is_told_apart() -> None:
    arch = Architecture.load("Qwen2.5-0.5B-Instruct")
    prompt = np.array([10, 30, 20, 5, 7])
    padding = padded_tokens(prompt, 2)
    assert padding.tolist() == [20, 0, 0, 15, 0]
    extra = overhead(arch, Usage(prompt), padding)
    assert extra.tolist()[1] == 0
    assert all(value >= 0 for value in extra.tolist())
    assert extra.tolist()[0] == estimate(arch, Usage(30)).total - estimate(arch, Usage(10)).total
    with pytest.raises(DataError, match="batch_size"):
        padded_tokens(prompt, 0)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"prompt_tokens": 0}, "at least one"),
        ({"prompt_tokens": -3}, "prompt_tokens is -3"),
        ({"prompt_tokens": 2.5}, "float64"),
        ({"prompt_tokens": True}, "whole number"),
        ({"prompt_tokens": 10**10}, "mistake"),
        ({"prompt_tokens": 5, "generated_tokens": -1}, "generated_tokens is -1"),
        ({"prompt_tokens": 5, "cached_tokens": 6}, "exceeds prompt_tokens"),
        ({"prompt_tokens": 5, "head": "first"}, "head is 'first'"),
        ({"prompt_tokens": 5, "head": "all", "head_positions": 3}, "same thing"),
        ({"prompt_tokens": np.array([3, -1])}, "prompt_tokens is -1"),
        ({"prompt_tokens": np.array([], dtype=int)}, "empty"),
        ({"prompt_tokens": "ten"}, "whole numbers"),
    ],
)
def test_absurd_counts_are_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        Usage(**fields)


@pytest.mark.parametrize(
    ("name", "fields", "message"),
    [
        ("Qwen2.5-7B-Instruct", {"decoder_prompt_tokens": 1}, "encoder-decoder"),
        ("flan-t5-base", {"decoder_prompt_tokens": 0}, "start token"),
        ("flan-t5-base", {"cached_tokens": 1}, "causal"),
        ("ms-marco-MiniLM-L6-v2", {"cached_tokens": 1}, "causal"),
        ("ms-marco-MiniLM-L6-v2", {"generated_tokens": 2}, "only scores"),
        ("Qwen2.5-7B-Instruct", {"head_positions": 9}, "prefill pass"),
    ],
)
def test_usages_that_a_model_does_not_have(name: str, fields: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        estimate(Architecture.load(name), Usage(5, **fields))


def test_unknown_convention() -> None:
    with pytest.raises(UsageError, match="torch"):
        estimate(Architecture.load("flan-t5-base"), Usage(5), "troch")


def test_a_prompt_beyond_the_context_is_told_with_both_figures() -> None:
    [warning] = estimate(Architecture.load("bge-reranker-base"), Usage(600)).warnings
    assert "600" in warning
    assert "512" in warning
    assert estimate(Architecture.load("bge-reranker-base"), Usage(512)).warnings == ()


def test_every_unit_is_bounded_by_its_interval() -> None:
    for name in DECODERS:
        arch = Architecture.load(name)
        for convention in COUNTED:
            sums = by_unit(priced(arch, CONVENTIONS[convention]))
            usage = Usage(500, 9, cached_tokens=20).variables(arch.mode)
            ends = {key: (0, 2 * int(value) + 1) for key, value in usage.items()}
            for unit in sums:
                (low, high), seen = unit.bounds(ends)
                assert low <= evaluate({unit: 1}, usage) <= high <= seen


def test_skipped_layers_cost_nothing_and_compression_costs_a_shorter_prompt() -> None:
    arch = Architecture.load("Qwen2.5-7B-Instruct")
    usage = Usage(400, 5)
    whole = estimate(arch, usage)
    # A skipped layer is like one fewer, whichever it is.
    assert (
        estimate(variants.skip(arch, [3, 20]), usage).total
        == estimate(variants.exit_after(arch, 26), usage).total
    )
    # Compressed from a layer on: the layers before as ever, those behind on a quarter.
    squeezed = variants.compress(arch, 8, Fraction(1, 4))
    before = estimate(variants.exit_after(arch, 8), usage).total
    short = (
        estimate(arch, Usage(100, 5)).total
        - estimate(variants.exit_after(arch, 8), Usage(100, 5)).total
    )
    assert estimate(squeezed, usage).total == before + short
    assert estimate(squeezed, usage).bytes < whole.bytes
    assert estimate(variants.compress(arch, 8, Fraction(1)), usage).total == whole.total
    with pytest.raises(DataError, match="paper's equations"):
        _ = estimate(squeezed, usage, "paper").total
    for wrong in (
        lambda: variants.skip(arch, [29]),
        lambda: variants.skip(arch, range(1, 29)),
        lambda: variants.compress(arch, 28, Fraction(1, 2)),
        lambda: variants.compress(arch, 2, Fraction(3, 2)),
        lambda: variants.compress(Architecture.load("flan-t5-base"), 2, Fraction(1, 2)),
    ):
        with pytest.raises(DataError):
            wrong()


@pytest.mark.parametrize("name", ["Qwen3-0.6B", "t5-base", "bert-base-uncased", "gpt-oss-20b"])
@pytest.mark.parametrize("most", [1, 7, 100])
def test_pieces_of_many_calls_cost_what_all_do(name: str, most: int) -> None:
    calls = np.arange(1, 31)
    arch = Architecture.load(name)
    whole = estimate(arch, Usage(100 * calls, head_positions=calls % 2), "deepspeed")
    pieces = [piece for _, piece in whole.pieces(most)]
    assert [flops for piece in pieces for flops in piece.flops] == list(whole.flops)
    assert [len(places) for places in np.split(calls, range(most, 30, most))] == [
        len(piece.flops) for piece in pieces
    ]
    assert sum(piece.total for piece in pieces) == whole.total
