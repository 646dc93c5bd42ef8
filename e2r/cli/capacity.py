"""`e2r capacity`: accelerators, latency, joules and money for so many queries a second."""

from __future__ import annotations

from dataclasses import asdict
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from e2r.cli import completing, print_json
from e2r.cli.hosting import bought_of, draw, known_both, offers_of, versus_lines
from e2r.cli.money import PRICE_LIST, list_of, money_figures, money_lines, with_hour
from e2r.cli.options import PARAMETER, parameters_given
from e2r.cli.qualities import BOARD
from e2r.cli.timing import clock_of, duration, priced_pipeline, stages_of
from e2r.cli.variants import architecture_of, of_a_variant
from e2r.cli.whole_method import lengths_of
from e2r.errors import UsageError

if TYPE_CHECKING:
    from e2r.forecast.capacity import Lever, Service


@click.command("capacity")
@click.argument("model", shell_complete=completing.architectures)
@click.option(
    "--method",
    required=True,
    shell_complete=completing.methods,
    help="A ranking method; see e2r list methods.",
)
@click.option("--qps", type=float, required=True, help="Queries a second that arrive.")
@click.option("--depth", type=int, default=100, show_default=True, help="Candidates a query.")
@click.option("--k", type=int, default=10, show_default=True, help="How many must be in order.")
@click.option("--set-size", type=int, help="Passages a setwise call.")
@click.option("--window", type=int, help="Passages a listwise call.")
@click.option("--step", type=int, help="How far the listwise window moves.")
@click.option("--repeats", type=int, help="Passes of the listwise window.")
@click.option("--tournaments", type=int, help="Tournaments whose points are added.")
@click.option("--pivot", type=int, help="The pivot's place in a partition's first window.")
@PARAMETER
@click.option("--answer-tokens", type=int, help="New tokens of a thought, for reasoning methods.")
@click.option("--query-tokens", type=int, default=9, show_default=True, help="Tokens a query.")
@click.option("--passage-tokens", type=int, default=75, show_default=True, help="Tokens a passage.")
@click.option(
    "--extra-tokens", type=int, default=0, show_default=True, help="Further tokens of each prompt."
)
@of_a_variant
@priced_pipeline
@PRICE_LIST
@click.option(
    "--versus",
    multiple=True,
    metavar="[MODEL@]LIST",
    help="An offer to hold the accelerators against, as --price has it; may be repeated. With the "
    "board's name of its MODEL both qualities are told.",
)
@BOARD
@click.option(
    "--picture",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Draw a month's cost over the traffic, of --versus, as .svg or .png.",
)
@click.option("--json", "as_json", is_flag=True, help="JSON alone on stdout.")
def command(
    model: str,
    method: str,
    qps: float,
    price_list: str | None,
    versus: tuple[str, ...],
    picture: Path | None,
    board: str | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Say what a service of MODEL needs under a load, and what would save some of it.

    The floor is at the data sheet's peaks; expected figures follow from --utilization, or from a
    calibration by --on FILE or --on here. Latency is that of a query while --concurrency queries
    are in flight on an accelerator; waiting for a free one comes on top.

    \b
    Examples:
      e2r capacity Qwen/Qwen2.5-7B-Instruct --method setwise.heapsort --depth 50 --qps 1000 \\
          --on H100 --utilization 0.4 --price-per-hour 2
      e2r capacity Qwen/Qwen3-Reranker-0.6B --method pointwise.cross_encoder --depth 100 \\
          --qps 5 --on L4 --utilization 0.4 --price hour=0.80 --versus search=2.00
      e2r capacity BAAI/bge-reranker-base --method pointwise.cross_encoder --depth 50 --qps 20 \\
          --on here
    """
    from e2r.forecast.capacity import Asked, capacity, levers
    from e2r.ranking import named

    prices = list_of(price_list)
    clock = clock_of(with_hour(options, prices))
    if clock is None:
        raise UsageError("capacity is of a device: name one by --on, as in --on L4")
    named(method, None)
    asked = Asked(
        model,
        architecture_of(model, options),
        method,
        options["depth"],
        options["k"],
        parameters_given(options),
        lengths_of(options),
    )
    stages = stages_of(options, options["query_tokens"])
    service = capacity(asked, clock, qps, stages)
    found = levers(asked, clock, qps, stages)
    bought = bought_of(service, prices, asked)
    offers = offers_of(service, prices, versus, asked)
    known = known_both(versus, board, asked)
    if picture is not None:
        draw(offers, qps, picture)
    if as_json:
        print_json(
            {
                "model": model,
                "method": method,
                "depth": options["depth"],
                **service.to_json(),
                **({} if prices is None or bought is None else money_figures(prices, bought)),
                **(
                    {
                        "versus": [
                            {
                                **each.to_json(Decimal(repr(qps))),
                                "quality": None if found is None else asdict(found),
                            }
                            for each, found in zip(offers, known, strict=True)
                        ]
                    }
                    if offers
                    else {}
                ),
                "first_stage": [{"name": it.name, "flops": it.flops} for it in stages],
                "levers": [
                    {"name": lever.name, "why": lever.why}
                    | (lever.service.to_json() if lever.service else {})
                    for lever in found
                ],
            }
        )
        return
    click.echo(f"{method} on {model}, depth {options['depth']}, {qps:g} queries a second")
    for line in _service_lines(service):
        click.echo(line)
    if prices is not None and bought is not None:
        for line in money_lines(prices, bought):
            click.echo(line)
    for line in versus_lines(offers, Decimal(repr(qps)), service, known):
        click.echo(line)
    for line in _lever_lines(service, found):
        click.echo(line)


def _service_lines(service: Service) -> list[str]:
    timed, device = service.timed, service.timed.device
    words = ["floor"] if timed.expected is None else ["floor", "expected"]
    figures = timed.figures()
    rows = [("", words)]

    def row(label: str, key: str, form: Any) -> None:
        cells = [figures[f"{word}_{key}"] for word in words]
        if None not in cells:
            rows.append((label, [form(cell) for cell in cells]))

    counts = [service.least_accelerators, service.accelerators][: len(words)]
    rows.append((f"{device.name}s needed", [f"{count:,}" for count in counts]))
    each = [timed.told("queries_per_second", it) for it in (timed.floor, timed.best)]
    rows.append(
        (
            "queries a second each",
            ["any" if it is None else f"{it:,.4g}" for it in each[: len(words)]],
        )
    )
    row(f"latency, {timed.concurrency} in flight", "latency_seconds", duration)
    row("device seconds a query", "seconds_per_query", duration)
    row("joules a query, board power", "joules_per_query", lambda it: f"{it:,.4g}")
    row("money a million queries", "price_per_million_queries", lambda it: f"{it:,.4g}")
    lines = [f"  {label:<28}" + "".join(f" {cell:>11}" for cell in cells) for label, cells in rows]
    lines.append(
        f"  {'memory of each':<28}{service.memory / 1e9:>9,.3g} GB of {device.memory / 1e9:,.0f}"
    )
    if timed.basis:
        lines.append(f"  expected from {timed.basis}; the floor no run beats")
    else:
        lines.append("  the floor no run beats; --utilization or a calibration tell what to expect")
    if timed.floor.first_stage:
        lines.append(f"  the first stage is in it, {duration(timed.best.first_stage)} a query")
    return lines


def _lever_lines(service: Service, found: list[Lever]) -> list[str]:
    lines = ["", f"  {'with':<34}{'needed':>9}{'latency':>11}{'saves':>9}"]
    now = service.timed.best.total
    for lever in found:
        if lever.service is None:
            lines.append(f"  {lever.name:<34}not possible: {lever.why[:40]}")
            continue
        timed = lever.service.timed
        share = 1 - timed.best.total / now if now else 0.0
        latency = duration(timed.told("latency") or 0.0)
        lines.append(
            f"  {lever.name:<34}{lever.service.accelerators:>9,} {latency:>10}{share:>9.0%}"
        )
    return [*lines, "  saves: of the accelerators' seconds; less than 0 % is a loss"]
