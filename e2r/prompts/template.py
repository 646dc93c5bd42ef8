"""A prompt template: Jinja text in a file, filled with a query and passages, versioned by hash."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import TemplateError

from e2r.borders.reading import TEMPLATE_BYTES, content, told_of
from e2r.borders.trust import is_trusted
from e2r.errors import DataError, UsageError, unknown
from e2r.prompts.rendering import filled
from e2r.prompts.sandbox import SANDBOX

FOLDER = Path(__file__).parent / "templates"
LABELS = "ABCDEFGHIJKLMNOPQRSTUVW"
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def names() -> list[str]:
    """The templates that come with this package."""
    return sorted(file.stem for file in FOLDER.glob("*.jinja"))


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
    those that the method would put there. A `foreign` one, which does not come with this
    package, is filled in a process of its own.
    """

    name: str
    text: str

    foreign: bool = False

    @classmethod
    def load(cls, name: str, home: Path | None = None) -> PromptTemplate:
        """A template of this package by name, or any file by a path that ends in .jinja.

        `home` is the folder of the spec file that names it: a path from a file is followed inside
        of that folder only, or where the user typed it once on this machine. Raises UsageError for
        an unknown name or such a path, DataError for a file that cannot be read or parsed.
        """
        if not name.endswith(".jinja"):
            path = FOLDER / f"{name}.jinja"
            if not re.fullmatch(r"\w{1,60}", name) or not path.is_file():
                raise unknown("template", name, names())
        else:
            path = _allowed(name, home)
        with told_of(path, "a readable Jinja template"):
            template = cls(path.stem, content(path, TEMPLATE_BYTES).decode(), path.parent != FOLDER)
        if not template.text.strip():
            raise DataError(f"{path}: is empty; a template holds at least the query and passages")
        if template.foreign:
            # The compiler computes what is constant, and so is as dangerous as filling.
            SANDBOX.filled(
                template.text, None, chat=False, name=f"{path}: not a readable Jinja template"
            )
        return template

    @property
    def sha256(self) -> str:
        """Hash of the template's text: the version that a run's record names."""
        return hashlib.sha256(self.text.encode()).hexdigest()

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
        values = {
            "query": query,
            "passages": list(passages),
            "labels": LABELS,
            "letters": LETTERS,
            "count": count,
            "encoder_decoder": encoder_decoder,
        }
        where = f"template {self.name}"
        if self.foreign:
            found = SANDBOX.filled(self.text, values, chat=False, name=where)
        else:
            try:
                found = filled(self.text, values, chat=False)
            except TemplateError as error:
                raise DataError(f"{where}: {error}") from None
        messages = tuple(Message(role, words) for role, words in found["messages"])
        starts = found["starts"]
        return Filled(messages or (Message("user", found["text"]),), starts[-1] if starts else None)


def located(name: str, home: Path | None) -> str:
    """A template's word, its path made absolute where it is one. Raises what `load` does."""
    return str(_allowed(name, home).resolve()) if name.endswith(".jinja") else name


def _allowed(name: str, home: Path | None) -> Path:
    """The file of a template that is named by a path, if a spec of this folder may name it."""
    path = Path(name)
    if home is None:
        return path
    for place in (home / path, path):
        inside = place.resolve().is_relative_to(home.resolve())
        if place.is_file() and (inside or is_trusted("template", str(place.resolve()))):
            return place
    if not (home / path).exists() and not path.exists():
        raise DataError(f"{path}: no such file; check the path of the template")
    raise UsageError(
        f"template {name}: lies outside of {home}, the folder of the spec that names it; put it "
        "there, or name it once yourself by --template"
    )
