"""Padding, apart from the counts: real tokens are priced, and what batching adds is told beside."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from e2r.errors import DataError
from e2r.flops.architecture import Architecture
from e2r.flops.conventions import Convention
from e2r.flops.estimate import estimate
from e2r.flops.work import Counts, Usage

if TYPE_CHECKING:
    from numpy.typing import NDArray


def padded_tokens(prompt_tokens: NDArray[Any], batch_size: int) -> NDArray[Any]:
    """Padding of each call, shape (calls,), when consecutive calls share a batch.

    A batch is as long as its longest prompt. Raises DataError for a batch size below 1.
    """
    import numpy

    if batch_size < 1:
        raise DataError(f"batch_size is {batch_size}; a batch holds at least one call")
    starts = numpy.arange(0, len(prompt_tokens), batch_size)
    longest = numpy.maximum.reduceat(prompt_tokens, starts)
    longest = numpy.repeat(longest, batch_size)[: len(prompt_tokens)]
    padding: NDArray[Any] = longest - prompt_tokens
    return padding


def overhead(
    architecture: Architecture,
    usage: Usage,
    padding: Counts,
    convention: str | Convention = "ideal",
) -> Counts:
    """FLOPs that `padding` prompt tokens add to each call; never part of a reported cost."""
    longer = replace(usage, prompt_tokens=usage.prompt_tokens + padding)
    with_padding = estimate(architecture, longer, convention).flops
    extra: Counts = with_padding - estimate(architecture, usage, convention).flops
    return extra
