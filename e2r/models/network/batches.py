"""Batches of requests: one kind each, longest first, within a size and a number of tokens."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from e2r.models.encoding import Encoded
from e2r.models.reuse import Share
from e2r.prompts.request import Request


@dataclass(frozen=True, slots=True)
class Item:
    """A request on its way through a model: its place among those asked, and what is known."""

    place: int
    request: Request
    encoded: Encoded
    share: Share

    @property
    def length(self) -> int:
        """Tokens that pass through the model before anything is generated."""
        return self.encoded.length - self.share.length

    @property
    def kind(self) -> tuple[object, ...]:
        """What has to be alike in a batch."""
        return (
            type(self.request).__name__,
            getattr(self.request, "max_new_tokens", 0),
            len(self.encoded.start),
            self.encoded.prompt[: self.encoded.question],
        )


def batches(items: Sequence[Item], size: int, tokens: int) -> Iterator[list[Item]]:
    """At most `size` items of one kind, and at most `tokens` tokens, padding included.

    Prompts about the same documents stay together whatever their length: one prefill serves them
    all.
    """
    kinds = [item.kind for item in items]
    order = sorted(range(len(items)), key=lambda i: (kinds[i], -items[i].length, i))
    batch: list[int] = []
    for i in order:
        shares = items[i].encoded.question > 0
        full = batch and (
            kinds[i] != kinds[batch[0]]
            or len(batch) == size
            or ((len(batch) + 1) * items[batch[0]].length > tokens and not shares)
        )
        if full:
            yield [items[j] for j in batch]
            batch = []
        batch.append(i)
    if batch:
        yield [items[j] for j in batch]
