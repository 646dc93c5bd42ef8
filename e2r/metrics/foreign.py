"""Anyone's run: a TREC run and a CSV of its calls' tokens, measured like a run of our own."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from e2r.data.collection import content_sha256
from e2r.data.lines import numbered_lines
from e2r.data.trec import Run, read_run
from e2r.errors import DataError
from e2r.flops.architecture import Architecture
from e2r.flops.work import ABSURD
from e2r.metrics.recorded import COLUMNS, Recorded
from e2r.records.folder import QueryRecord, RunFolder
from e2r.records.manifest import DatasetRecord, Environment, Manifest, ModelRecord

NEEDED = ("qid", "prompt_tokens", "generated_tokens", "model")
COUNTS = (
    "prompt_tokens",
    "cached_tokens",
    "decoder_prompt_tokens",
    "generated_tokens",
    "head_positions",
)


@dataclass(frozen=True)
class Usages:
    """The calls of a usage CSV: their queries, one list of counts a column, and the one model."""

    qids: list[str]
    counts: Mapping[str, list[int]]
    model: str


@dataclass(frozen=True)
class Foreign:
    """A run made elsewhere: its ranking, the usage of its calls, and the dataset's name."""

    ranking: Path
    usage: Path
    dataset: str


def read_foreign(foreign: Foreign) -> Recorded:
    """A TREC run and the usage CSV of the calls that made it, as a recorded run.

    The CSV has one row a call: qid, prompt_tokens, generated_tokens, model (a catalogue name or
    config.json), and if need be cached_tokens, decoder_prompt_tokens, head_positions. The method is
    named after the TREC run's file. Rounds, parse failures and seconds are not known and stay 0.
    Raises DataError with file and line.
    """
    ranking, usage = foreign.ranking, foreign.usage
    run = read_run(ranking)
    calls = read_usage(usage)
    for qid in calls.qids:
        if qid not in run:
            raise DataError(f"{usage}: query {qid} is not in {ranking}; are they of one run?")
    architecture = Architecture.load(calls.model)
    asked = Counter(calls.qids)
    prompts, generated = (_by_query(calls, name) for name in ("prompt_tokens", "generated_tokens"))
    records = tuple(
        QueryRecord(
            qid=qid,
            status="ok",
            calls=asked[qid],
            rounds=0,
            prompt_tokens=prompts[qid],
            generated_tokens=generated[qid],
            parse_failures=0,
            truncated=0,
            seconds=0.0,
            query_terms=0,
            ranking=tuple(docid for docid, _ in row),
        )
        for qid, row in run.items()
    )
    places = {record.qid: place for place, record in enumerate(records)}
    return Recorded(
        folder=RunFolder(ranking),
        manifest=_manifest(foreign, run, calls.model, dict(architecture.config)),
        records=records,
        ledger=_ledger(calls),
        query_of_call=np.array([places[qid] for qid in calls.qids], dtype=np.intp),
    )


def read_usage(path: Path) -> Usages:
    """Read a usage CSV. Raises DataError with the line for anything but whole counts."""
    lines = list(numbered_lines(path))
    reader = csv.DictReader(io.StringIO("\n".join(line for _, line in lines)))
    names = reader.fieldnames or []
    missing = [name for name in NEEDED if name not in names]
    if missing:
        raise DataError(
            f"{path}: no column {', '.join(missing)}; wanted {', '.join(NEEDED)} and, if need be, "
            f"{', '.join(name for name in COUNTS if name not in NEEDED)}"
        )
    qids: list[str] = []
    counts: dict[str, list[int]] = {name: [] for name in COUNTS}
    models: set[str] = set()
    for row in reader:
        number = lines[reader.line_num - 1][0]
        qids.append((row["qid"] or "").strip())
        models.add((row["model"] or "").strip())
        for name in COUNTS:
            text = row.get(name) or ("1" if name == "head_positions" else "0")
            if not text.strip().isdecimal() or int(text) > ABSURD:
                raise DataError(
                    f"{path}:{number}: {name} is {text!r}; give a whole number up to {ABSURD}"
                )
            counts[name].append(int(text))
        if len(models) > 1:
            raise DataError(
                f"{path}:{number}: a second model ({', '.join(sorted(models))}); "
                "give one file a model"
            )
    if not qids:
        raise DataError(f"{path}: no call in it")
    return Usages(qids, counts, models.pop())


def _by_query(calls: Usages, name: str) -> Counter[str]:
    sums: Counter[str] = Counter()
    for qid, count in zip(calls.qids, calls.counts[name], strict=True):
        sums[qid] += count
    return sums


def _ledger(calls: Usages) -> pa.Table:
    n = len(calls.qids)
    rest: dict[str, Any] = {
        "padded_tokens": [0] * n,
        "truncated": [0] * n,
        "parsed": [True] * n,
        "seconds": [0.0] * n,
        "batch_size": [1] * n,
    }
    columns = {"qid": calls.qids, **calls.counts, **rest}
    return pa.table({name: columns[name] for name in COLUMNS})


def _manifest(foreign: Foreign, run: Run, model: str, config: dict[str, Any]) -> Manifest:
    """What is known of a foreign run in the words of ours."""
    unknown = "unknown"
    return Manifest(
        status="complete",
        run=foreign.ranking.name,
        method=foreign.ranking.name.partition(".")[0],
        method_parameters={},
        identity={},
        started=unknown,
        e2r=metadata.version("e2r"),
        commit=None,
        dirty=None,
        command=[],
        model=ModelRecord(id=model, name=model, revision=None, dtype=unknown, architecture=config),
        dataset=DatasetRecord(
            id=foreign.dataset,
            # Runs that rank the same documents of the same queries stand against each other.
            candidates_sha256=content_sha256(
                [qid, sorted(docid for docid, _ in run[qid])] for qid in sorted(run)
            ),
            judgments_sha256=None,
            queries=len(run),
            depth=max(len(row) for row in run.values()),
            first_stage=unknown,
            documents=None,
        ),
        prompts={},
        environment=Environment(
            python=unknown, packages={}, processor=unknown, device=unknown, threads=0
        ),
        notes=["made elsewhere: rounds, parse failures and seconds are not known"],
    )
