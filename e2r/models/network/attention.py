"""Attention paid to documents by the words after them, over one prefill that several share."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch

from e2r.errors import DataError
from e2r.models.encoding import Encoded
from e2r.prompts.request import Reply


def attend(network: Any, encoded: Sequence[Encoded]) -> list[Reply]:
    """Replies to prompts that begin with the same documents; `network` is a causal model.

    The documents are run through the model once; the first reply pays for them, the others find
    them cached. Attention is averaged over the positions from `question` on, summed over heads
    and layers (Chen et al., ICLR 2025, Section 3.1), and kept to six significant digits.
    """
    body = network.get_decoder()
    shared = encoded[0].prompt[: encoded[0].question]
    prefix = torch.tensor([shared], device=network.device)
    cache = body(input_ids=prefix, use_cache=True).past_key_values
    usual = network.config._attn_implementation
    network.set_attn_implementation("eager")
    try:
        return [
            Reply(
                value=_weights(body, item, copy.deepcopy(cache), network.device),
                prompt_tokens=len(item.prompt),
                cached_tokens=len(shared) if number else 0,
            )
            for number, item in enumerate(encoded)
        ]
    finally:
        network.set_attn_implementation(usual)


def _weights(
    body: Any, item: Encoded, cache: Any, device: torch.device
) -> tuple[tuple[float, ...], ...]:
    words = torch.tensor([item.prompt[item.question :]], device=device)
    layers = body(
        input_ids=words, past_key_values=cache, use_cache=True, output_attentions=True
    ).attentions
    total = torch.zeros(len(item.prompt), dtype=torch.float64, device=device)
    for layer in layers:
        if layer.shape[-1] != len(item.prompt):
            raise DataError(
                f"a layer of this model attends to {layer.shape[-1]} of {len(item.prompt)} tokens; "
                "attention.icr wants a model that attends to all of them in every layer"
            )
        total += layer[0].double().mean(1).sum(0)
    return tuple(
        tuple(float(f"{weight:.6g}") for weight in total[first:end].tolist())
        for first, end in item.spans
    )
