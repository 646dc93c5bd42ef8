"""Thoughts before an answer: decode until the thought is closed, then read the next logits."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import transformers

from e2r.models.encoding import Encoder

TAIL = 16
"""Tokens in which the end of a thought is looked for while it is being generated."""


class _Closed(transformers.StoppingCriteria):  # type: ignore[misc]
    """A row ends one token after its thought is closed."""

    def __init__(self, encoder: Encoder, until: str, width: int) -> None:
        self._encoder, self._until, self._width = encoder, until, width

    def __call__(
        self, input_ids: torch.Tensor, scores: torch.Tensor, **_: object
    ) -> torch.BoolTensor:
        tails = input_ids[:, self._width : -1][:, -TAIL:].tolist()
        closed = [self._until in self._encoder.text(tail) for tail in tails]
        return torch.tensor(closed, device=input_ids.device)  # type: ignore[return-value]


class _Kept(transformers.LogitsProcessor):  # type: ignore[misc]
    """Keeps the labels' logits of every step, shape (rows, labels) each."""

    def __init__(self, labels: torch.Tensor) -> None:
        self._labels = labels
        self.steps: list[torch.Tensor] = []

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        self.steps.append(scores.gather(1, self._labels).double())
        return scores


def think(
    generate: Callable[..., torch.Tensor],
    encoder: Encoder,
    width: int,
    labels: Sequence[tuple[int, ...]],
    until: str,
    ends: set[int],
    device: torch.device,
) -> list[tuple[tuple[float, ...] | None, int]]:
    """For each row, the labels' logits right after its thought and the tokens generated.

    `generate(stopping_criteria=…, logits_processor=…)` decodes greedily after prompts of `width`
    tokens. The logits are None where the thought was not closed.
    """
    kept = _Kept(torch.tensor(labels, device=device))
    output = generate(
        stopping_criteria=transformers.StoppingCriteriaList([_Closed(encoder, until, width)]),
        logits_processor=transformers.LogitsProcessorList([kept]),
    )
    found: list[tuple[tuple[float, ...] | None, int]] = []
    for number, row in enumerate(output[:, width:].tolist()):
        row = row[: next((i + 1 for i, token in enumerate(row) if token in ends), len(row))]
        end = _closed_at(encoder, row, until)
        if end is None or end >= len(kept.steps):
            found.append((None, len(row)))
        else:
            found.append((tuple(kept.steps[end][number].tolist()), end + 1))
    return found


def _closed_at(encoder: Encoder, row: list[int], until: str) -> int | None:
    """How many tokens it takes until their text holds the closing words, or None."""
    if until not in encoder.text(row):
        return None
    low, high = 1, len(row)
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if until in encoder.text(row[:middle]) else (middle + 1, high)
    return low
