"""What-if on the command line: another config, fewer layers, a pooled prompt, adapters."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from e2r.errors import UsageError

if TYPE_CHECKING:
    from e2r.flops.architecture import Architecture


def altered(
    model: str,
    task: str | None,
    overrides: tuple[str, ...],
    exit_after: int | None,
    compress: str | None,
    lora_rank: int | None,
    lora_targets: str,
) -> Architecture:
    """The architecture of a model under the what-if options of `e2r estimate`.

    Raises UsageError for options that cannot be read, and what the variants raise.
    """
    from e2r.flops.architecture import Architecture

    arch = Architecture.load(model, task=task)  # type: ignore[arg-type]
    if overrides or (exit_after, compress, lora_rank) != (None, None, None):
        from e2r.flops import variants

        if overrides:
            arch = variants.override(arch, dict(_override(text) for text in overrides))
        if exit_after is not None:
            arch = variants.exit_after(arch, exit_after)
        if compress is not None:
            arch = variants.compressed(arch, *_compression(compress))
        if lora_rank is not None:
            arch = variants.with_lora(arch, lora_rank, lora_targets.split(","))
    return arch


def _compression(text: str) -> tuple[list[int], int, int]:
    layers, _, rest = text.partition(":")
    try:
        ratio, kept = (int(part) for part in rest.split(":"))
        return [int(layer) for layer in layers.split(",")], ratio, kept
    except ValueError:
        raise UsageError(f"--compress {text!r}: write LAYERS:RATIO:KEPT, as 24,40:2:45") from None


def _override(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise UsageError(f"--set {text!r}: write FIELD=VALUE, as in num_hidden_layers=20")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value
