"""Requests as token ids, by a model's own tokenizer and chat template; needs no weights."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from jinja2 import TemplateError

from e2r.prompts.request import Generate, Likelihood, Request
from e2r.prompts.template import Message


@dataclass(frozen=True, slots=True)
class Encoded:
    """A request as token ids: the prompt, what the decoder starts from, what is scored."""

    prompt: tuple[int, ...]
    start: tuple[int, ...]
    target: tuple[int, ...]

    @property
    def length(self) -> int:
        return len(self.prompt) + len(self.start) + len(self.target)


class Encoder:
    """Counts, cuts and encodes text as one model does.

    `decoder_start` is the decoder's first token for encoder–decoder models and None for
    decoder-only ones; `context` is the longest prompt in tokens, or None without a limit.
    """

    def __init__(self, tokenizer: Any, decoder_start: int | None, context: int | None) -> None:
        self._tokenizer = tokenizer
        self._decoder_start = decoder_start
        self._context = context
        self.encode = lru_cache(maxsize=4096)(self._encode)

    def cut(self, text: str, most: int) -> tuple[str, int]:
        """The text's first `most` tokens at most, and how many tokens that leaves out.

        A character of several tokens is kept whole or left out. Words that the tokenizer takes for
        control tokens are broken up, so that no text can open a turn of the conversation.
        """
        for token in self._tokenizer.all_special_tokens:
            if token in text:
                text = text.replace(token, f"{token[:1]} {token[1:]}")
        encoding = self._tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        offsets = encoding["offset_mapping"]
        if len(offsets) <= most:
            return text, 0
        kept = most
        while kept and offsets[kept - 1][1] > offsets[kept][0]:
            kept -= 1
        return text[: offsets[kept - 1][1] if kept else 0], len(offsets) - kept

    def excess(self, request: Request) -> int:
        """By how many tokens the request is too long for the context; ≤ 0 if it fits."""
        if self._context is None:
            return 0
        encoded = self.encode(request)
        if self._decoder_start is not None:
            return len(encoded.prompt) - self._context
        new = request.max_new_tokens if isinstance(request, Generate) else 0
        return encoded.length + new - self._context

    def tokens(self, text: str) -> tuple[int, ...]:
        """Token ids of a text, no special tokens added."""
        return tuple(self._tokenizer(text, add_special_tokens=False)["input_ids"]) if text else ()

    def text(self, ids: list[int]) -> str:
        """Text of token ids, special tokens left out."""
        return str(self._tokenizer.decode(ids, skip_special_tokens=True))

    def _encode(self, request: Request) -> Encoded:
        answer_start = "" if isinstance(request, Likelihood) else request.answer_start
        target = self.tokens(request.target) if isinstance(request, Likelihood) else ()
        if self._decoder_start is not None:
            text = "\n".join(message.content for message in request.messages)
            start = (self._decoder_start, *self.tokens(answer_start))
            return Encoded(tuple(self._tokenizer(text)["input_ids"]), start, target)
        if self._tokenizer.chat_template is None:
            text = "\n".join(message.content for message in request.messages)
            ids = self._tokenizer(text + answer_start)["input_ids"]
            return Encoded(tuple(ids), (), target)
        return Encoded(self.tokens(self._chat(request.messages) + answer_start), (), target)

    def _chat(self, messages: tuple[Message, ...]) -> str:
        """The conversation as the model's own chat template writes it."""
        turns = [{"role": message.role, "content": message.content} for message in messages]
        try:
            return self._apply(turns)
        except TemplateError:
            # Some templates know no system role: its words then open the first user turn.
            if len(turns) < 2 or turns[0]["role"] != "system":
                raise
            opening = f"{turns[0]['content']}\n\n{turns[1]['content']}"
            return self._apply([{"role": "user", "content": opening}, *turns[2:]])

    def _apply(self, turns: list[dict[str, str]]) -> str:
        text = self._tokenizer.apply_chat_template(
            turns, tokenize=False, add_generation_prompt=True
        )
        return str(text)
