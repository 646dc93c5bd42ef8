"""A model's arithmetic, read from its config.json: stacks of layers declared as terms."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from e2r import hub
from e2r.errors import DataError, MissingError
from e2r.flops.blocks import Term, Terms
from e2r.flops.config import Config, Task
from e2r.flops.families import family
from e2r.flops.work import Mode


@dataclass(frozen=True)
class PaperShape:
    """What Eq. 9-15 of the paper know of a layer: heads and the sum of active FFN widths."""

    heads: int
    kv_heads: int
    ffn_width: int


@dataclass(frozen=True)
class Layer:
    """One layer's terms; layers of equal kind share one object."""

    terms: Terms
    paper: PaperShape | None = None


@dataclass(frozen=True)
class Stack:
    """Layers in order, and the terms around them that every token meets once."""

    part: str
    mode: Mode
    width: int
    layers: tuple[Layer, ...]
    outer: Terms = ()

    def groups(self) -> list[tuple[int, Layer]]:
        """Each distinct layer with the number of times it occurs, in order of first occurrence."""
        counts: dict[int, int] = {}
        layers: dict[int, Layer] = {}
        for layer in self.layers:
            counts[id(layer)] = counts.get(id(layer), 0) + 1
            layers[id(layer)] = layer
        return [(counts[key], layer) for key, layer in layers.items()]


@dataclass(frozen=True)
class Parameters:
    """Weights: all that are stored, and those that one token meets."""

    total: int
    active: int


@dataclass(frozen=True, eq=False)
class Architecture:
    """A model as arithmetic. Two architectures are equal when their config facts are.

    `config` holds the config facts as a plain dict, enough to build the same architecture again.
    `gaps` names arithmetic that no term describes; it is reported as not counted. `context` is the
    longest input the model was made for, or None where positions are relative.
    """

    name: str
    model_type: str
    task: Task
    stacks: tuple[Stack, ...]
    head: Terms
    context: int | None
    config: Mapping[str, Any] = field(default_factory=dict)
    gaps: tuple[str, ...] = ()
    cache: dict[str, Any] = field(default_factory=dict, repr=False)

    @classmethod
    def load(
        cls, source: str | Path | Mapping[str, Any], *, task: Task | None = None
    ) -> Architecture:
        """Read a catalogue name, a config.json, a folder holding one, a Hub id, or config facts.

        `task` is read from the config's `architectures` unless given; without either, decoders
        generate and encoders classify. Raises DataError for an unknown model_type or for fields
        that are missing or contradict each other, MissingError when nothing of that name is found.
        """
        name, facts = _read(source)
        return build(facts, name, task)

    @property
    def fields(self) -> set[str]:
        """The config fields that its family reads."""
        return set(family(self.model_type).MODEL_TYPES[self.model_type])

    @property
    def mode(self) -> Mode:
        """How the stack that reads or writes the answer works: its last one."""
        return self.stacks[-1].mode

    @property
    def generates(self) -> bool:
        """Whether it writes tokens."""
        return generates(self.mode, self.task)

    @property
    def parameters(self) -> Parameters:
        """Stored and active weights."""
        total = active = 0
        for count, term in self.terms():
            total += count * term.parameters
            active += count * (term.parameters if term.active is None else term.active)
        return Parameters(total, active)

    def terms(self) -> Iterator[tuple[int, Term]]:
        """Every term with the number of times it occurs."""
        for _, _, count, term in self.placed():
            yield count, term

    def placed(self) -> Iterator[tuple[str, Mode, int, Term]]:
        """Every term as (part, mode, occurrences, term), stacks first, the head last."""
        for stack in self.stacks:
            for term in stack.outer:
                yield stack.part, stack.mode, 1, term
            for count, layer in stack.groups():
                for term in layer.terms:
                    yield stack.part, stack.mode, count, term
        for term in self.head:
            yield "head", self.mode, 1, term

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Architecture):
            return NotImplemented
        return (self.config, self.task) == (other.config, other.task)

    def __hash__(self) -> int:
        return hash((self.model_type, self.task, self.name))


def generates(mode: Mode, task: Task) -> bool:
    """Whether such a model writes tokens: encoders, classifiers and embedders only read."""
    return task == "generation" and mode != "encoder"


def build(facts: Mapping[str, Any], name: str, task: Task | None = None) -> Architecture:
    """The architecture of config facts; `name` is what reports and errors call it."""
    model_type = facts.get("model_type")
    if not isinstance(model_type, str):
        raise DataError(f"{name}: field 'model_type' is missing; a config.json names its family")
    module = family(model_type)
    wanted = task or _task(facts.get("architectures"))
    config = Config(facts, name, wanted, module.MODEL_TYPES[model_type])
    return module.build(config.respelled(getattr(module, "ALIASES", {})))


def _task(architectures: object) -> Task | None:
    if not isinstance(architectures, list) or not architectures:
        return None
    head = str(architectures[0])
    if head.endswith("ForSequenceClassification"):
        return "classification"
    if head.endswith(("ForCausalLM", "LMHeadModel", "ForConditionalGeneration", "ForMaskedLM")):
        return "generation"
    return "embedding" if head.endswith(("Model", "EncoderModel")) else None


def _read(source: str | Path | Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    if isinstance(source, Mapping):
        return str(source.get("_name_or_path") or source.get("model_type") or "config"), dict(
            source
        )
    path = Path(source)
    if path.is_dir():
        path = path / "config.json"
        if not path.is_file():
            raise MissingError(f"{path}: no such file; the folder has to hold a config.json")
    if path.is_file():
        return str(source), _parse(path)
    from e2r.flops import catalogue

    facts = catalogue.facts(str(source))
    if facts is not None:
        return str(source), facts
    if path.suffix == ".json" or str(source).count("/") != 1:
        raise catalogue.missing(str(source))
    return str(source), _parse(_download(str(source)))


def _parse(path: Path) -> dict[str, Any]:
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(f"{path}: not JSON ({error}); give a model's config.json") from error
    if not isinstance(facts, dict):
        raise DataError(f"{path}: holds {type(facts).__name__}; a config.json is a JSON object")
    return facts


def _download(repository: str) -> Path:
    from e2r.flops import catalogue

    try:
        import huggingface_hub
    except ImportError as error:
        raise catalogue.missing(repository) from error
    kept = huggingface_hub.try_to_load_from_cache(repository, "config.json")
    if isinstance(kept, str):
        return Path(kept)
    if not hub.answers():
        raise catalogue.missing(repository)
    try:
        return Path(huggingface_hub.hf_hub_download(repository, "config.json"))
    except (OSError, ValueError, RuntimeError) as error:
        raise catalogue.missing(repository) from error
