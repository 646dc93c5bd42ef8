"""Requests as token ids, by a model's own tokenizer and chat template; needs no weights."""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

from e2r.errors import DataError
from e2r.models.chat import Chat
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
from e2r.prompts.template import Message
from e2r.prompts.thought import MARKS, closing, opened_by

PAIR = ["query", "passage"]
"""The roles that a classifier's tokenizer joins by itself."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """A request as token ids: the prompt, what the decoder starts from, what is scored.

    `segments` number the texts of a classifier's pair, where its tokenizer does. `spans` are the
    first and past-the-last token of each document in the prompt, `question` the first after them.
    `opened` is the tag of a thought that the prompt begins and the reply goes on with, or nothing.
    """

    prompt: tuple[int, ...]
    start: tuple[int, ...] = ()
    target: tuple[int, ...] = ()
    segments: tuple[int, ...] = ()
    spans: tuple[tuple[int, int], ...] = ()
    question: int = 0
    opened: str = ""

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
        self._chat = Chat(tokenizer)
        self.encode = lru_cache(maxsize=4096)(self._encode)

    def cut(self, text: str, most: int) -> tuple[str, int]:
        """The text's first `most` tokens at most, and how many tokens that leaves out.

        A character of several tokens is kept whole or left out. Words that the tokenizer takes for
        control tokens are broken up, so that no text can open a turn of the conversation.
        """
        if self._control is not None:
            text = self._control.sub(lambda found: f"{found[0][:1]} {found[0][1:]}", text)
        if not getattr(self._tokenizer, "is_fast", True):
            return self._cut_by_length(text, most)
        encoding = self._tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        offsets = encoding["offset_mapping"]
        if len(offsets) <= most:
            return text, 0
        kept = most
        while kept and offsets[kept - 1][1] > offsets[kept][0]:
            kept -= 1
        return text[: offsets[kept - 1][1] if kept else 0], len(offsets) - kept

    def _cut_by_length(self, text: str, most: int) -> tuple[str, int]:
        """The same by a tokenizer that does not say where its tokens stand in the text."""
        total = len(self.tokens(text))
        if total <= most:
            return text, 0
        length = bisect_right(
            range(1, len(text) + 1), most, key=lambda end: len(self.tokens(text[:end]))
        )
        return text[:length], total - len(self.tokens(text[:length]))

    @cached_property
    def _added(self) -> dict[int, Any]:
        """The tokens beside the trained vocabulary, by id."""
        return dict(getattr(self._tokenizer, "added_tokens_decoder", {}))

    @cached_property
    def _control(self) -> re.Pattern[str] | None:
        """Every spelling that the tokenizer takes for a control token, named or not."""
        added = {str(token) for token in self._added.values() if token.special or _bracketed(token)}
        words = sorted({*added, *self._tokenizer.all_special_tokens} - {""}, key=len, reverse=True)
        return re.compile("|".join(map(re.escape, words))) if words else None

    @cached_property
    def _silent(self) -> set[int]:
        """Tokens that say nothing to a reader; the tags of thoughts do."""
        special = {token for token, added in self._added.items() if added.special}
        named = set(getattr(self._tokenizer, "all_special_ids", ()))
        return {t for t in special | named if str(self._added.get(t, "")) not in MARKS}

    @cached_property
    def ends(self) -> set[int]:
        """Tokens that end a turn: the tokenizer's own end, and the chat template's."""
        ends = {getattr(self._tokenizer, "eos_token_id", None)}
        if self._decoder_start is None and self._tokenizer.chat_template is not None:
            after = self.tokens(self._chat.after_a_turn().lstrip())
            ends |= {token for token in after[:1] if token in self._silent}
        return {int(end) for end in ends if end is not None}

    @cached_property
    def _appended(self) -> tuple[int, ...]:
        """What the tokenizer appends to a text: an end, which no opened answer may stand behind."""
        bare, whole = self.tokens("a"), tuple(self._tokenizer("a")["input_ids"])
        for begin in range(len(whole) - len(bare) + 1):
            if whole[begin : begin + len(bare)] == bare:
                return whole[begin + len(bare) :]
        return ()

    @cached_property
    def _glues(self) -> bool:
        """Whether a pair of texts is joined without a token between them."""
        if not self._added:
            return False
        first, second = self.tokens("a"), self.tokens("b")
        pair, bare = tuple(self._tokenizer("a", "b")["input_ids"]), first + second
        return any(pair[i : i + len(bare)] == bare for i in range(len(pair) - len(bare) + 1))

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
        """Text of token ids, special tokens left out but for the tags of thoughts."""
        return str(self._tokenizer.decode([i for i in ids if i not in self._silent]))

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
            first = both[len(start) :] if apart else self.tokens(label)
            if not first:
                raise DataError(
                    f"this model's tokenizer makes no token of the label {label!r}; use a method "
                    "that generates"
                )
            ids.append(first[0])
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
        """The prompt's text, and whether it is plain: not yet wrapped into special tokens.

        A thought that the chat template opens is closed where the answer is read at once.
        """
        messages = request.messages
        plain = (
            self._decoder_start is not None
            or self._tokenizer.chat_template is None
            or [message.role for message in messages] == ["text"]
        )
        if plain:
            return "\n".join(message.content for message in messages), plain
        thinks = isinstance(request, Reason) or getattr(request, "thinks", False)
        text = self._chat.written(messages, think=thinks)
        opened, start = opened_by(text), getattr(request, "answer_start", "")
        if start and text.endswith(start):  # an empty thought that the template wrote too
            return text.removesuffix(start), plain
        if opened and start.startswith(opened):
            return text.rstrip().removesuffix(opened), plain
        if opened and (start or not isinstance(request, Generate | Reason)):
            return text + closing(opened), plain
        return text, plain

    @property
    def may_think(self) -> bool:
        """Whether the chat template has a switch for thinking."""
        return self._decoder_start is None and bool(self._chat.switches)

    @property
    def thinks(self) -> bool:
        """Whether the chat template opens a thought before each answer."""
        if self._decoder_start is not None or self._tokenizer.chat_template is None:
            return False
        return bool(opened_by(self._chat.written((Message("user", "hello"),))))

    def _encode(self, request: Request) -> Encoded:
        messages = request.messages
        if isinstance(request, Classify) and [m.role for m in messages] == PAIR:
            if self._glues:
                raise DataError(
                    "this classifier's tokenizer joins query and passage without a sign between "
                    "them, which it was hardly trained on; name the prompt that it was: "
                    "--template qwen3 for Qwen3-Reranker, or a .jinja file of your own"
                )
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
        ids = tuple(self._tokenizer(text + opening, add_special_tokens=plain)["input_ids"])
        if plain and not isinstance(request, Classify):
            ids = ids[: len(ids) - len(self._appended)]
        opened = opened_by(text) if isinstance(request, Generate) and not opening else ""
        return Encoded(ids, (), target, opened=opened)

    def _located(self, text: str, documents: tuple[str, ...], *, special: bool) -> Encoded:
        """A prompt whose documents are found again among its tokens, identifiers included."""
        if not getattr(self._tokenizer, "is_fast", True):
            raise DataError(
                "this model's tokenizer does not say where its tokens stand in the text, so that "
                "attention to documents cannot be found; attention.icr needs a fast tokenizer"
            )
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
        ids = tuple(encoding["input_ids"])
        ids = ids[: len(ids) - len(self._appended)] if special else ids
        return Encoded(ids, spans=spans, question=question)


def _first(offsets: list[tuple[int, int]], place: int) -> int:
    """The first token that ends after a place of the text."""
    return next((i for i, (_, end) in enumerate(offsets) if end > place), len(offsets))


def _bracketed(token: object) -> bool:
    """Whether an added token looks like a sign for the model rather than a word or a space."""
    return re.fullmatch(r"<.+>|\[.+\]|【.+】", str(token)) is not None
