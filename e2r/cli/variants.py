"""The options that make another model of one: config facts, layers, adapters, fewer tokens."""

from __future__ import annotations

import json
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import click

from e2r.cli import print_json
from e2r.cli.options import parameters_given
from e2r.cli.whole_method import lengths_of
from e2r.errors import UsageError

if TYPE_CHECKING:
    from e2r.flops.architecture import Architecture
    from e2r.forecast.clock import Clock

OPTIONS = (
    click.option(
        "--task",
        type=click.Choice(["generation", "classification", "embedding"]),
        help="Which head the model has; read from its config unless given.",
    ),
    click.option(
        "--set", "overrides", multiple=True, metavar="FIELD=VALUE", help="Change a config fact."
    ),
    click.option("--exit-after", type=int, metavar="LAYER", help="Leave after this many layers."),
    click.option(
        "--skip-layers", metavar="N,N-M", help="Leave out layers of the last stack, from 1."
    ),
    click.option(
        "--compress-after",
        type=int,
        metavar="LAYER",
        help="Keep a share of the prompt's tokens from there on.",
    ),
    click.option("--keep-tokens", metavar="SHARE", help="That share, as 0.25 or 1/4; default 1/2."),
    click.option(
        "--compress",
        metavar="LAYERS:RATIO:KEPT",
        help="Pool the passage's states before these layers, all but KEPT tokens: 24,40:2:45.",
    ),
    click.option("--lora-rank", type=int, help="Unmerged LoRA adapters of this rank."),
    click.option(
        "--lora-targets",
        default="q_proj,v_proj",
        show_default=True,
        help="Matrices that carry them, by the end of their names.",
    ),
)


def of_a_variant(command: Any) -> Any:
    """The options of another model than the config's own."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command


def architecture_of(model: str, options: dict[str, Any]) -> Architecture:
    """The model with what the options change of it."""
    from e2r.flops import variants
    from e2r.flops.architecture import Architecture

    arch = Architecture.load(model, task=options["task"])
    if options["overrides"]:
        arch = variants.override(arch, dict(_override(text) for text in options["overrides"]))
    # A layer's number is that of the whole model: tokens go first, then layers from the end.
    if options["compress_after"] is not None:
        kept = _share(options["keep_tokens"] or "1/2")
        arch = variants.compress(arch, options["compress_after"], kept)
    elif options["keep_tokens"] is not None:
        raise UsageError("--keep-tokens is of --compress-after LAYER; give both")
    if options["exit_after"] is not None:
        arch = variants.exit_after(arch, options["exit_after"])
    if options["skip_layers"] is not None:
        arch = variants.skip(arch, _places(options["skip_layers"]))
    if options["compress"] is not None:
        arch = variants.compressed(arch, *_compression(options["compress"]))
    if options["lora_rank"] is not None:
        targets = options["lora_targets"].split(",")
        arch = variants.with_lora(arch, options["lora_rank"], targets)
    return arch


def sweep(
    model: str,
    convention: str,
    options: dict[str, Any],
    clock: Clock | None,
    prompt_tokens: int | None,
    as_json: bool,
) -> None:
    """Print active and total parameters, cost and seconds for each value of a fact."""
    from e2r.flops.estimate import estimate
    from e2r.flops.work import Usage
    from e2r.forecast.demand import demand, usages_of
    from e2r.forecast.method import forecast
    from e2r.ranking import named

    name, equals, values = options["sweep"].partition("=")
    if not equals or not values:
        raise UsageError(
            f"--sweep {options['sweep']!r}: write NAME=V,V, as num_experts_per_tok=1,2"
        )
    if options["method"] is None and prompt_tokens is None:
        raise UsageError("--sweep prices calls: give --prompt-tokens or --method")
    if options["method"] is not None:
        named(options["method"], None)
    rows = []
    for value in values.split(","):
        if name in ("exit-after", "exit_after"):
            changed = {**options, "exit_after": _number(value)}
        else:
            changed = {**options, "overrides": (*options["overrides"], f"{name}={value}")}
        arch = architecture_of(model, changed)
        if options["method"] is not None:
            priced = forecast(
                arch,
                options["method"],
                depth=options["depth"],
                k=options["k"],
                parameters=parameters_given(options),
                lengths=lengths_of(options),
                convention=convention,
                answers=options["answers"],
            )
            flops, asked = priced.flops, priced.demand(arch)
        else:
            usage = Usage(int(prompt_tokens or 1))
            flops = estimate(arch, usage, convention).total
            asked = demand(arch, usages_of(arch, [usage]), [1], 1)
        timed = None if clock is None else clock.time(asked)
        parameters = arch.parameters
        rows.append(
            {
                name: value,
                "total": parameters.total,
                "active": parameters.active,
                "flops_per_query": flops,
                **({} if timed is None else timed.figures()),
            }
        )
    if as_json:
        print_json(rows)
        return
    head = f"{name[:24]:>24} {'total, M':>11} {'active, M':>11} {'share':>6} {'FLOPs':>11}"
    click.echo(head + ("" if clock is None else f" {'floor, s':>11}"))
    for row in rows:
        line = (
            f"{row[name][:24]:>24} {row['total'] / 1e6:>11,.1f} {row['active'] / 1e6:>11,.1f} "
            f"{row['active'] / row['total']:>6.0%} {row['flops_per_query']:>11.4g}"
        )
        seconds = row.get("floor_seconds_per_query")
        click.echo(line + ("" if seconds is None else f" {seconds:>11.4g}"))


def _override(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise UsageError(f"--set {text!r}: write FIELD=VALUE, as in num_hidden_layers=20")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def _compression(text: str) -> tuple[list[int], int, int]:
    layers, _, rest = text.partition(":")
    try:
        ratio, kept = (int(part) for part in rest.split(":"))
        return [int(layer) for layer in layers.split(",")], ratio, kept
    except ValueError:
        raise UsageError(f"--compress {text!r}: write LAYERS:RATIO:KEPT, as 24,40:2:45") from None


def _share(text: str) -> Fraction:
    try:
        return Fraction(text)
    except (ValueError, ZeroDivisionError):
        raise UsageError(f"--keep-tokens {text!r}: give a share, as 0.25 or 1/4") from None


def _number(text: str) -> int:
    if not text.isdecimal():
        raise UsageError(f"{text!r}: give a whole number")
    return int(text)


def _places(text: str) -> list[int]:
    """Numbers and ranges, as 3,5-8."""
    found: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        low, high = _number(first), _number(last or first)
        if high - low > 10_000:
            raise UsageError(f"--skip-layers {part!r}: more layers than a model has")
        found += range(low, high + 1)
    return found
