"""What of e2r works on this machine: software by extra, Java, accelerators, the Hub, the disk."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from e2r.errors import E2RError
from e2r.records.environment import code_version, environment

EXTRAS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "report": (
        "evaluate runs and build the leaderboard",
        ("ir_measures", "jinja2", "matplotlib", "orjson", "pandas", "pyarrow", "rich", "scipy"),
    ),
    "run": ("rerank with a model", ("accelerate", "gguf", "torch", "transformers")),
    "data": ("ir_datasets and Hugging Face datasets", ("datasets", "ir_datasets")),
    "http": ("ask a model behind a server", ("anyio", "httpx2", "tenacity")),
    "bm25": ("find candidates by BM25", ("pyserini", "jnius")),
    "ray": ("rerank on many GPUs or machines", ("ray",)),
    "prices": ("prices of known models, for --price genai:", ("genai_prices",)),
    "energy": ("record joules where the machine counts them", ("tirex_tracker",)),
}
"""What each extra is for, and the modules that it brings."""
SPARE = 2 * 10**9
"""Bytes of free disk below which a long run is at risk."""


@dataclass(frozen=True)
class Check:
    """One thing looked at: whether it works, what was found, and what to do where it does not."""

    name: str
    works: bool
    found: str
    remedy: str | None = None


def examine(runs: Path = Path("runs")) -> list[Check]:
    """Look at everything; nothing is installed, fetched or loaded. Takes a few seconds."""
    version = code_version()
    machine = environment("none")
    commit = f", commit {version.commit[:10]}" if version.commit else ""
    changed = ", with uncommitted changes" if version.dirty else ""
    return [
        Check("e2r", True, f"{version.version}{commit}{changed}, Python {machine.python}"),
        *(_extra(name) for name in EXTRAS),
        _processor(f"{machine.processor}, {machine.threads} threads"),
        _accelerators(),
        _asked("java", _java),
        _asked("hub", _hub),
        _disk(runs),
    ]


def to_json(checks: list[Check]) -> list[dict[str, Any]]:
    """One object a check."""
    return [asdict(check) for check in checks]


def _extra(name: str) -> Check:
    purpose, modules = EXTRAS[name]
    missing = [module for module in modules if importlib.util.find_spec(module) is None]
    if missing:
        found = f"{purpose}: {', '.join(missing)} not installed"
        return Check(f"e2r[{name}]", False, found, f"pip install 'e2r[{name}]'")
    return Check(f"e2r[{name}]", True, purpose)


def _processor(name: str) -> Check:
    from e2r.flops.hardware import measure_cpu

    measured = measure_cpu()
    return Check(
        "processor",
        True,
        f"{name}; {measured.flops / 1e9:,.0f} GFLOP/s in float32 matrix products, "
        f"{measured.bandwidth / 1e9:,.0f} GB/s",
    )


def _accelerators() -> Check:
    program = shutil.which("nvidia-smi")
    if program is None:
        return Check("accelerator", False, "no NVIDIA driver; models run on the processor")
    done = subprocess.run([program, "-L"], capture_output=True, text=True, check=False)
    names = [line.strip() for line in done.stdout.splitlines() if line.strip()]
    if done.returncode or not names:
        found = (done.stderr or done.stdout).strip().splitlines()
        remedy = "mend the driver, or pass --device cpu"
        return Check("accelerator", False, found[0] if found else "nvidia-smi fails", remedy)
    return Check("accelerator", True, "; ".join(names))


def _asked(name: str, ask: Callable[[], Check]) -> Check:
    try:
        return ask()
    except (E2RError, ImportError) as error:
        return Check(name, False, str(error))


def _java() -> Check:
    from e2r.data.bm25.java import find_java

    found = find_java()
    return Check("java", True, f"Java {found.version} at {found.home}, for BM25")


def _hub() -> Check:
    from e2r import hub

    if hub.answers():
        return Check("hub", True, "the Hugging Face Hub answers")
    remedy = "give models and data as folders, or fetch them to the cache elsewhere"
    return Check("hub", False, "the Hugging Face Hub does not answer, or is switched off", remedy)


def _disk(runs: Path) -> Check:
    place = runs.resolve()
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    writable = os.access(place, os.W_OK)
    found = f"{free / 1e9:,.0f} GB free at {place}" + ("" if writable else ", not writable")
    works = writable and free > SPARE
    return Check("disk", works, found, None if works else "name another folder by --runs")
