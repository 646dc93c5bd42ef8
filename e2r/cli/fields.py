"""The fields of spec.toml, from its models, with the meaning that `e2r run --help` gives them."""

from __future__ import annotations

import types
from collections.abc import Iterator
from typing import Any, Literal, Union, get_args, get_origin

import click
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from e2r.cli.run import command as run_command
from e2r.records.spec import Spec

OPTIONS = {
    "model.source": "model",
    "method.name": "method",
    "execution.ray.cpus": "worker_cpus",
    "execution.ray.gpus": "worker_gpus",
}
"""Options of another name than their field's."""
MEANINGS = {
    "seed": "Where every random choice of the run begins.",
    "method.parameters": "The method's own numbers, as set_size, window, step, repeats and "
    "tournaments: --set-size and its like.",
    "method.then": "Further methods over the top of the output: [[method.then]] tables; --then.",
    "method.then.name": "The further method.",
    "method.then.over": "How many of the output's first it is asked about.",
    "method.then.k": "How many of them must be in order.",
    "method.then.parameters": "Its own numbers.",
    "method.then.template": "Its prompt template.",
    "execution.server": "A table, where the model is behind a server.",
    "execution.ray": "A table, where a Ray cluster does the work.",
}
"""What no option says."""


def fields() -> list[dict[str, str]]:
    """Every field: name with its tables, type, default (empty: it must be given), meaning."""
    helps: dict[str | None, str] = {
        option.name: option.help or ""
        for option in run_command.params
        if isinstance(option, click.Option)
    }
    return [
        {
            "field": name,
            "type": _type(info.annotation),
            "default": _default(info),
            "meaning": MEANINGS.get(name) or _meaning(name, helps),
        }
        for name, info in _walk(Spec, "")
    ]


def markdown() -> str:
    """docs/spec.md, whole."""
    lines = [
        "# spec.toml",
        "",
        "Everything that a run was asked to do: `e2r run spec.toml` does it, and each run folder",
        "holds its own. Options of `e2r run` make one; a file's paths are seen from its folder.",
        "A name that is no field is refused. What executes, sends or spends is typed, not read:",
        "see [security](security.md).",
        "",
        "This page is made by `e2r list fields --markdown` from the models that read the file.",
    ]
    table = None
    for row in fields():
        place, _, name = row["field"].rpartition(".")
        if place != table:
            heading = f"[{place}]" if place else "At the top"
            lines += ["", f"## {heading}", "", "| field | type | default | meaning |"]
            lines += ["|---|---|---|---|"]
            table = place
        cells = [f"`{name}`", row["type"], row["default"], row["meaning"]]
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def _walk(model: type[BaseModel], place: str) -> Iterator[tuple[str, FieldInfo]]:
    """Plain fields first, then tables, as TOML wants them."""
    inner: list[tuple[str, type[BaseModel]]] = []
    for name, info in model.model_fields.items():
        below = _model(info.annotation)
        if below is not None:
            inner.append((f"{place}{name}", below))
        if below is None or f"{place}{name}" in MEANINGS:
            yield f"{place}{name}", info
    for name, below in inner:
        yield from _walk(below, f"{name}.")


def _model(annotation: Any) -> type[BaseModel] | None:
    """The model inside of an annotation, if there is one."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _model(part))), None)


def _type(annotation: Any) -> str:
    if _model(annotation) is not None:
        return "table"
    if get_origin(annotation) is Literal:
        return ", ".join(f"`{word}`" for word in get_args(annotation))
    if get_origin(annotation) in (Union, types.UnionType):
        parts = [part for part in get_args(annotation) if part is not type(None)]
        return " or ".join(map(_type, parts))
    names = {str: "text", int: "whole number", float: "number", bool: "true or false"}
    return names.get(annotation, "table of whole numbers")


def _default(info: FieldInfo) -> str:
    if info.is_required():
        return "must be given"
    if info.default is None or _model(info.annotation) is not None:
        return ""
    if isinstance(info.default, bool):
        return f"`{str(info.default).lower()}`"
    return f"`{info.default}`" if info.default not in ({}, ()) else ""


def _meaning(name: str, helps: dict[str | None, str]) -> str:
    option = OPTIONS.get(name, name.rpartition(".")[2])
    text = helps.get(option, "")
    return f"{text} `--{option.replace('_', '-')}`".strip()
