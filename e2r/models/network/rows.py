"""Rows of token ids as tensors: padded to one length, continued where others have begun them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from e2r.models.network import prefixes
from e2r.models.reuse import ALONE, Share


@dataclass(frozen=True)
class Inputs:
    """A batch of a causal model, padded on the left: what to feed, and what is cached already.

    `fed` are the tokens that pass through the model, `whole` all of them with the cached ones in
    front, `mask` says which of `whole` are real, `padding` counts each row's idle fed positions.
    """

    fed: torch.Tensor
    whole: torch.Tensor
    mask: torch.Tensor
    padding: list[int]
    cache: Any

    @property
    def positions(self) -> torch.Tensor:
        """Positions of `fed`, from 0 at each row's first real token, shape (rows, longest)."""
        return (self.mask.cumsum(-1) - 1).clamp(min=0)[:, -self.fed.shape[1] :]


class Rows:
    """Lays token ids out for a network; `fill` is the token that pads."""

    def __init__(self, network: Any, fill: int) -> None:
        self._network = network
        self._fill = fill

    def pad(
        self, rows: Sequence[tuple[int, ...]], *, left: bool
    ) -> tuple[torch.Tensor, torch.Tensor, list[int]]:
        """Token ids and mask, both of shape (rows, longest), and the padding of each row."""
        longest = max(map(len, rows))
        padding = [longest - len(row) for row in rows]
        tokens, mask = [], []
        for row, pad in zip(rows, padding, strict=True):
            tokens.append([self._fill] * pad + [*row] if left else [*row] + [self._fill] * pad)
            mask.append([0] * pad + [1] * len(row) if left else [1] * len(row) + [0] * pad)
        device = self._network.device
        return torch.tensor(tokens, device=device), torch.tensor(mask, device=device), padding

    def last(self, rows: Sequence[tuple[int, ...]], counts: Sequence[int]) -> torch.Tensor:
        """The places of the last tokens of rows padded on the right, (rows, largest count)."""
        wide = max(counts)
        places = [[max(len(row) - wide + i, 0) for i in range(wide)] for row in rows]
        return torch.tensor(places, device=self._network.device)

    def continued(self, rows: Sequence[tuple[int, ...]], shares: Sequence[Share]) -> Inputs:
        """Rows of which only what follows the cached beginnings is fed."""
        left = [row[share.length :] for row, share in zip(rows, shares, strict=True)]
        fed, mask, padding = self.pad(left, left=True)
        if all(share is ALONE for share in shares):
            return Inputs(fed, fed, mask, padding, None)
        cache, tokens, kept = prefixes.stack(shares, self._fill)
        begun = torch.tensor(tokens, device=fed.device)
        whole = torch.cat([begun, fed], dim=1)
        mask = torch.cat([torch.tensor(kept, device=fed.device), mask], dim=1)
        return Inputs(fed, whole, mask, padding, cache)
