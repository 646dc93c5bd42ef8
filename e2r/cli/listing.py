"""`e2r list`: the names that other commands take."""

from __future__ import annotations

from typing import Any

import click

from e2r.borders.showing import shown
from e2r.cli import print_json


@click.command("list")
@click.argument(
    "kind",
    type=click.Choice(
        [
            "models",
            "methods",
            "backends",
            "engines",
            "conventions",
            "datasets",
            "accelerators",
        ]
    ),
)
@click.option("--json", "as_json", is_flag=True, help="JSON on stdout.")
def command(kind: str, as_json: bool) -> None:
    """Show the known models, methods, backends, engines, conventions, datasets or accelerators.

    Methods and models are tables; --json holds more of each.

    Example: e2r list methods
    """
    if kind in ("models", "methods") and not as_json:
        from e2r.cli import known

        for line in known.models() if kind == "models" else known.methods():
            click.echo(shown(line))
        return
    rows = _rows(kind)
    if as_json:
        print_json(rows)
        return
    width = max(len(row["name"]) for row in rows)
    for row in rows:
        rest = "; ".join(
            f"{key}: {_text(value)}" if key != "summary" else str(value)
            for key, value in row.items()
            if key != "name"
        )
        click.echo(f"{row['name']:<{width}}  {rest}")


def _text(value: object) -> object:
    return (", ".join(value) or "nothing") if isinstance(value, list) else value


def _rows(kind: str) -> list[dict[str, Any]]:
    if kind == "models":
        from e2r.flops.catalogue import entries

        return [
            {"name": name, **{key: entry[key] for key in ("source", "revision", "confirmed")}}
            for name, entry in entries().items()
        ]
    if kind == "methods":
        from e2r.ranking import METHODS, method
        from e2r.ranking.own import installed

        found = [method(name) for name in (*METHODS, *installed())]
        return [
            {
                "name": item.name,
                "summary": item.summary,
                "calls": item.calls,
                "rounds": item.rounds,
                "parameters": dict(item.parameters),
                **({"trained checkpoints": ", ".join(item.trained)} if item.trained else {}),
                "source": item.source,
            }
            for item in found
        ]
    if kind == "backends":
        from e2r.models import BACKENDS

        return [{"name": name, "summary": summary} for name, summary in BACKENDS.items()]
    if kind == "engines":
        from e2r.engines import ENGINES

        return [{"name": name, "summary": summary} for name, (_, summary) in ENGINES.items()]
    if kind == "accelerators":
        from e2r.flops.hardware import ACCELERATORS

        return [
            {
                "name": name,
                "TFLOP/s in 16 bits": device.flops / 1e12,
                "GB/s": device.bandwidth / 1e9,
                "GB": device.memory / 1e9,
                "W": device.watts,
                "source": device.source,
            }
            for name, device in ACCELERATORS.items()
        ]
    if kind == "conventions":
        from e2r.flops.conventions import CONVENTIONS

        return [
            {"name": name, "summary": convention.summary}
            for name, convention in CONVENTIONS.items()
        ]
    from e2r.data.words import SOURCES

    return [
        {"name": name, "summary": word.summary, "parts": word.parts, "command": word.command}
        for name, word in SOURCES.items()
    ]
