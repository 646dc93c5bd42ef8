"""Requests as token ids, by a model's own tokenizer and chat template; needs no weights."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from jinja2 import TemplateError

from e2r.errors import DataError
from e2r.prompts.request import (
    Attention,
    Classify,
    Generate,
    Labels,
    Likelihood,
    Reason,
    Reply,
    Request,
)
from e2r.prompts.sandbox import SANDBOX
from e2r.prompts.template import Message


@dataclass(frozen=True, slots=True)
class Encoded:
    """A request as token ids: the prompt, what the decoder starts from, what is scored.

    `segments` number the texts of a classifier's pair, where its tokenizer does. `spans` are the
    first and past-the-last token of each document in the prompt, `question` the first after them.
    """

    prompt: tuple[int, ...]
    start: tuple[int, ...] = ()
    target: tuple[int, ...] = ()
    segments: tuple[int, ...] = ()
    spans: tuple[tuple[int, int], ...] = ()
    question: int = 0

    @property
    def length(self) -> int:
        return len(self.prompt) + len(self.start) + len(self.target)

    @property
    def fed(self) -> tuple[int, ...]:
        """What passes through a decoder-only model before anything is generated."""
        return self.prompt + self.start + self.target[:-1]


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
        return encoded.length + getattr(request, "max_new_tokens", 0) - self._context

    def shareable(self, request: Request) -> tuple[tuple[int, ...], int] | None:
        """Tokens that may begin as those of other requests do, and how many of the last ones are
        needed in any case; None where nothing can be shared.

        In an encoder every token sees the whole text, and attention requests share by themselves.
        """
        if self._decoder_start is not None or isinstance(request, Attention | Classify):
            return None
        encoded = self.encode(request)
        return encoded.fed, len(encoded.target) if isinstance(request, Likelihood) else 1

    def tokens(self, text: str) -> tuple[int, ...]:
        """Token ids of a text, no special tokens added."""
        return tuple(self._tokenizer(text, add_special_tokens=False)["input_ids"]) if text else ()

    def text(self, ids: list[int]) -> str:
        """Text of token ids, special tokens left out."""
        return str(self._tokenizer.decode(ids, skip_special_tokens=True))

    def label_ids(self, request: Labels | Reason) -> tuple[int, ...]:
        """The token by which each label begins after the answer's start.

        Raises DataError where two labels begin with the same token: their logits say nothing.
        """
        start = self.tokens(request.answer_start)
        ids = []
        for label in request.labels:
            both = self.tokens(request.answer_start + label)
            # Where start and label melt into one token, the label is what stands alone.
            apart = both[: len(start)] == start and len(both) > len(start)
            ids.append(both[len(start)] if apart else self.tokens(label)[0])
        if len(set(ids)) < len(ids):
            shown = ", ".join(repr(label) for label in request.labels)
            raise DataError(
                f"two of the labels {shown} begin with the same token of this model's tokenizer, "
                "so that one position cannot tell them apart; use a method that generates"
            )
        return tuple(ids)

    def count(self, request: Request, text: str | None, *, shares: bool) -> Reply:
        """The tokens of a reply that nobody computed; its value is missing.

        `text` is what would be generated, or None where the limit is to be taken. With `shares`
        the documents of a prompt stand in a cache already.
        """
        item = self.encode(request)
        after = len(item.target[:-1])
        pairs = self._decoder_start is not None
        generated = 0
        if isinstance(request, Generate):
            said = request.max_new_tokens if text is None else len(self.tokens(text)) + 1
            generated = min(said, request.max_new_tokens)
        elif isinstance(request, Reason):
            generated = request.max_new_tokens
        heads = len(item.target) if isinstance(request, Likelihood) else 1
        return Reply(
            value=None,
            prompt_tokens=len(item.prompt) + (0 if pairs else len(item.start) + after),
            cached_tokens=item.question if shares else 0,
            decoder_prompt_tokens=len(item.start) + after if pairs else 0,
            generated_tokens=generated,
            head_positions=0 if isinstance(request, Attention) else heads,
        )

    def written(self, request: Request) -> str:
        """The prompt and the answer's start as text, as the chat template writes it."""
        return self._prompt(request)[0] + getattr(request, "answer_start", "")

    @property
    def opening_token(self) -> str:
        """The token that the tokenizer puts before a text by itself, or nothing."""
        return getattr(self._tokenizer, "bos_token", None) or ""

    def _prompt(self, request: Request) -> tuple[str, bool]:
        """The prompt's text, and whether it is plain: not yet wrapped into special tokens."""
        messages = request.messages
        plain = (
            self._decoder_start is not None
            or self._tokenizer.chat_template is None
            or isinstance(request, Classify)
            or [message.role for message in messages] == ["text"]
        )
        joined = "\n".join(message.content for message in messages)
        if plain:
            return joined, True
        try:
            return self._chat(messages), False
        except TemplateError as error:
            raise DataError(f"the model's chat template cannot be filled: {error}") from None

    def _encode(self, request: Request) -> Encoded:
        messages = request.messages
        if isinstance(request, Classify) and len(messages) == 2:
            pair = self._tokenizer(messages[0].content, messages[1].content)
            return Encoded(
                tuple(pair["input_ids"]), segments=tuple(pair.get("token_type_ids") or ())
            )
        start = self._decoder_start
        text, plain = self._prompt(request)
        if isinstance(request, Attention):
            return self._located(text, request.documents, special=plain)
        opening = getattr(request, "answer_start", "")
        target = self.tokens(request.target) if isinstance(request, Likelihood) else ()
        if isinstance(request, Likelihood) and request.padded:
            target = (int(self._tokenizer.pad_token_id), *target)
        if start is not None:
            prompt = tuple(self._tokenizer(text)["input_ids"])
            return Encoded(prompt, (start, *self.tokens(opening)), target)
        ids = self._tokenizer(text + opening, add_special_tokens=plain)["input_ids"]
        return Encoded(tuple(ids), (), target)

    def _located(self, text: str, documents: tuple[str, ...], *, special: bool) -> Encoded:
        """A prompt whose documents are found again among its tokens, identifiers included."""
        encoding = self._tokenizer(text, add_special_tokens=special, return_offsets_mapping=True)
        offsets = encoding["offset_mapping"]
        places, end = [], 0
        for number, document in enumerate(documents, start=1):
            shown = f"[{number}] {document.strip()}"
            begin = text.find(shown, end)
            if begin < 0:
                raise DataError(
                    f"the template does not show document {number} as '[{number}] …', so that the "
                    "attention to it cannot be found; write it as the template icr does"
                )
            end = begin + len(shown)
            places.append((begin, end))
        spans = tuple((_first(offsets, begin), _first(offsets, finish)) for begin, finish in places)
        rest = text[end:]
        question = _first(offsets, end + len(rest) - len(rest.lstrip()))
        return Encoded(tuple(encoding["input_ids"]), spans=spans, question=question)

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
        """The chat template filled in the sandbox, where it is all that the tokenizer does."""
        tokenizer = self._tokenizer
        made_by = type(tokenizer).apply_chat_template.__module__
        if made_by != "transformers.tokenization_utils_base":
            return str(
                tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
            )
        tokens = {
            name: [str(token) for token in value] if isinstance(value, list) else str(value)
            for name, value in tokenizer.special_tokens_map.items()
        }
        values = {
            "messages": turns,
            "tools": None,
            "documents": None,
            "add_generation_prompt": True,
        }
        try:
            template = tokenizer.get_chat_template()
            found = SANDBOX.filled(template, {**tokens, **values}, chat=True, name="it")
        except (DataError, ValueError) as error:
            raise TemplateError(str(error)) from None
        return str(found["text"])


def _first(offsets: list[tuple[int, int]], place: int) -> int:
    """The first token that ends after a place of the text."""
    return next((i for i, (_, end) in enumerate(offsets) if end > place), len(offsets))
