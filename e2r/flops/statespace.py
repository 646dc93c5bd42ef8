"""Terms of state-space mixers and short convolutions, shared by the hybrid families."""

from __future__ import annotations

from typing import NamedTuple

from e2r.flops.blocks import Term, Terms, linear, norm, residual

SCAN_GAP = "state update of the scan (elementwise in the recurrent form)"
"""What no convention counts of a state-space layer."""
DELTA_GAP = "triangular solves and state updates of the gated delta rule"
"""What no convention counts of a gated delta net."""
DELTA_CHUNK = 64
"""Tokens of a chunk of the gated delta rule; the reference has no field for it."""


class Mixer(NamedTuple):
    """Sizes of a Mamba-2 mixer."""

    width: int
    heads: int
    head_dim: int
    state: int
    groups: int
    kernel: int
    chunk: int
    bias: bool
    conv_bias: bool


def mamba2(path: str, mixer: Mixer) -> Terms:
    """The Mamba-2 block (Dao & Gu, 2024): chunked in the prefill, recurrent in the steps.

    Under ideal only the read-out of the state is a product, one a token, as in the recurrent form.
    """
    inner = mixer.heads * mixer.head_dim
    channels = inner + 2 * mixer.groups * mixer.state
    cell = mixer.heads * mixer.head_dim * mixer.state
    return (
        *linear(f"{path}.in_proj", mixer.width, inner + channels + mixer.heads, mixer.bias),
        *convolution(path, channels, mixer.kernel, mixer.conv_bias),
        Term(
            f"{path}.chunk_pairs",
            "scan.chunked",
            2 * mixer.heads * (mixer.state + mixer.head_dim),
            per="chunk pair",
            window=mixer.chunk,
        ),
        Term(f"{path}.chunk_states", "scan.chunked", 4 * cell, "chunk token", window=mixer.chunk),
        Term(f"{path}.chunk_carry", "scan.chunked", 2 * cell, "chunk carry", window=mixer.chunk),
        Term(f"{path}.read_out", "scan", 2 * cell, "recurrent", stored=cell),
        Term(f"{path}.decay", "scale", 0, parameters=3 * mixer.heads),
        norm(f"{path}.norm", inner),
        *linear(f"{path}.out_proj", inner, mixer.width, mixer.bias),
        residual(path),
    )


class DeltaRule(NamedTuple):
    """Sizes of a gated delta net: heads that read, heads that are written, and their widths."""

    key_heads: int
    value_heads: int
    key_dim: int
    value_dim: int

    @property
    def keys(self) -> int:
        """Width of all keys, and of all queries."""
        return self.key_heads * self.key_dim

    @property
    def values(self) -> int:
        """Width of all values."""
        return self.value_heads * self.value_dim


def gated_delta(path: str, rule: DeltaRule) -> Terms:
    """The gated delta rule (Yang et al., 2025): chunked in the prefill, recurrent in the steps.

    The reference writes its chunks with the `@` operator and its recurrent form elementwise, so
    that torch's counter sees the first alone. Under ideal a token reads the state twice, by its key
    and by its query, as the recurrent form does.
    """
    cell = rule.value_heads * rule.key_dim * rule.value_dim
    pair = 2 * rule.value_heads * (2 * rule.key_dim + rule.value_dim)
    return (
        Term(f"{path}.chunk_pairs", "scan.operator", pair, "chunk pair", window=DELTA_CHUNK),
        Term(f"{path}.chunk_states", "scan.operator", 6 * cell, "chunk token", window=DELTA_CHUNK),
        Term(f"{path}.state_reads", "scan.elementwise", 4 * cell, "recurrent", stored=cell),
        Term(f"{path}.decay", "scale", 0, parameters=2 * rule.value_heads),
        norm(f"{path}.norm", rule.value_dim),
        Term(f"{path}.gate", "gate", 0),
    )


def convolution(path: str, channels: int, kernel: int, bias: bool) -> Terms:
    """A causal depthwise convolution: `kernel` taps a channel and position."""
    weights = channels * kernel
    return (
        Term(
            f"{path}.convolution",
            "convolution",
            2 * weights,
            per="convolved",
            parameters=weights + (channels if bias else 0),
            window=kernel,
        ),
    )
