"""The options by which commands ask for seconds, joules, money and the first stage's price."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from e2r.cli import completing
from e2r.cli.money import WIDTH
from e2r.errors import UsageError

if TYPE_CHECKING:
    from e2r.flops.first_stage import Stage
    from e2r.forecast.clock import Clock, Timed

ON = click.option(
    "--on",
    "on",
    metavar="DEVICE",
    shell_complete=completing.accelerators,
    help="Seconds too: an accelerator (e2r list accelerators), a file that e2r calibrate made, "
    "or here.",
)
UTILIZATION = click.option(
    "--utilization",
    type=float,
    metavar="SHARE",
    help="Expected seconds, at this share of both peaks; above 0, at most 1.",
)
CONCURRENCY = click.option(
    "--concurrency",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Queries in flight, whose calls share passes.",
)
PRICE = click.option(
    "--price-per-hour", type=float, metavar="MONEY", help="Of one accelerator; money too."
)
BATCH = click.option(
    "--batch-size",
    type=click.IntRange(min=1),
    default=16,
    show_default=True,
    help="Calls that share a pass at most, for seconds.",
)
BITS = click.option(
    "--weight-bits",
    type=click.IntRange(min=1, max=64),
    default=16,
    show_default=True,
    help="Bits of a stored weight: changes bytes, not FLOPs.",
)
KIND = click.option(
    "--first-stage",
    "first_stage",
    type=click.Choice(["bm25", "sparse", "dense", "late", "none"]),
    default="none",
    show_default=True,
    help="Price finding the candidates too.",
)
DOCUMENTS = click.option("--documents", type=int, help="Size of the searched collection.")
OF_A_KIND = {
    "posting_share": click.option(
        "--posting-share", type=float, help="Of bm25: share of documents that hold a term; all."
    ),
    "overlap": click.option(
        "--overlap", type=float, help="Of sparse: expected terms shared with a document."
    ),
    "encoder": click.option("--encoder", help="What reads the query: a model's name, or none."),
    "dimensions": click.option("--dimensions", type=int, help="Of dense (768) and late (128)."),
    "visited": click.option(
        "--visited", type=int, help="Of dense (HNSW) and late: documents compared; default: all."
    ),
    "document_tokens": click.option(
        "--document-tokens", type=int, help="Of late: vectors a document; default 80."
    ),
}
"""Parameters of a first stage beside the collection's size."""


def of_a_first_stage(command: Any) -> Any:
    """The parameters of a first stage, for a command that knows it and its documents already."""
    for option in reversed(OF_A_KIND.values()):
        command = option(command)
    return command


def priced_pipeline(command: Any) -> Any:
    """The options of the device and of a first stage."""
    command = of_a_first_stage(command)
    for option in (DOCUMENTS, KIND, BITS, BATCH, PRICE, CONCURRENCY, UTILIZATION, ON):
        command = option(command)
    return command


def clock_of(options: dict[str, Any], dtype: str | None = None) -> Clock | None:
    """The clock that is asked for; None without --on.

    Raises UsageError for options of a device where none is named, for an unknown device and for
    shares and prices that cannot be, DataError for a calibration of other numbers than `dtype`.
    """
    from e2r.flops.hardware import accelerator
    from e2r.forecast.clock import Clock

    on = options["on"]
    if on is None:
        for name in ("utilization", "price_per_hour"):
            if options.get(name) is not None:
                typed = "price hour=…, or --price-per-hour," if "price" in name else name
                raise UsageError(f"--{typed} is of a device: name one by --on, as in --on H100")
        if options.get("concurrency", 1) != 1:
            raise UsageError("--concurrency is of a device: name one by --on, as in --on H100")
        return None
    used = {
        name: options[name]
        for name in ("utilization", "batch_size", "concurrency", "price_per_hour", "weight_bits")
        if options.get(name) is not None
    }
    if on == "here" or on.endswith(".json"):
        from e2r.cli.calibrate import calibration_of

        found = calibration_of(on, dtype)
        return Clock(
            found.device,
            calibration=found,
            batch_tokens=options.get("batch_tokens") or found.about["load"]["batch_tokens"],
            **used,
        )
    return Clock(accelerator(on), **used)


