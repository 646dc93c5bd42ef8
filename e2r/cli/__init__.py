"""The command line: each command lives in its own module, imported when it is called."""

from __future__ import annotations

import errno
import os
import signal
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import click

from e2r.borders.showing import (
    AS_PLAIN,
    Dispensable,
    Guarded,
    Listing,
    ReaderLeftError,
    json_escaped,
    shown,
)
from e2r.errors import E2RError, MissingError, unknown

COMMANDS: dict[str, tuple[str, str]] = {
    "estimate": ("e2r.cli.estimate:command", "Price calls or a whole method, without a model run."),
    "plan": ("e2r.cli.plan:command", "What a run would cost, before any weight is loaded."),
    "run": ("e2r.cli.run:command", "Rerank a collection and record what each call cost."),
    "meter": ("e2r.cli.meter:command", "Count the calls of any Python program, unchanged."),
    "evaluate": ("e2r.cli.evaluate:command", "Quality, FLOPs, RPP and QPP of recorded runs."),
    "frontier": (
        "e2r.cli.frontier:command",
        "Which runs are worth their cost, and what most of it costs.",
    ),
    "compare": ("e2r.cli.compare:command", "Is one run better than another, at what cost?"),
    "price": ("e2r.cli.price:command", "A row of a ranking that others published."),
    "leaderboard": ("e2r.cli.leaderboard:command", "Build the static site from recorded runs."),
    "validate": ("e2r.cli.validate:command", "What is wrong or odd in runs, specs and data."),
    "reproduce": ("e2r.cli.reproduce:command", "Recompute the paper's tables and profiles."),
    "budget": ("e2r.cli.budget:command", "What fits in a budget, cheapest first."),
    "capacity": (
        "e2r.cli.capacity:command",
        "Accelerators, latency, joules and money for a load.",
    ),
    "calibrate": ("e2r.cli.calibrate:command", "Measure this machine with a model of yours."),
    "doctor": ("e2r.cli.doctor:command", "What works on this machine, and how to mend the rest."),
    "trust": ("e2r.cli.trust:command", "What spec files may ask for, because you typed it once."),
    "list": (
        "e2r.cli.listing:command",
        "Models, methods, backends, engines, conventions, datasets, accelerators.",
    ),
}


COMPLETING = "_E2R_COMPLETE"
"""Set by the shell when it asks what could be typed next (docs/installing.md)."""
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EBADF)
"""What a disk answers where no more can be written, and a stdout that was closed."""


class Lazy(click.Group):
    """A group that knows its commands by name and imports one when it is asked for."""

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except BrokenPipeError as error:
            # click ends with 1 and without a word; no pipe but stdout's may break unseen.
            raise RuntimeError("a pipe inside of this program broke") from error

    def list_commands(self, context: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            raise unknown("command", name, COMMANDS)
        module, _, attribute = COMMANDS[name][0].partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])


@click.group(cls=Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="e2r")
def cli() -> None:
    """What an LLM reranker's quality costs in arithmetic.

    Example: e2r estimate Qwen/Qwen2.5-7B-Instruct --prompt-tokens 200 --generated-tokens 1
    """


def main(words: list[str] | None = None) -> None:
    """Run the command line and leave with its exit code: 0, 2–5 or 130; a bug leaves with 1.

    Nothing that a file says can steer the terminal or the log that it is shown in.
    """
    warnings.showwarning = _warn
    if COMPLETING not in os.environ:
        # The shell reads completions as bytes, and only names of ours are among them.
        guard()
    with interruptions() as interrupted:
        code = _carried_out(words)
        if interrupted.is_set() and code != 130:
            # A library may swallow what interrupts it; whoever pressed Ctrl-C is told so.
            code = _interrupted()
    if words is None:
        # What is to be told has been told: a second Ctrl-C must not change how it ends.
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
    sys.exit(code)


def _carried_out(words: list[str] | None) -> int:
    """The exit code of a command."""
    try:
        code = cli.main(words, standalone_mode=False)
    except click.exceptions.Abort:
        code = _interrupted()
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except KeyboardInterrupt:
        code = _interrupted()
    except ReaderLeftError:
        code = 0
    except E2RError as error:
        click.echo(shown(f"e2r: {error}"), err=True)
        code = error.exit_code
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "e2r":
            raise
        missing = _missing_extra(error)
        click.echo(f"e2r: {missing}", err=True)
        code = missing.exit_code
    except Exception as error:
        if not isinstance(error, OSError) or error.errno not in FULL:
            click.echo(
                f"e2r: this is a bug ({type(error).__name__}); please report it with the command, "
                "e2r --version and what follows",
                err=True,
            )
            raise
        click.echo(f"e2r: the output cannot be written ({error.strerror}); make room", err=True)
        code = 2
    return code if isinstance(code, int) else 0


@contextmanager
def interruptions() -> Iterator[threading.Event]:
    """Remember each SIGINT, which raises KeyboardInterrupt as ever."""
    seen = threading.Event()

    def interrupt(number: int, frame: object) -> None:
        seen.set()
        raise KeyboardInterrupt

    own = threading.current_thread() is threading.main_thread()
    if not own or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield seen
        return
    signal.signal(signal.SIGINT, interrupt)
    try:
        yield seen
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _warn(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
    """A library's warning in one line, without the line of its source that gave it."""
    click.echo(shown(f"warning: {message} ({category.__name__})"), err=True)


def guard() -> None:
    """Put a guard before stdout and stderr, once."""
    for name, handle, kind in (("stdout", 1, Listing), ("stderr", 2, Dispensable)):
        stream = getattr(sys, name)
        if not isinstance(stream, Guarded):
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(errors=AS_PLAIN)
            setattr(sys, name, Guarded(kind(stream, handle)))


def _interrupted() -> int:
    click.echo("e2r: interrupted; a run goes on with --resume", err=True)
    return 130


def _missing_extra(error: ModuleNotFoundError) -> MissingError:
    return MissingError(f"this command needs the package {error.name}; run: pip install 'e2r[run]'")


def print_json(value: Any) -> None:
    """Write a value as JSON, alone on stdout. NaN and infinity are refused, never written."""
    import json

    # An encoding that lacks a letter would write it in a form that is not JSON's.
    ascii_only = (getattr(sys.stdout, "encoding", None) or "utf-8").lower() not in ("utf-8", "utf8")
    text = json.dumps(value, indent=2, ensure_ascii=ascii_only, allow_nan=False)
    click.echo(json_escaped(text))
