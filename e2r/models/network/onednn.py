"""Matrix products on a processor by oneDNN, from weights laid out for it when a model is loaded."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import nn


def _product(
    x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, then: str = "none"
) -> torch.Tensor:
    """x · weightᵀ + bias, and then an elementwise function, while the result is in the caches."""
    product: torch.Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, then, [], "")
    return product


def _flops(x: torch.Size, *_: Any, out_shape: torch.Size, **__: Any) -> int:
    return 2 * math.prod(x) * out_shape[-1]


def told() -> dict[Any, Callable[..., int]]:
    """What PyTorch's FlopCounterMode has to be told: it does not know these products."""
    here = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    return {torch.ops.mkldnn._linear_pointwise: _flops} if here else {}


READ = ("dt_proj",)
"""Layers whose weight their model multiplies by itself (Mamba, Jamba); they are left plain."""


class Packed(nn.Module):
    """A linear layer whose weight lies in oneDNN's own layout; it replaces the plain one."""

    def __init__(self, plain: nn.Linear) -> None:
        super().__init__()
        self.packed = torch.ops.mkldnn._reorder_linear_weight(plain.weight.detach())
        self.bias = None if plain.bias is None else nn.Parameter(plain.bias.detach(), False)

    @property
    def weight(self) -> torch.Tensor:
        """The weight as it lies, whose shape (out, in) and type may be read, but not its values."""
        packed: torch.Tensor = self.packed
        return packed

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return _product(x, self.packed, self.bias)


class Gated(nn.Module):
    """A feed-forward layer down(silu(gate · x) ⊙ up · x) whose products are oneDNN's."""

    def __init__(self, gate: Packed, up: Packed, down: Packed) -> None:
        super().__init__()
        self.gate_proj, self.up_proj, self.down_proj = gate, up, down

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        gate = _product(x, self.gate_proj.packed, self.gate_proj.bias, "swish")
        inner = torch.ops.mkldnn._linear_pointwise.binary(
            x, gate, self.up_proj.packed, self.up_proj.bias, "mul"
        )
        return _product(inner, self.down_proj.packed, self.down_proj.bias)


def pack(network: Any) -> Any:
    """Replace a network's linear layers in place, where oneDNN computes their kind of numbers.

    Weights are laid out once instead of at every product. In float32 that is more than twice as
    fast as PyTorch's own products on AMD processors, whose vectors MKL does not fill; elsewhere it
    saves the layout. Returns the network.
    """
    if not computes(network.dtype):
        return network
    plain = [
        name
        for name, module in network.named_modules()
        if type(module) is nn.Linear and not name.endswith(READ)
    ]
    for name in plain:
        # One at a time, so that no more than one weight is in memory twice.
        network.set_submodule(name, Packed(network.get_submodule(name)))
    for name, module in list(network.named_modules()):
        if not _looks_gated(module):
            continue
        fused = Gated(module.gate_proj, module.up_proj, module.down_proj)
        if _alike(module, fused, network.dtype):
            network.set_submodule(name, fused)
    return network


def _looks_gated(module: nn.Module) -> bool:
    children = dict(module.named_children())
    names = {"gate_proj", "up_proj", "down_proj"}
    return children.keys() == names | {"act_fn"} and all(
        isinstance(children[name], Packed) for name in names
    )


@torch.inference_mode()
def _alike(layer: Any, fused: Gated, dtype: torch.dtype) -> bool:
    """Whether a layer of another class computes what the fused one does."""
    near = 1e-4 if dtype == torch.float32 else 0.05
    line = torch.linspace(-6, 6, 121, dtype=dtype)
    if not torch.allclose(layer.act_fn(line), nn.functional.silu(line), rtol=near, atol=near):
        return False
    width = fused.gate_proj.packed.shape[1]
    # Some layers clamp what is large.
    for most in (3, 1000):
        x = torch.linspace(-most, most, 4 * width, dtype=dtype).view(4, width)
        theirs, ours = layer(x).float(), fused(x).float()
        if not (theirs - ours).norm() <= near * theirs.norm():
            return False
    return True


def computes(dtype: torch.dtype) -> bool:
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return False
    return dtype == torch.float32 or (
        dtype == torch.bfloat16 and torch.ops.mkldnn._is_mkldnn_bf16_supported()
    )
