"""Laid-out weights compute what plain layers compute, and are counted alike."""

from __future__ import annotations

import copy
import weakref
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM
from transformers.activations import ACT2FN

from e2r.models.network import onednn
from tests.tiny_models import save_llama, save_t5

TOKENS = torch.arange(3, 33).view(2, 15)


class Feed(nn.Module):
    """A gated feed-forward layer as transformers writes them, with any activation."""

    dtype = torch.float32

    def __init__(self, activation: str) -> None:
        super().__init__()
        self.gate_proj, self.up_proj = nn.Linear(12, 20), nn.Linear(12, 20)
        self.down_proj = nn.Linear(20, 12)
        self.act_fn = ACT2FN[activation]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        inner = self.act_fn(self.gate_proj(x)) * self.up_proj(x)
        return self.down_proj(inner)


class Network(nn.Module):
    """One layer inside of something, for a layer is replaced in what holds it."""

    dtype = torch.float32

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_packed_layer_is_the_plain_one(bias: bool, dtype: torch.dtype) -> None:
    if not onednn.computes(dtype):
        pytest.skip(f"oneDNN does not compute {dtype} on this processor")
    torch.manual_seed(0)
    plain = nn.Linear(48, 33, bias=bias, dtype=dtype)
    packed = onednn.Packed(plain)
    near = 1e-5 if dtype == torch.float32 else 2e-2
    for rows in (1, 2, 7, 64):
        x = torch.randn(rows, 3, 48, dtype=dtype)
        with torch.inference_mode():
            torch.testing.assert_close(packed(x), plain(x), atol=near, rtol=near)
            torch.testing.assert_close(packed(x[:, -1]), plain(x[:, -1]), atol=near, rtol=near)
    assert torch.equal(packed.packed.to_dense(), plain.weight)


def test_a_network_answers_as_before_and_every_layer_is_packed(tmp_path: Path) -> None:
    plain = AutoModelForCausalLM.from_pretrained(save_llama(tmp_path)).eval()
    packed = onednn.pack(copy.deepcopy(plain))
    assert not [name for name, layer in packed.named_modules() if type(layer) is nn.Linear]
    assert sum(isinstance(layer, onednn.Gated) for layer in packed.modules()) == 3
    with torch.inference_mode():
        torch.testing.assert_close(
            packed(TOKENS).logits, plain(TOKENS).logits, atol=1e-4, rtol=1e-4
        )


def test_an_encoder_decoder_network_answers_as_before(tmp_path: Path) -> None:
    """T5 looks at the type of its layers' weights."""
    plain = AutoModelForSeq2SeqLM.from_pretrained(save_t5(tmp_path)).eval()
    packed = onednn.pack(copy.deepcopy(plain))
    assert not [name for name, layer in packed.named_modules() if type(layer) is nn.Linear]
    with torch.inference_mode():
        torch.testing.assert_close(
            packed(TOKENS, decoder_input_ids=TOKENS).logits,
            plain(TOKENS, decoder_input_ids=TOKENS).logits,
            atol=1e-4,
            rtol=1e-4,
        )


def test_no_more_than_one_weight_is_held_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = AutoModelForCausalLM.from_pretrained(save_llama(tmp_path))
    seen: list[weakref.ref[nn.Linear]] = []

    class Watched(onednn.Packed):
        def __init__(self, plain: nn.Linear) -> None:
            assert not [layer for layer in seen if layer() is not None]
            seen.append(weakref.ref(plain))
            super().__init__(plain)

    monkeypatch.setattr(onednn, "Packed", Watched)
    onednn.pack(network)
    assert len(seen) > 20


@pytest.mark.parametrize("size", [0.001, 0.3])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("activation", "fused"), [("silu", True), ("gelu", False)])
def test_only_layers_that_compute_the_same_are_fused(
    activation: str, fused: bool, dtype: torch.dtype, size: float
) -> None:
    """However small their weights are."""
    if not onednn.computes(dtype):
        pytest.skip(f"oneDNN does not compute {dtype} on this processor")
    torch.manual_seed(0)
    plain = Feed(activation).to(dtype)
    for weight in plain.parameters():
        nn.init.normal_(weight, std=size)
    network = Network(copy.deepcopy(plain))
    network.dtype = dtype
    onednn.pack(network)
    assert isinstance(network.layer, onednn.Gated) is fused
    x = torch.randn(5, 12, dtype=dtype)
    near = 1e-5 if dtype == torch.float32 else 3e-2
    with torch.inference_mode():
        wanted = plain(x)
        torch.testing.assert_close(
            network.layer(x), wanted, rtol=near, atol=near * float(wanted.abs().max())
        )


def test_a_layer_that_clamps_what_is_large_is_not_fused() -> None:
    class Clamped(Feed):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            gate = self.act_fn(self.gate_proj(x)).clamp(max=7)
            return self.down_proj(gate * self.up_proj(x))

    network = onednn.pack(Network(Clamped("silu")))
    assert type(network.layer) is Clamped


def test_layers_whose_weights_are_read_stay_plain() -> None:
    network = Network(nn.Linear(4, 4))
    network.dt_proj = nn.Linear(4, 4)
    onednn.pack(network)
    assert type(network.dt_proj) is nn.Linear
    assert network.layer.weight.shape == (4, 4)
    assert network.layer.weight.dtype == torch.float32


def test_products_are_counted_as_those_of_plain_layers(tmp_path: Path) -> None:
    plain = AutoModelForCausalLM.from_pretrained(
        save_llama(tmp_path), attn_implementation="eager"
    ).eval()
    counts = []
    for network in (plain, onednn.pack(copy.deepcopy(plain))):
        watch = FlopCounterMode(display=False, custom_mapping=onednn.told())
        with torch.inference_mode(), watch as counter:
            network(TOKENS)
        counts.append(counter.get_total_flops())
    assert counts[0] == counts[1] > 0


def test_numbers_that_onednn_does_not_compute_are_left() -> None:
    network = Network(nn.Linear(4, 4).half())
    network.dtype = torch.float16
    assert type(onednn.pack(network).layer) is nn.Linear
