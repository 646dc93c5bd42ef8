"""A stand-in where no tokenizer is at hand: every word and every mark is a token."""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from typing import Any

from e2r.errors import UsageError
from e2r.models.encoding import Encoder
from e2r.prompts.request import Reply, Request
from e2r.records.manifest import ModelRecord

TOKEN = re.compile(r"\w+|[^\w\s]")


class WordTokenizer:
    """Splits text as a tokenizer does, without one's vocabulary."""

    chat_template = None
    all_special_tokens: tuple[str, ...] = ()
    pad_token_id = 0

    def __call__(self, text: str, second: str = "", **options: Any) -> dict[str, Any]:
        """Ids and, one a token, its first and past-the-last place in the text."""
        found = list(TOKEN.finditer(f"{text} {second}"))
        return {
            "input_ids": [zlib.crc32(match[0].encode()) for match in found],
            "offset_mapping": [match.span() for match in found],
        }


class WordCounter:
    """Counts the tokens of requests by words; it cannot answer any."""

    batch_size = 1
    device = "none"

    def __init__(self, record: ModelRecord, *, encoder_decoder: bool) -> None:
        self.encoder_decoder = encoder_decoder
        self._record = record
        start = 0 if encoder_decoder else None
        self._encoder = Encoder(WordTokenizer(), decoder_start=start, context=None)

    def record(self) -> ModelRecord:
        return self._record

    def prepare(self) -> None:
        """There is nothing to load."""

    def cut(self, text: str, most: int) -> tuple[str, int]:
        return self._encoder.cut(text, most)

    def excess(self, request: Request) -> int:
        return self._encoder.excess(request)

    def shareable(self, request: Request) -> tuple[tuple[int, ...], int] | None:
        return self._encoder.shareable(request)

    def count(self, request: Request, text: str | None, *, shares: bool) -> Reply:
        return self._encoder.count(request, text, shares=shares)

    def reply(
        self, requests: Sequence[Request], scopes: Sequence[str] | None = None
    ) -> list[Reply]:
        raise UsageError("words can be counted without a model, but not answered")
