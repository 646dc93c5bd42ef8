"""config.json facts read with names, types and the family's own defaults; wrong ones refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple, NoReturn, TypeAlias

from e2r.borders.figures import MOST_LAYERS, MOST_WIDTH
from e2r.borders.reading import shortened
from e2r.errors import DataError

Task: TypeAlias = Literal["generation", "classification", "embedding"]

_ABSENT = object()


class Heads(NamedTuple):
    """The sizes of an attention block: model width, query heads, key-value heads, head width."""

    width: int
    query: int
    key_value: int
    size: int


@dataclass(frozen=True)
class Config:
    """The facts of one config.json.

    A field that is absent takes its default from `defaults`, which a family copies from its own
    config class in transformers. `Required` marks fields
    whose class default is a particular checkpoint's size: transformers always writes them at the
    top level, so their absence there is a fault, while nested configs leave them out.
    `task` is what the model is used for, or None where neither the caller nor the config says.
    """

    facts: Mapping[str, Any]
    source: str = "config"
    task: Task | None = None
    defaults: Mapping[str, Any] = field(default_factory=dict)
    nested: bool = False

    def respelled(self, aliases: Mapping[str, str]) -> Config:
        """The same facts under the family's own names; two names that disagree are refused."""
        facts = dict(self.facts)
        for other, name in aliases.items():
            value = facts.pop(other, None)
            if value is not None and facts.setdefault(name, value) != value:
                self.refuse(
                    name, f"is {facts[name]!r}, but {other!r}, its other name, is {_cut(value)}"
                )
        return replace(self, facts=facts)

    @property
    def model_type(self) -> str:
        """The family's key."""
        return str(self.facts.get("model_type"))

    def get(self, name: str) -> Any:
        """The raw value, or the default; LookupError for a field that the family never declared."""
        if name not in self.defaults:
            raise LookupError(f"the family of {self.model_type} does not declare {name!r}")
        value = self.facts.get(name, _ABSENT)
        if value is not _ABSENT:
            return value
        default = self.defaults[name]
        if isinstance(default, Required):
            if self.nested:
                return default.value
            self.refuse(name, "is missing")
        return default

    def size(self, name: str) -> int:
        """A required whole number of at least 1."""
        value = self.optional_size(name)
        if value is None:
            self.refuse(name, "is missing")
        return value

    def optional_size(self, name: str) -> int | None:
        """A whole number of at least 1, or None where the config says null or nothing."""
        value = self.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            self.refuse(name, f"is {_cut(value)}; it has to be a whole number of at least 1")
        return self._possible(name, value)

    def count(self, name: str) -> int:
        """A whole number of at least 0; absent without a default counts as a fault."""
        value = self.get(name)
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            self.refuse(name, f"is {_cut(value)}; it has to be a whole number of at least 0")
        return self._possible(name, value)

    def _possible(self, name: str, value: int) -> int:
        """A size that some model may have: layers are listed one by one, and others multiplied."""
        most = MOST_LAYERS if "layer" in name else MOST_WIDTH
        if value > most:
            self.refuse(name, f"is {_cut(value)}; no model has more than {most}")
        return value

    def flag(self, name: str) -> bool:
        """True or false; a flag that the family does not have is off."""
        value = self.get(name) if name in self.defaults else None
        if value is None:
            return False
        if not isinstance(value, bool):
            self.refuse(name, f"is {_cut(value)}; it has to be true or false")
        return value

    def word(self, name: str, known: Sequence[str] = ()) -> str:
        """A string, one of `known` where they are given."""
        value = self.get(name)
        if not isinstance(value, str) or (known and value not in known):
            hint = f"one of {', '.join(known)}" if known else "a string"
            self.refuse(name, f"is {_cut(value)}; it has to be {hint}")
        return value

    def per_layer(self, name: str, layers: int, known: Sequence[str]) -> tuple[str, ...] | None:
        """One word a layer, or None where the config has no such list."""
        value = self.get(name)
        if value is None:
            return None
        if isinstance(value, str) or not isinstance(value, Sequence) or len(value) != layers:
            self.refuse(
                name, f"is {_cut(value)}; it needs one entry for each of the {layers} layers"
            )
        for entry in value:
            if not isinstance(entry, str) or entry not in known:
                self.refuse(name, f"names {_cut(entry)}; known here: {', '.join(known)}")
        return tuple(value)

    def heads(
        self,
        width: int,
        heads: str = "num_attention_heads",
        kv_heads: str | None = "num_key_value_heads",
        head_dim: str | None = "head_dim",
    ) -> Heads:
        """Query heads, key-value heads and head width, checked against each other.

        The head width is the field `head_dim` where present, else width / heads, which then has to
        be whole.
        """
        query = self.size(heads)
        key_value = self.optional_size(kv_heads) if kv_heads else None
        key_value = query if key_value is None else key_value
        if query % key_value:
            self.refuse(kv_heads or heads, f"is {key_value}, which does not divide {heads} {query}")
        size = self.optional_size(head_dim) if head_dim else None
        if size is None:
            if width % query:
                self.refuse(heads, f"is {query}, which does not divide the width {width}")
            size = width // query
        return Heads(width, query, key_value, size)

    def labels(self) -> int:
        """Classes of a sequence classifier: num_labels, id2label, or transformers' default of 2."""
        count = self.facts.get("num_labels")
        if count is not None:
            if isinstance(count, bool) or not isinstance(count, int) or count < 1:
                self.refuse("num_labels", f"is {_cut(count)}; it has to be at least 1")
            return self._possible("num_labels", count)
        names = self.facts.get("id2label")
        if names is None:
            return 2
        if not isinstance(names, Mapping) or not names:
            self.refuse("id2label", f"is {_cut(names)}; it has to name the classes")
        return len(names)

    def refuse(self, name: str, problem: str) -> NoReturn:
        """Raise DataError about a field."""
        raise DataError(f"{self.source}: field {name!r} {problem} (model_type {self.model_type})")


def _cut(value: object) -> str:
    """A value as a message can hold it; a number may have more digits than Python writes."""
    if isinstance(value, int) and abs(value) > 10**20:
        return "a number out of range"
    return shortened(repr(value))


@dataclass(frozen=True)
class Required:
    """A default that only nested configs may rely on (see Config)."""

    value: int | str
