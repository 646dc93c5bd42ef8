"""A model's arithmetic, read from its config.json by the family that knows its model_type."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from e2r import hub
from e2r.borders.reading import CONFIG_BYTES, json_file, shortened
from e2r.errors import DataError, MissingError
from e2r.flops.config import Config, Task
from e2r.flops.families import family
from e2r.flops.heads import task_of
from e2r.flops.structure import Structure

LONGEST_PART = 200
"""Characters of a name between slashes; file systems allow few more."""


@dataclass(frozen=True, eq=False)
class Architecture(Structure):
    """A structure that can be had by name: from the catalogue, a file, a folder or the Hub."""

    def __repr__(self) -> str:
        weights = self.parameters.total
        return f"<Architecture {self.name}: {self.model_type}, {self.task}, {weights:,} weights>"

    @classmethod
    def load(
        cls, source: str | Path | Mapping[str, Any], *, task: Task | None = None
    ) -> Architecture:
        """Read a catalogue name, a config.json, a folder holding one, a Hub id, or config facts.

        `task` is read from the config's `architectures` unless given; without either, decoders
        generate and encoders classify. Raises DataError for an unknown model_type, for a head that
        is not described and for fields that are missing or contradict each other, MissingError
        when nothing of that name is found.
        """
        name, facts = _read(source)
        return build(facts, name, task)

    @property
    def fields(self) -> set[str]:
        """The config fields that its family reads."""
        return set(family(self.model_type).MODEL_TYPES[self.model_type])


def build(facts: Mapping[str, Any], name: str, task: Task | None = None) -> Architecture:
    """The architecture of config facts; `name` is what reports and errors call it."""
    model_type = facts.get("model_type")
    if not isinstance(model_type, str):
        raise DataError(f"{name}: field 'model_type' is missing; a config.json names its family")
    module = family(model_type)
    heads = module.HEADS[model_type]
    wanted = task or task_of(facts.get("architectures"), heads, model_type, name)
    config = Config(facts, name, wanted, module.MODEL_TYPES[model_type])
    try:
        structure = module.build(config.respelled(getattr(module, "ALIASES", {})))
    except (TypeError, ValueError, LookupError, ArithmeticError, AttributeError) as error:
        # A field that a family reads as it comes, and that is of another kind than any model's.
        raise DataError(
            f"{name}: its fields are not those of a {model_type} ({shortened(error)})"
        ) from error
    return Architecture(**{part.name: getattr(structure, part.name) for part in fields(structure)})


def _read(source: str | Path | Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    if isinstance(source, Mapping):
        return str(source.get("_name_or_path") or source.get("model_type") or "config"), dict(
            source
        )
    path = Path(source)
    if max(map(len, path.parts), default=0) > LONGEST_PART:
        raise DataError(f"{shortened(source)}: is longer than any name of a model or a file")
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
        facts = json_file(path, CONFIG_BYTES)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None
    if not isinstance(facts, dict):
        raise DataError(f"{path}: holds {type(facts).__name__}; a config.json is a JSON object")
    return facts


def _download(repository: str) -> Path:
    from e2r.flops import catalogue

    try:
        import huggingface_hub
    except ImportError as error:
        raise catalogue.missing(repository) from error
    try:
        kept = huggingface_hub.try_to_load_from_cache(repository, "config.json")
    except ValueError as error:  # no name that a repository can have
        raise catalogue.missing(repository) from error
    if isinstance(kept, str):
        return Path(kept)
    if not hub.answers():
        raise catalogue.missing(repository)
    try:
        return Path(huggingface_hub.hf_hub_download(repository, "config.json"))
    except (OSError, ValueError, RuntimeError) as error:
        raise catalogue.missing(repository) from error
