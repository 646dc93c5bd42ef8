"""Plain products attend as the fused kernel does, and step aside for all that is not plain."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from transformers import AutoModelForCausalLM
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from e2r.models.network import short_attention
from tests.tiny_models import save_llama

BFLOAT16 = {"atol": 2e-2, "rtol": 2e-2}


class Layer(nn.Module):
    """What attention functions read of a layer: heads that share keys, and whether it is causal."""

    def __init__(self, groups: int, causal: bool = True) -> None:
        super().__init__()
        self.num_key_value_groups, self.is_causal = groups, causal
        self.eval()


def heads(tokens: int, groups: int = 3, dtype: torch.dtype = torch.float32) -> tuple[Any, ...]:
    """Query, key and value of two rows with two key heads, the value narrower than the key."""
    generator = torch.Generator().manual_seed(tokens)
    shapes = [(2, 2 * groups, tokens, 16), (2, 2, tokens, 16), (2, 2, tokens, 12)]
    return tuple(torch.randn(shape, generator=generator).to(dtype) for shape in shapes)


@pytest.mark.parametrize("tokens", [2, 33, short_attention.LONGEST])
@pytest.mark.parametrize("groups", [1, 3])
@pytest.mark.parametrize("scaling", [None, 0.3])
def test_plain_products_attend_as_the_kernel(
    tokens: int, groups: int, scaling: float | None
) -> None:
    asked = (Layer(groups), *heads(tokens, groups), None)
    ours, _ = short_attention.attend(*asked, scaling=scaling)
    theirs, _ = sdpa_attention_forward(*asked, scaling=scaling)
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)
    seen = torch.randn_like(asked[3])
    changed, _ = short_attention.attend(asked[0], asked[1], asked[2], seen, None, scaling=scaling)
    assert not torch.allclose(ours, changed, atol=1e-2), "values are read"


def test_in_bfloat16_they_differ_by_its_last_digits() -> None:
    asked = (Layer(3), *heads(100, dtype=torch.bfloat16), None)
    ours, theirs = short_attention.attend(*asked), sdpa_attention_forward(*asked)
    torch.testing.assert_close(ours[0], theirs[0], **BFLOAT16)


@pytest.mark.parametrize(
    ("tokens", "layer", "more"),
    [
        (short_attention.LONGEST + 1, Layer(3), {}),
        (20, Layer(3, causal=False), {}),
        (20, Layer(3), {"is_causal": False}),
        (20, Layer(3), {"position_bias": torch.randn(1, 6, 20, 20)}),
    ],
    ids=["long", "encoder", "not causal", "biased"],
)
def test_what_is_not_plain_goes_to_the_kernel(
    tokens: int, layer: Layer, more: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = (layer, *heads(tokens), None)
    theirs, _ = sdpa_attention_forward(*asked, **more)
    monkeypatch.setattr(torch, "baddbmm", None)
    ours, _ = short_attention.attend(*asked, **more)
    assert torch.equal(ours, theirs)


def test_a_mask_goes_to_the_kernel() -> None:
    layer, (query, key, value) = Layer(3), heads(20)
    mask = (torch.rand(2, 1, 20, 20, generator=torch.Generator().manual_seed(0)) < 0.7).logical_or(
        torch.eye(20, dtype=torch.bool)
    )
    ours, _ = short_attention.attend(layer, query, key, value, mask)
    theirs, _ = sdpa_attention_forward(layer, query, key, value, mask)
    assert torch.equal(ours, theirs)


@pytest.mark.parametrize(
    ("dtype", "tiles", "used"),
    [
        (torch.bfloat16, False, True),
        (torch.bfloat16, True, False),
        (torch.float32, False, False),
    ],
)
def test_a_network_uses_it_where_the_kernel_is_slow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype, tiles: bool, used: bool
) -> None:
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: tiles)
    network = AutoModelForCausalLM.from_pretrained(save_llama(tmp_path), dtype=dtype).eval()
    tokens = torch.arange(3, 43).view(2, 20)
    with torch.inference_mode():
        before = network(tokens, use_cache=False).logits
        short_attention.use(network)
        called: list[int] = []
        plain = torch.baddbmm
        monkeypatch.setattr(torch, "baddbmm", lambda *a, **k: called.append(1) or plain(*a, **k))
        after = network(tokens, use_cache=False).logits
    assert bool(called) is used
    cosine = torch.cosine_similarity(before.float().flatten(), after.float().flatten(), dim=0)
    assert cosine > 0.999
