"""Keys and values of shared prompt beginnings: computed once, handed to many rows."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import torch
import transformers

from e2r.models.reuse import Prefix, Share


def shareable(network: Any) -> bool:
    """Whether a causal model keeps keys and values of every token in every layer, and no more.

    It must be told where tokens stand, for padding lies between what is cached and what is fed:
    models that count places themselves (MPT, RWKV), or windows of them (GPT-Neo), cannot.
    """
    if "position_ids" not in inspect.signature(network.forward).parameters:
        return False
    if "local" in getattr(network.config, "attention_layers", ()):
        return False
    layers = transformers.DynamicCache(config=network.config).layers
    return bool(layers) and all(
        type(layer) is transformers.cache_utils.DynamicLayer for layer in layers
    )


def compute(network: Any, prefixes: Sequence[Prefix], fill: int) -> None:
    """Run beginnings through the model and keep keys and values, (1, heads, tokens, dim) a layer.

    Padding stands on the right, where no real token attends to it.
    """
    longest = max(len(prefix.tokens) for prefix in prefixes)
    rows = [prefix.tokens + (fill,) * (longest - len(prefix.tokens)) for prefix in prefixes]
    mask = [[1] * len(p.tokens) + [0] * (longest - len(p.tokens)) for p in prefixes]
    cache = network.get_decoder()(
        input_ids=torch.tensor(rows, device=network.device),
        attention_mask=torch.tensor(mask, device=network.device),
        use_cache=True,
    ).past_key_values
    for number, prefix in enumerate(prefixes):
        here, end = slice(number, number + 1), len(prefix.tokens)
        prefix.state = [
            (layer.keys[here, :, :end].clone(), layer.values[here, :, :end].clone())
            for layer in cache.layers
        ]


def stack(shares: Sequence[Share], fill: int) -> tuple[Any, list[list[int]], list[list[int]]]:
    """One cache for rows that begin with their shares, padded on the left.

    Returns the cache, and the tokens and mask that stand for it, one list a row.
    """
    longest = max(share.length for share in shares)
    example = next(share.prefix.state for share in shares if share.prefix is not None)
    layers = []
    for number, kept in enumerate(example):
        joined = []
        for side in (0, 1):
            whole = kept[side].new_zeros(
                len(shares), kept[side].shape[1], longest, kept[side].shape[3]
            )
            for row, share in enumerate(shares):
                if share.prefix is not None:
                    state = share.prefix.state[number][side]
                    whole[row, :, longest - share.length :] = state[0, :, : share.length]
            joined.append(whole)
        layers.append(tuple(joined))
    tokens, mask = [], []
    for share in shares:
        idle = longest - share.length
        begun = share.prefix.tokens[: share.length] if share.prefix is not None else ()
        tokens.append([fill] * idle + list(begun))
        mask.append([0] * idle + [1] * share.length)
    return transformers.DynamicCache(layers), tokens, mask
