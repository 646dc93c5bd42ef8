"""Which calls made a published ranking: replayed from its order, its first stage and its method."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from e2r.data.collection import Collection
from e2r.engines.cascade import Stage, prompts_of, stages_of
from e2r.errors import DataError, UsageError
from e2r.flops.architecture import Architecture
from e2r.forecast.dry_run import COUNTS, counter_of, dry_run, refuse_unfit
from e2r.models.simulated.ranking import FinalRanking
from e2r.records.spec import Spec


@dataclass(frozen=True)
class Calls:
    """The calls of a ranking, (query, counts in the order of COUNTS), and how they are known.

    `prompt` is the template by name with its hash.
    """

    known: Literal["replayed", "estimate"]
    rows: tuple[tuple[str, tuple[int, ...]], ...]
    prompt: Mapping[str, str]


def told(stages: list[Stage]) -> Literal["exact", "estimate"]:
    """What a final ranking tells of the calls that made it.

    Raises UsageError, with the reason, where it tells too little.
    """
    if len(stages) > 1:
        raise UsageError(
            "a final ranking does not tell where one method of a cascade handed over to the next; "
            "give the logged calls or their means"
        )
    [stage] = stages
    name = stage.method.name
    if stage.parameters.get("repeats", 1) > 1:
        raise UsageError(
            f"{name} with {stage.parameters['repeats']} passes: a final ranking does not tell what "
            "the windows of an earlier pass held; give the logged calls or their means"
        )
    if stage.method.told is None:
        raise UsageError(
            f"{name}: a final ranking says too little of its calls (of bubble sorts it leaves out "
            "60 to 80 %; of thoughts it does not know the length); give the logged calls or their "
            "means"
        )
    return stage.method.told


def replayed(
    spec: Spec, collection: Collection, architecture: Architecture, ranking: Path
) -> Calls:
    """The calls that made a ranking. Raises what `told` does, and DataError for a ranking that is
    not of these candidates, or that this method cannot have left: shuffled, or another window's.
    """
    stages = stages_of(spec)
    kind = told(stages)
    refuse_unfit(spec, architecture)
    counter, _ = counter_of(spec.model, spec.execution, architecture)
    found = dry_run(spec, collection, counter, f"ranking:{ranking}")
    refuse_unreachable(found.rankings, FinalRanking.read(ranking), stages[0])
    columns = [found.counts[name].tolist() for name in COUNTS]
    rows = tuple(zip(found.qids, zip(*columns, strict=True), strict=True))
    return Calls("replayed" if kind == "exact" else "estimate", rows, prompts_of(spec))


def refuse_unreachable(
    left: Mapping[str, tuple[str, ...]], ranking: FinalRanking, stage: Stage
) -> None:
    """Raise DataError where a method that answers by a ranking does not leave that ranking."""
    for qid, docids in left.items():
        given = ranking.order[qid][: len(docids)]
        if list(docids) != given:
            pairs = enumerate(zip(docids, given, strict=True))
            place = next(number for number, (one, other) in pairs if one != other)
            shown = ", ".join(f"{name} {value}" for name, value in stage.parameters.items())
            raise DataError(
                f"{ranking.where}: query {qid}: {stage.method.name} ({shown}) cannot leave this "
                f"order over these candidates (place {place + 1}); it is shuffled, or made by "
                "another method, other parameters or from another first stage"
            )