def stages_of(options: dict[str, Any], query_tokens: int) -> tuple[Stage, ...]:
    """The first stage that is asked for; nothing for none.

    Raises UsageError for parameters without a first stage.
    """
    given = {name: options[name] for name in ("documents", *OF_A_KIND) if options[name] is not None}
    if options["first_stage"] == "none":
        if given:
            name = next(iter(given)).replace("_", "-")
            raise UsageError(f"--{name} is of a first stage: name one by --first-stage")
        return ()
    from e2r.forecast.pipeline import FirstStage

    return FirstStage(options["first_stage"], **given).stages(query_tokens)


def stages_of_queries(
    kind: str, options: dict[str, Any], queries: Sequence[str]
) -> tuple[Stage, ...]:
    """The first stage of real queries, counted in words: means over them.

    Nothing where its name is none that is priced, or nothing says how much was searched.
    """
    from statistics import fmean

    from e2r.flops.first_stage import Stage
    from e2r.forecast.pipeline import KINDS, FirstStage

    given = {name: value for name, value in options.items() if value is not None}
    if kind not in KINDS or "documents" not in given or not queries:
        if name := next((name for name in given if name != "documents"), None):
            raise UsageError(
                f"--{name.replace('_', '-')} is of a first stage: name one by --first-stage "
                f"({', '.join(KINDS)}), and --documents"
            )
        return ()
    searched = FirstStage(kind, **given)
    found = [searched.stages(max(1, len(query.split()))) for query in queries]
    return tuple(
        Stage(
            parts[0].name,
            round(fmean(part.flops for part in parts)),
            round(fmean(part.bytes for part in parts)),
        )
        for parts in zip(*found, strict=True)
    )


def pipeline_figures(stages: tuple[Stage, ...], reranker: float | None) -> dict[str, Any]:
    """The first stage's FLOPs a query by part, and the pipeline's; nothing where none is asked."""
    if not stages:
        return {}
    first = sum(stage.flops for stage in stages)
    return {
        "first_stage": [{"name": stage.name, "flops": stage.flops} for stage in stages],
        "first_stage_flops_per_query": first,
        "pipeline_flops_per_query": None if reranker is None else reranker + first,
    }


def timed_lines(timed: Timed) -> list[str]:
    """Seconds, joules and money as lines of text, floor and expected apart."""
    figures = timed.figures()
    words = "floor: no run is faster", f"expected: {timed.basis}"
    lines = [f"on {timed.device.name}, {timed.concurrency} in flight, a query takes"]
    for kind, word in zip(("floor", "expected"), words, strict=True):
        seconds = figures[f"{kind}_seconds_per_query"]
        if seconds is None:
            lines.append("  no expected seconds: give --utilization, or --on a calibration")
            continue
        parts = timed.floor if kind == "floor" else timed.best
        split = f"prefill {duration(parts.prefill)}, decode {duration(parts.decode)}"
        if parts.first_stage:
            split += f", first stage {duration(parts.first_stage)}"
        line = f"  {duration(seconds):>10}  {word} ({split})"
        if len(line) <= WIDTH:
            lines.append(line)
        else:
            lines += [f"  {duration(seconds):>10}  {word}", f"  {'':>10}  ({split})"]
        more = [
            (f"latency {duration(figures[f'{kind}_latency_seconds'])}", timed.concurrency > 1),
            (_joules(figures[f"{kind}_joules_per_query"]), timed.device.watts is not None),
            (
                _money(figures[f"{kind}_price_per_million_queries"]),
                timed.price_per_hour is not None,
            ),
        ]
        if shown := ", ".join(text for text, there in more if there):
            lines.append(f"  {'':>10}  {shown}")
    return lines


def duration(seconds: float) -> str:
    """Seconds in the unit that suits them."""
    if seconds == 0:
        return "0 s"
    for unit, scale in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= scale:
            return f"{seconds / scale:,.3g} {unit}" if seconds < 1000 else f"{seconds:,.0f} s"
    return f"{seconds * 1e9:.3g} ns"


def _joules(value: float | None) -> str:
    return "" if value is None else f"{value:,.3g} J at board power"


def _money(value: float | None) -> str:
    return "" if value is None else f"{value:,.4g} a million queries"
