"""Attention over short bfloat16 prompts on processors without matrix tiles, by plain products."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
import transformers
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

NAME = "e2r_short"
LONGEST = 512
"""Tokens up to which computing what causality rules out costs less than the kernel's slowness."""


def use(network: Any) -> None:
    """Let a network attend this way, where it is faster than PyTorch's fused kernel.

    Without matrix tiles (AMX) that kernel multiplies bfloat16 in blocks of 32 rows by a library
    that is slow at it; oneDNN multiplies whole prompts at the speed of its linear layers.
    """
    if (
        network.dtype == torch.bfloat16
        and network.config._attn_implementation == "sdpa"
        and not torch.cpu._is_amx_tile_supported()
    ):
        network.set_attn_implementation(NAME)


def attend(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    **more: Any,
) -> tuple[torch.Tensor, None]:
    """Causal attention of whole prompts without a mask; anything else as transformers does.

    Shapes: query (rows, heads, tokens, dim); key and value (rows, key heads, tokens, dim); the
    result (rows, tokens, heads, dim).
    """
    rows, heads, tokens, dim = query.shape
    plain = (
        attention_mask is None
        and getattr(module, "is_causal", False)
        and key.shape[2] == tokens
        and 1 < tokens <= LONGEST
        and all(more.get(name) is None for name in ("is_causal", "position_bias", "softcap"))
    )
    if not plain:
        output, _ = sdpa_attention_forward(
            module, query, key, value, attention_mask, scaling=scaling, **more
        )
        return output, None
    groups = rows * key.shape[1]
    # The queries that share a key head stand below one another: one product for all of them.
    asked = query.reshape(groups, -1, dim)
    scores = torch.baddbmm(
        _causal(tokens, query.dtype).repeat(asked.shape[1] // tokens, 1),
        asked,
        key.reshape(groups, tokens, dim).transpose(1, 2),
        alpha=dim**-0.5 if scaling is None else scaling,
    )
    seen = torch.bmm(scores.softmax(-1), value.reshape(groups, tokens, -1))
    return seen.view(rows, heads, tokens, -1).transpose(1, 2).contiguous(), None


@lru_cache(maxsize=16)
def _causal(tokens: int, dtype: torch.dtype) -> torch.Tensor:
    """What is added to scores, (tokens, tokens): minus infinity where a token would look ahead."""
    return torch.full((tokens, tokens), -torch.inf, dtype=dtype).triu(1)


transformers.AttentionInterface.register(NAME, attend)
transformers.AttentionMaskInterface.register(NAME, sdpa_mask)
