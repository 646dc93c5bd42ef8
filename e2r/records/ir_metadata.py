"""The ir_metadata sidecar: a run described in the field's own vocabulary (Breuer et al., 2022)."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from typing import Any

from e2r.records.manifest import Manifest

SCHEMA = "0.2"
"""The version of ir_metadata whose words these are."""


def sidecar(manifest: Manifest) -> str:
    """What a run can say of platform, implementation, method and data, as YAML.

    Actor and research goal are for the author of a submission to add.
    """
    import yaml

    facts = {
        "schema version": SCHEMA,
        "tag": f"e2r-{manifest.method}",
        "platform": _platform(manifest),
        "implementation": {
            "executable": {"cmd": shlex.join(manifest.command)},
            "source": {"lang": ["python"], "commit": manifest.commit or "unknown"},
        },
        "method": {
            "automatic": True,
            "score ties": "first-stage order",
            "retrieval": [
                {"name": manifest.dataset.first_stage, "method": "first stage"},
                {
                    "name": manifest.model.name,
                    "method": manifest.method,
                    "reranks": manifest.dataset.first_stage,
                    "depth": manifest.dataset.depth,
                },
            ],
        },
        "data": {"test collection": {"name": manifest.dataset.id}},
        **_resources(manifest),
    }
    text: str = yaml.safe_dump(facts, sort_keys=False, allow_unicode=True)
    return text


def _resources(manifest: Manifest) -> dict[str, Any]:
    """What the run used, in tirex-tracker's words; nothing where nobody recorded it."""
    used = manifest.resources
    if used is None:
        return {}
    found: dict[str, dict[str, Any]] = {
        "runtime": {
            "wallclock": f"{used.wall_seconds * 1000:.0f} ms",
            "user": f"{used.user_seconds * 1000:.0f} ms",
            "system": f"{used.system_seconds * 1000:.0f} ms",
        },
        "cpu": {},
        "gpu": {},
        "ram": {"used process": {"max": f"{used.peak_memory // 1000} KB"}},
    }
    if used.cpu_percent is not None:
        found["cpu"]["used process"] = {"avg": f"{used.cpu_percent:.0f} %"}
    for part in ("cpu", "gpu", "ram"):
        joules = getattr(used, f"{part}_joules")
        if used.tracker is not None:
            found[part]["energy used system"] = "null J" if joules is None else f"{joules:g} J"
    return {"resources": {part: facts for part, facts in found.items() if facts}}


def _platform(manifest: Manifest) -> dict[str, Any]:
    """What the work was done on; of a server's machine nobody but the server knows."""
    server = manifest.model.server
    if server is not None:
        software = server.version or server.software or "unknown"
        return {
            "hardware": {"cpu": {"model": "unknown"}, "device": "unknown"},
            "software": {"server": software, "libraries": {}},
        }
    used = manifest.resources
    return {
        "hardware": {
            "cpu": {
                "model": _all(machine.processor for machine in manifest.worked),
                **({} if used is None else {"number of cores": used.cores}),
            },
            "device": _all(machine.device for machine in manifest.worked),
            **({} if used is None or used.gpu is None else {"gpu": used.gpu}),
        },
        **({} if used is None else {"operating system": {"distribution": used.operating_system}}),
        "software": {
            "libraries": {"python": list(_requirements(manifest))},
            **({"tracker": used.tracker} if used is not None and used.tracker else {}),
        },
    }


def _requirements(manifest: Manifest) -> list[str]:
    packages = {pair for machine in manifest.worked for pair in machine.packages.items()}
    return [f"{name}=={version}" for name, version in sorted(packages)]


def _all(words: Iterable[str]) -> str:
    return " + ".join(sorted(set(words)))
