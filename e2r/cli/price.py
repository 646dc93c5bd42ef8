"""`e2r price`: a ranking that others published, as a row with quality, PFLOPs, RPP and QPP."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from e2r.cli import print_json
from e2r.cli.options import note
from e2r.cli.run import command as run_command
from e2r.cli.words import is_given, tables
from e2r.errors import UsageError

SHARED = (
    *("dataset", "candidates", "qrels", "queries", "corpus", "name", "documents", "first_stage"),
    *("depth", "model", "method", "k", "set_size", "window", "step", "repeats", "fidelity"),
    *("template", "query_tokens", "passage_tokens", "answer_tokens", "runs"),
)
"""Options of `e2r run` that say what made a ranking."""
CUT_BY_WORDS = {"rank_vicuna", "rank_zephyr"}
"""Templates that cut passages themselves: before them nothing is cut unless it is asked for."""


@click.command("price")
@click.argument("ranking", type=click.Path(path_type=Path))
@click.option("--source", required=True, help="Where the ranking was published: its URL.")
@click.option("--licence", help="The ranking's licence, where it is known.")
@click.option(
    "--tokenizer",
    help="The model's tokenizer: a .json or .model file, a folder or a Hub id; default: the model.",
)
@click.option(
    "--calls",
    type=click.Path(path_type=Path),
    help="The logged calls, where they are known: a usage CSV.",
)
@click.option(
    "--means",
    multiple=True,
    metavar="NAME=N",
    help="Means a query as printed, where no calls are known: calls=N prompt=N generated=N, and "
    "decoder_prompt=N a call of encoder-decoders; new tokens alone are generated.",
)
@click.option(
    "--mend-encodings",
    is_flag=True,
    help="The passages' broken encodings were mended, as ir_datasets does for MS MARCO.",
)
@click.option("--measures", help="Measures to keep; default: six of TREC DL's.")
@click.pass_context
def command(
    context: click.Context,
    /,
    ranking: Path,
    source: str,
    licence: str | None,
    tokenizer: str | None,
    calls: Path | None,
    means: tuple[str, ...],
    mend_encodings: bool,
    measures: str | None,
    runs: str,
    as_json: bool,
    **options: Any,
) -> None:
    """Price a TREC run that others published, from its order, its first stage and its method.

    Which calls a method makes follows from its algorithm, the candidates and the final ranking:
    exactly for pointwise methods, all pairs and one pass of windows; about for heap sorts; for
    bubble sorts and repeated passes not at all, so that these need --calls or --means. The folder
    that is written holds derived figures alone, no ranking and no text, and evaluate, compare,
    frontier, validate and leaderboard take it like a run.

    \b
    Example:
      e2r price theirs.run --candidates bm25-top100.jsonl --qrels qrels.txt --name dl19 \\
          --method listwise.generation --window 20 --step 10 --template rank_vicuna \\
          --tokenizer llama-2.model --model castorini/rank_vicuna_7b_v1 \\
          --source https://github.com/castorini/rank_llm --licence Apache-2.0
    """
    from e2r.cli.progress import Lines
    from e2r.data.mended import Mended
    from e2r.metrics import evaluate
    from e2r.metrics.pricing import MEASURES, Means, price_ranking, unlike
    from e2r.records.collection import load_collection
    from e2r.records.priced import SAYS, folder_of, write_priced
    from e2r.records.spec import Spec

    if calls is not None and means:
        raise UsageError("--calls and --means both tell of the calls; drop one")
    # What nobody types here is what it is for a run.
    usual = run_command.make_context("run", []).params
    spec = Spec.of(tables({**usual, **options, "tokenizer": tokenizer}), "the command line")
    if spec.prompt.template in CUT_BY_WORDS and not is_given(context, "passage_tokens"):
        whole = spec.prompt.model_copy(update={"passage_tokens": 10**6, "query_tokens": 10**6})
        spec = spec.model_copy(update={"prompt": whole})
    collection = load_collection(spec, note, Lines().working)
    if mend_encodings:
        collection = replace(collection, topics=Mended(collection.topics))
    printed = Means.parse(means) if means else None
    if printed is not None and (difference := unlike(spec, collection, printed)):
        note(difference)
    row, counted = price_ranking(
        spec,
        collection,
        ranking,
        source=source,
        licence=licence,
        calls=calls,
        means=printed,
        measures=measures or MEASURES,
    )
    folder = folder_of(Path(runs), row)
    write_priced(folder, row, counted)
    [priced] = evaluate(folder, measures=[next(iter(row.measures))], note=note).rows
    if as_json:
        print_json({"folder": str(folder), **priced.to_json()})
        return
    measure, quality = next(iter(priced.measures.items()))
    click.echo(f"{row.model}, {row.method}: {SAYS[row.known]}")
    click.echo(f"  {measure} {quality.value:.4f} over {len(row.qids)} queries")
    click.echo(f"  {priced.petaflops.value:.6g} PFLOPs a query, ideal")
    click.echo(f"  {priced.work.calls_per_query:,.2f} calls a query")
    click.echo(str(folder))


command.params += [
    option
    for option in run_command.params
    if isinstance(option, click.Option) and option.name in {*SHARED, "as_json"}
]
