"""What the shell offers when a user presses Tab: models, methods, measures, devices, runs."""

from __future__ import annotations

from collections.abc import Iterable

import click
from click.shell_completion import CompletionItem

from e2r.borders.showing import is_plain


def _beginning(names: Iterable[str], incomplete: str) -> list[str]:
    folded = incomplete.casefold()
    found = [name for name in names if name.casefold().startswith(folded)]
    return [name for name in found if is_plain(name)]


def methods(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Ranking methods; in a list with commas, its last one."""
    from e2r.ranking import METHODS

    before, comma, last = incomplete.rpartition(",")
    return [f"{before}{comma}{name}" for name in _beginning(METHODS, last)]


def architectures(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Models of the catalogue."""
    from e2r.flops.catalogue import entries

    return _beginning(entries(), incomplete)


def models(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[str | CompletionItem]:
    """Models of the catalogue, and the first words of those from elsewhere; files after gguf:."""
    from e2r.models import BACKENDS

    if incomplete.startswith(("gguf:", "replay:")):
        return [CompletionItem(incomplete, type="file")]
    words = [word + colon for word, colon, _ in (name.partition(":") for name in BACKENDS)]
    ours = [word for word in words if word == word.lower()]
    return [*_beginning(ours, incomplete), *architectures(context, parameter, incomplete)]


def measures(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Measures as ir-measures spells them, at the usual cutoffs."""
    import ir_measures

    named = [
        f"{measure}@10" if "cutoff" in measure.SUPPORTED_PARAMS else str(measure)
        for measure in ir_measures.measures.registry.values()
    ]
    return _beginning(sorted(set(named)), incomplete)


def accelerators(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Accelerators with a data sheet."""
    from e2r.flops.hardware import ACCELERATORS

    return _beginning(ACCELERATORS, incomplete)


def conventions(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Counting conventions."""
    from e2r.flops.conventions import CONVENTIONS

    return _beginning(CONVENTIONS, incomplete)


def devices(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """What PyTorch calls the devices; asking which are here would load it."""
    return _beginning(["auto", "cpu", "cuda", "cuda:0", "cuda:1", "mps"], incomplete)


def runs(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[str | CompletionItem]:
    """Folders: the shell looks for them, one level at a time."""
    return [CompletionItem(incomplete, type="dir")]
