"""A prompt template: Jinja text in a file, filled with a query and passages, versioned by hash."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from jinja2 import Environment, StrictUndefined, Template, TemplateError

from e2r.errors import DataError, unknown

FOLDER = Path(__file__).parent / "templates"
LABELS = "ABCDEFGHIJKLMNOPQRSTUVW"
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation; `role` is system, user or assistant.

    The role text stands for a prompt that no chat template may wrap. A classifier is shown the
    roles query and passage as its pair.
    """

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class Filled:
    """A filled template; `answer_start` opens the model's answer where the template says so."""

    messages: tuple[Message, ...]
    answer_start: str | None = None


@dataclass(frozen=True)
class PromptTemplate:
    """Template text by name.

    It sees `query`, `passages`, `labels` (A to W), `letters` (A to Z), `encoder_decoder` and
    `count`, how many passages are to be named. Text outside of `{% call message(role) %}` blocks
    makes one user message; with such blocks, they are the messages and the text around them is
    dropped. `{{ open_answer(text) }}` puts the first words into the model's mouth, instead of
    those that the method would put there.
    """

    name: str
    text: str

    @classmethod
    def load(cls, name: str) -> PromptTemplate:
        """A template of this package by name, or any file by a path that ends in .jinja.

        Raises UsageError for an unknown name, DataError for a file that cannot be read or parsed.
        """
        path = Path(name) if name.endswith(".jinja") else FOLDER / f"{name}.jinja"
        if not name.endswith(".jinja") and not path.is_file():
            raise unknown("template", name, (file.stem for file in FOLDER.glob("*.jinja")))
        if not path.is_file():
            raise DataError(f"{path}: no such file; check the path of the template")
        try:
            template = cls(path.stem, path.read_text(encoding="utf-8"))
            _ = template._compiled
        except (OSError, UnicodeDecodeError, TemplateError) as error:
            raise DataError(f"{path}: not a readable Jinja template ({error})") from None
        if not template.text.strip():
            raise DataError(f"{path}: is empty; a template holds at least the query and passages")
        return template

    @property
    def sha256(self) -> str:
        """Hash of the template's text: the version that a run's record names."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    @cached_property
    def _compiled(self) -> Template:
        # The output is a model's input, not a web page: nothing may be escaped.
        environment = Environment(undefined=StrictUndefined, autoescape=False)  # noqa: S701
        return environment.from_string(self.text)

    def refuse_blind(self, shown: int, *, query: bool) -> None:
        """Raise DataError where a prompt of `shown` passages lacks one, or lacks the query."""
        passages = [f"passage-{number}-of-{shown}" for number in range(1, shown + 1)]
        filled = self.fill("the-query", passages, encoder_decoder=False, count=1)
        text = "\n".join(message.content for message in filled.messages)
        hidden = [passage for passage in passages if passage not in text]
        if hidden:
            raise DataError(
                f"template {self.name}: shows {shown - len(hidden)} of {shown} passages; loop over "
                "passages, or choose a template that fits the method"
            )
        if query and "the-query" not in text:
            raise DataError(f"template {self.name}: does not show the query")

    def fill(
        self,
        query: str,
        passages: Sequence[str],
        *,
        encoder_decoder: bool,
        count: int | None = None,
    ) -> Filled:
        """The messages for a query and its passages.

        Raises DataError where the template asks for something that it is not given.
        """
        messages: list[Message] = []
        starts: list[str] = []

        def open_answer(text: str) -> str:
            starts.append(text)
            return ""

        def message(role: str, caller: Callable[[], str]) -> str:
            messages.append(Message(role, caller()))
            return ""

        try:
            text = self._compiled.render(
                query=query,
                passages=passages,
                labels=LABELS,
                letters=LETTERS,
                count=count,
                encoder_decoder=encoder_decoder,
                message=message,
                open_answer=open_answer,
            )
        except TemplateError as error:
            raise DataError(f"template {self.name}: {error}") from None
        return Filled(tuple(messages) or (Message("user", text),), starts[-1] if starts else None)
