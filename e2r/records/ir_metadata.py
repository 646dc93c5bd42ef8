"""The ir_metadata sidecar: a run described in the field's own vocabulary (Breuer et al., 2022)."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from typing import Any

from e2r.records.manifest import Manifest


def sidecar(manifest: Manifest) -> str:
    """What a run can say of platform, implementation, method and data, as YAML.

    Actor and research goal are for the author of a submission to add.
    """
    import yaml

    facts = {
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
    }
    text: str = yaml.safe_dump(facts, sort_keys=False, allow_unicode=True)
    return text


def _platform(manifest: Manifest) -> dict[str, Any]:
    """What the work was done on; of a server's machine nobody but the server knows."""
    server = manifest.model.server
    if server is not None:
        software = server.version or server.software or "unknown"
        return {
            "hardware": {"cpu": {"model": "unknown"}, "device": "unknown"},
            "software": {"server": software, "libraries": {}},
        }
    return {
        "hardware": {
            "cpu": {"model": _all(machine.processor for machine in manifest.worked)},
            "device": _all(machine.device for machine in manifest.worked),
        },
        "software": {"libraries": {"python": list(_requirements(manifest))}},
    }


def _requirements(manifest: Manifest) -> list[str]:
    packages = {pair for machine in manifest.worked for pair in machine.packages.items()}
    return [f"{name}=={version}" for name, version in sorted(packages)]


def _all(words: Iterable[str]) -> str:
    return " + ".join(sorted(set(words)))
