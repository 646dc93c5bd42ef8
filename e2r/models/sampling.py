"""Calls drawn while a run is under way, to be counted by PyTorch after it."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from e2r.models.answerer import LanguageModel
from e2r.prompts.request import Reply, Request
from e2r.records.manifest import ModelRecord


class Countable(LanguageModel, Protocol):
    """A language model whose arithmetic can be watched."""

    def counted(self, request: Request) -> tuple[list[Reply], int]:
        """What a request took alone, one reply a prefill, and the FLOPs that PyTorch saw."""
        ...


@dataclass(frozen=True, slots=True)
class Counted:
    """A sampled call, run again alone: the tokens of each prefill, and the FLOPs counted."""

    request: Request
    prefills: list[Reply]
    flops: int


class Sampled:
    """A language model of whose requests `size` are drawn, each with the same chance."""

    def __init__(self, model: Countable, size: int, seed: int) -> None:
        self.batch_size = model.batch_size
        self.device = model.device
        self.encoder_decoder = model.encoder_decoder
        self._model = model
        self._size = size
        self._random = random.Random(seed)  # noqa: S311 — a sample, not a secret
        self._asked = 0
        self._sample: list[Request] = []

    def record(self) -> ModelRecord:
        return self._model.record()

    def cut(self, text: str, most: int) -> tuple[str, int]:
        return self._model.cut(text, most)

    def excess(self, request: Request) -> int:
        return self._model.excess(request)

    def prepare(self) -> None:
        self._model.prepare()

    def reply(
        self, requests: Sequence[Request], scopes: Sequence[str] | None = None
    ) -> list[Reply]:
        for request in requests:
            self._asked += 1
            if len(self._sample) < self._size:
                self._sample.append(request)
            elif (place := self._random.randrange(self._asked)) < self._size:
                self._sample[place] = request
        return self._model.reply(requests, scopes)

    def counted(self) -> list[Counted]:
        """The sampled calls, each run once more and alone."""
        return [Counted(request, *self._model.counted(request)) for request in self._sample]
