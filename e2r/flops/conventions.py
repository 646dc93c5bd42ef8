"""The four ways to count, as data: which kinds of terms, over which pairs, at which positions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from e2r.errors import unknown
from e2r.flops.work import Mask

PRODUCTS = frozenset(
    {
        "linear",
        "linear.operator",
        "attention",
        "attention.fused",
        "relative",
        "convolution",
        "scan",
    }
)
"""Matrix products: everything that torch's counter and the mathematics of a layer multiply."""


@dataclass(frozen=True)
class Convention:
    """A way to count.

    `kinds` are the kinds of terms that count. `mask` says whether attention is paid for the pairs
    that attend to each other or for the rectangle that a dense kernel computes. `asked_only` says
    that heads are paid for the positions that a score or token is read from, else for all that the
    reference implementation computes. `whole_decoder_head` makes an encoder-decoder's head read
    every decoder position. `closed_form` replaces the terms by the paper's equations.
    """

    name: str
    summary: str
    kinds: frozenset[str]
    mask: Mask
    asked_only: bool = True
    whole_decoder_head: bool = False
    closed_form: bool = False


CONVENTIONS: Mapping[str, Convention] = {
    convention.name: convention
    for convention in (
        Convention(
            "ideal",
            "matrix products that the mathematics asks for: attended pairs, no recomputation",
            PRODUCTS | {"scan.elementwise"},
            "attended",
        ),
        Convention(
            "torch",
            "what torch.utils.flop_counter.FlopCounterMode counts: full attention rectangles",
            PRODUCTS | {"constant", "scan.chunked", "scan.operator"},
            "rectangle",
            asked_only=False,
        ),
        Convention(
            "deepspeed",
            "what DeepSpeed 0.17's profiler and calflops 0.3.2 report for SDPA models",
            frozenset(
                {
                    "linear",
                    "constant",
                    "attention",
                    "relative",
                    "convolution",
                    "scan",
                    "scan.chunked",
                    "softmax",
                    "activation.relu",
                    "activation.silu",
                    "norm.layer",
                    "bias.addmm",
                }
            ),
            "rectangle",
            asked_only=False,
            whole_decoder_head=True,
        ),
        Convention(
            "paper",
            "the closed forms of arXiv 2507.06223v2, Eq. 9-15, to reproduce its tables",
            frozenset(),
            "rectangle",
            closed_form=True,
        ),
    )
}
"""Every convention by name."""


def convention(name: str) -> Convention:
    """The convention of a name; UsageError with the nearest names for an unknown one."""
    if name not in CONVENTIONS:
        raise unknown("convention", name, CONVENTIONS)
    return CONVENTIONS[name]
