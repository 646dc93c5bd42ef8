"""What-if: a prompt that gets shorter on the way, as BGE's lightweight reranker pools it."""

from __future__ import annotations

import pytest

from e2r.errors import DataError
from e2r.flops.architecture import Architecture
from e2r.flops.estimate import estimate
from e2r.flops.families.layerwise import COMPRESSION_GAP
from e2r.flops.variants import compressed, exit_after
from e2r.flops.work import Usage

NAME = "bge-reranker-v2.5-gemma2-lightweight"


def flops(arch: Architecture, tokens: int, convention: str = "ideal") -> int:
    return int(estimate(arch, Usage(tokens), convention).flops)


@pytest.mark.parametrize("convention", ["ideal", "torch", "deepspeed"])
def test_layers_behind_a_pooling_are_those_of_a_shorter_prompt(convention: str) -> None:
    arch = Architecture.load(NAME)
    kept, tokens = 45, 300
    once = kept + -(-(tokens - kept) // 2)
    twice = kept + -(-(once - kept) // 2)
    found = flops(compressed(arch, [24, 40], 2, kept), tokens, convention)

    def layers(first: int, last: int, length: int) -> int:
        upper = flops(exit_after(arch, last), length, convention)
        return upper - (flops(exit_after(arch, first), length, convention) if first else 0)

    # The first 24 layers under the long prompt, without the head that --exit-after puts there.
    own_head = 2 * 3584 * (1 if convention == "ideal" else tokens)
    last_head = 2 * 3584 * (1 if convention == "ideal" else twice)
    wanted = layers(0, 24, tokens) - own_head + layers(24, 40, once) + layers(40, 42, twice)
    assert found == wanted + last_head


def test_weights_stay_and_the_gap_goes() -> None:
    arch = Architecture.load(NAME)
    shorter = compressed(arch, [8], 4, 30)
    assert shorter.parameters == arch.parameters
    assert COMPRESSION_GAP in arch.gaps
    assert COMPRESSION_GAP not in shorter.gaps
    assert flops(shorter, 20) == flops(arch, 20), "a prompt within what is kept is not pooled"
    assert flops(shorter, 500) < flops(arch, 500)
    with pytest.raises(DataError, match="paper"):
        flops(shorter, 500, "paper")


@pytest.mark.parametrize(
    ("name", "layers", "ratio"),
    [(NAME, [0], 2), (NAME, [42], 2), (NAME, [8], 1), ("Qwen3-4B", [8], 2), ("t5-base", [3], 2)],
)
def test_what_cannot_be_is_refused(name: str, layers: list[int], ratio: int) -> None:
    arch = Architecture.load(name)
    with pytest.raises((DataError, ValueError)):
        compressed(arch, layers, ratio, 30)
