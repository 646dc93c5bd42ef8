"""Counted against estimated: what PyTorch saw of sampled calls, beside what the estimator says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from e2r.errors import E2RError
from e2r.flops.architecture import Architecture
from e2r.flops.estimate import estimate
from e2r.flops.work import Usage
from e2r.models.sampling import Counted
from e2r.records.manifest import VerifiedCall

CONVENTION = "torch"
"""The convention that says what PyTorch's FlopCounterMode counts."""


def verify(counted: Sequence[Counted], facts: dict[str, Any]) -> list[VerifiedCall]:
    """Each counted call with its estimate; `facts` are the model's config.json.

    The estimate is None where the estimator does not know the model.
    """
    try:
        architecture = Architecture.load(facts)
    except E2RError:
        architecture = None
    return [
        VerifiedCall(
            request=type(call.request).__name__,
            prompt_tokens=call.prefills[-1].prompt_tokens,
            decoder_prompt_tokens=call.prefills[-1].decoder_prompt_tokens,
            generated_tokens=call.prefills[-1].generated_tokens,
            head_positions=call.prefills[-1].head_positions,
            counted=call.flops,
            estimated=None if architecture is None else _estimated(architecture, call),
        )
        for call in counted
    ]


def summary(calls: Sequence[VerifiedCall]) -> str:
    """What the comparison showed, in one line."""
    known = [call for call in calls if call.estimated is not None]
    if not known:
        return f"{len(calls)} calls counted; the estimator does not know this model"
    worst = max(abs(call.counted - (call.estimated or 0)) / call.counted for call in known)
    equal = sum(call.counted == call.estimated for call in known)
    return (
        f"{equal} of {len(known)} sampled calls cost exactly what the estimator says under "
        f"{CONVENTION}; the largest difference is {worst:.3%}"
    )


def _estimated(architecture: Architecture, call: Counted) -> int:
    usages = [
        Usage(
            reply.prompt_tokens,
            reply.generated_tokens,
            decoder_prompt_tokens=reply.decoder_prompt_tokens or None,
            cached_tokens=reply.cached_tokens or 0,
            head_positions=reply.head_positions,
        )
        for reply in call.prefills
    ]
    return sum(int(estimate(architecture, usage, CONVENTION).total) for usage in usages)
