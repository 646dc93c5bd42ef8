"""What software and hardware carry a run out, as its record tells."""

from __future__ import annotations

import os
import platform
import subprocess
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from e2r.records.manifest import Environment

PACKAGES = ("torch", "transformers", "tokenizers", "accelerate", "gguf", "numpy", "pyarrow")


@dataclass(frozen=True)
class CodeVersion:
    """The version of e2r; commit and dirty flag are None outside of a git checkout."""

    version: str
    commit: str | None
    dirty: bool | None


def code_version() -> CodeVersion:
    """The version of e2r that is running; files under runs/ do not make it dirty."""
    version = metadata.version("e2r")
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return CodeVersion(version, None, None)
    commit = _git(root, "rev-parse", "HEAD")
    status = _git(root, "status", "--porcelain", "--", "e2r", "pyproject.toml", "constraints.txt")
    return CodeVersion(version, commit, None if status is None else bool(status))


def environment(device: str) -> Environment:
    """The interpreter, the packages that shape an answer, and the hardware."""
    return Environment(
        python=platform.python_version(),
        packages={name: found for name in PACKAGES if (found := _version(name))},
        processor=_processor(),
        device=device,
        threads=int(os.environ.get("OMP_NUM_THREADS") or len(os.sched_getaffinity(0))),
    )


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _git(root: Path, *words: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "--no-optional-locks", "-C", str(root), *words],
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip() or None if words[0] == "rev-parse" else done.stdout.strip()


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
