"""Conversations as a model's own chat template writes them, held against what was meant."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from jinja2 import TemplateError

from e2r.errors import DataError
from e2r.prompts.sandbox import SANDBOX
from e2r.prompts.template import Message

Turns = list[dict[str, Any]]

_MARK = "e2r-last-word"
SWITCHES = ("enable_thinking", "thinking")
"""What templates call their switch: Qwen3 and its kin, DeepSeek and Granite."""
_BLOCKS = re.compile(r"{[{%](.*?)[%}]}", re.DOTALL)
_STRINGS = re.compile(r"'[^'\n]*'|\"[^\"\n]*\"")


def _code(template: str) -> str:
    """A template's own names: neither its text nor its strings."""
    return _STRINGS.sub("", " ".join(_BLOCKS.findall(template)))


def _plain(messages: Sequence[Message]) -> Turns:
    return [{"role": message.role, "content": message.content} for message in messages]


def _without_system(messages: Sequence[Message]) -> Turns:
    """The system's words open the first user turn: some templates know no such role."""
    turns = _plain(messages)
    if len(turns) < 2 or turns[0]["role"] != "system":
        return turns
    opening = f"{turns[0]['content']}\n\n{turns[1]['content']}"
    return [{"role": turns[1]["role"], "content": opening}, *turns[2:]]


def _in_parts(turns: Turns) -> Turns:
    """Contents as lists of parts: some templates of vision models show nothing else."""
    return [{**turn, "content": [{"type": "text", "text": turn["content"]}]} for turn in turns]


FORMS: tuple[Callable[[Sequence[Message]], Turns], ...] = (
    _plain,
    _without_system,
    lambda messages: _in_parts(_plain(messages)),
    lambda messages: _in_parts(_without_system(messages)),
)
"""Ways to hand messages to a template, in the order in which they are tried."""


class Chat:
    """A tokenizer's chat template, asked in the first form in which every message comes through."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._forms = FORMS

    @property
    def switches(self) -> tuple[str, ...]:
        """The words by which the template takes whether the model is to think, if it has any."""
        template = self._tokenizer.chat_template
        text = " ".join(template.values()) if isinstance(template, dict) else str(template or "")
        return tuple(word for word in SWITCHES if re.search(rf"\b{word}\b", _code(text)))

    def written(self, messages: Sequence[Message], *, think: bool = False) -> str:
        """The conversation as text, up to where the answer begins.

        A template with a switch for thinking is told `think`. Raises DataError where the template
        leaves out a message in every form, or fails.
        """
        why = ""
        for number, form in enumerate(self._forms):
            try:
                text = self._apply(form(messages), add_generation_prompt=True, think=think)
            except TemplateError as error:
                why = why or f"fails ({error})"
                continue
            lost = _lost(text, messages)
            if lost is None:
                # The form that one prompt needed, all others are likely to need.
                self._forms = (*self._forms[number:], *self._forms[:number])
                return text
            why = why or f"leaves out the words of the {lost.role} message {lost.content[:40]!r}"
        raise DataError(
            f"the model's chat template {why}; mend its chat_template, or write the whole prompt "
            "by a --template of your own whose one message has the role text"
        )

    def after_a_turn(self) -> str:
        """What the template writes behind an assistant's words; nothing where it cannot say."""
        turns = _plain((Message("user", "hello"), Message("assistant", _MARK)))
        for form in (turns, _in_parts(turns)):
            try:
                _, found, rest = self._apply(form, add_generation_prompt=False).rpartition(_MARK)
            except TemplateError:
                continue
            if found:
                return rest
        return ""

    def _apply(self, turns: Turns, *, add_generation_prompt: bool, think: bool = False) -> str:
        """The template filled in the sandbox, where filling it is all that the tokenizer does."""
        tokenizer = self._tokenizer
        switches = dict.fromkeys(self.switches, think)
        made_by = type(tokenizer).apply_chat_template.__module__
        if made_by != "transformers.tokenization_utils_base":
            return str(
                tokenizer.apply_chat_template(
                    turns,
                    tokenize=False,
                    add_generation_prompt=add_generation_prompt,
                    **switches,
                )
            )
        tokens = {
            name: [str(token) for token in value] if isinstance(value, list) else str(value)
            for name, value in tokenizer.special_tokens_map.items()
        }
        values = {
            "messages": turns,
            "tools": None,
            "documents": None,
            "add_generation_prompt": add_generation_prompt,
            **switches,
        }
        try:
            template = tokenizer.get_chat_template()
            found = SANDBOX.filled(template, {**tokens, **values}, chat=True, name="it")
        except (DataError, ValueError) as error:
            raise TemplateError(str(error)) from None
        return str(found["text"])


def _lost(text: str, messages: Sequence[Message]) -> Message | None:
    """The first message whose words do not stand in a text behind those of the one before it."""
    place = 0
    for message in messages:
        words = message.content.strip()
        found = text.find(words, place)
        if found < 0:
            return _lost_of_words(text, messages)
        place = found + len(words)
    return None


def _lost_of_words(text: str, messages: Sequence[Message]) -> Message | None:
    """The same where a template writes other spaces and line breaks than it was given."""
    whole, place = " ".join(text.split()), 0
    for message in messages:
        words = " ".join(message.content.split())
        found = whole.find(words, place)
        if found < 0:
            return message
        place = found + len(words)
    return None
