"""Units of work of recurrent layers: short convolutions and chunked state-space scans.

The reference runs a prompt in its full-sequence form, with the padding that this form brings, and
one token over a state in its recurrent form. Which of the two it is depends on the counts alone,
so that it can be written with min and max.
"""

from __future__ import annotations

from e2r.flops.expression import Constant, Expression, maximum, minimum
from e2r.flops.work import CACHED, PROMPT, STEPS

ONE = Constant(1)
NEW = PROMPT - CACHED
WARM = minimum(CACHED, 1)
"""1 where a state stands before the prompt's own tokens, else 0."""
SINGLE = minimum(maximum(Constant(2) - NEW, 0), 1)
"""1 where the prefill has one new token, else 0."""
RECURRENT = WARM * SINGLE
"""1 where the prefill itself runs in the recurrent form, else 0."""


def convolved(kernel: int) -> Expression:
    """Output positions of a causal convolution, in the reference's prefill and steps.

    The prefill pads the sequence to the kernel's length, puts the kept state (kernel positions) in
    front of it, and computes kernel - 1 positions that it then drops. A step computes two.
    """
    cold = maximum(PROMPT, kernel) + (kernel - 1)
    warm = SINGLE * 2 + (ONE - SINGLE) * (NEW + (2 * kernel - 1))
    return cold + WARM * (warm - cold) + STEPS * 2


def chunks(size: int) -> Expression:
    """Chunks of a prefill in the full-sequence form; the last one is padded to `size`."""
    return (NEW + (size - 1)) // size * (ONE - RECURRENT)


def carried(size: int) -> Expression:
    """Pairs (chunk, later chunk) between which states are carried, the start state included."""
    full = chunks(size) + 1
    return full * full * (ONE - RECURRENT)


STEPPED = STEPS + RECURRENT
"""Tokens that run in the recurrent form."""
