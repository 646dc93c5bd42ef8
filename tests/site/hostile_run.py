"""A run whose every text field holds script."""

from __future__ import annotations

from typing import Any

from e2r.records.folder import RunFolder

HOSTILE = (
    "</script><script>alert(1)</script>\"'&{{7*7}}${7*7}$x$--><svg onload=x>\u2028javascript:x"
)
ASKED: dict[str, Any] = {
    "model": "evil",
    "revision": HOSTILE,
    "notes": (HOSTILE,),
    "command": ("e2r", HOSTILE),
    "rankings": {"<b>q1": ("<i>a", "b"), "q2": ("b",)},
    "calls": {"<b>q1": [(9, 1, 1)], "q2": [(7, 1, 1)]},
    "judgments": {"<b>q1": {"<i>a": 1}, "q2": {"b": 1}},
}
"""What to record before its manifest is made evil."""


def write_evil(folder: RunFolder, text: str = HOSTILE) -> None:
    """Put the text into every text field of a run's manifest."""
    manifest = folder.manifest()
    changes: dict[str, Any] = {
        "method": text,
        "run": "../../../../etc/passwd",
        "started": text,
        "finished": text,
        "e2r": text,
        "commit": text,
        "prompts": {text: text},
        "model": manifest.model.model_copy(update={"id": text, "name": text, "dtype": text}),
        "dataset": manifest.dataset.model_copy(
            update={"id": text, "first_stage": text, "candidates_sha256": text}
        ),
        "environment": manifest.environment.model_copy(
            update={"processor": text, "device": text, "packages": {text: text}}
        ),
    }
    folder.write_manifest(manifest.model_copy(update=changes))
