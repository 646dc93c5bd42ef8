"""How fast recorded runs become figures with intervals: a thousand runs of 50 queries, and one.

The bounds are those of the project: 1,000 runs within 60 seconds and 1 GB on 2 cores, one run
within 2 seconds. Each command runs in a process of its own, as a user would call it. With
`--large N` it is instead one run of N queries, depth 100 and 97 calls each, no document of which is
in two queries, beside ir_measures over the same files; the goals at 10,000 queries are twice its
processor time and 500 MB. Measured: 1.6 to 1.8 times, 480 MB (docs/measurement.md).
"""

from __future__ import annotations

import argparse
import gzip
import json
import multiprocessing
import os
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from pyarrow import Table

from e2r.data.collection import judgments_sha256
from e2r.flops.architecture import Architecture
from e2r.records.folder import FINAL_FILES, RunFolder, sha256_of
from e2r.records.ledger import Call, table_of, write_tables
from e2r.records.manifest import DatasetRecord, Environment, Manifest, ModelRecord
from e2r.records.query import QueryRecord
from e2r.records.spec import Spec


@dataclass(frozen=True)
class Shape:
    """How large each run is; calls are a query's."""

    queries: int = 50
    depth: int = 100
    calls: int = 20


MODEL = "Qwen/Qwen2.5-7B-Instruct"


def write_runs(root: Path, count: int, shape: Shape) -> None:
    """`count` run folders over the same queries: rankings of rising quality."""
    generator = random.Random(1)
    judgments = {
        f"q{query}": {
            f"d{query * shape.depth + place}": generator.choice([0, 0, 0, 1, 2, 3])
            for place in range(shape.depth)
        }
        for query in range(shape.queries)
    }
    qrels = root / "qrels.txt"
    qrels.write_text(
        "".join(
            f"{qid} 0 {docid} {grade}\n"
            for qid, grades in judgments.items()
            for docid, grade in grades.items()
        )
    )
    spec = Spec.of(
        {
            "data": {"qrels": str(qrels), "candidates": "bench.run", "depth": shape.depth},
            "model": {"source": MODEL},
            "method": {"name": "pointwise.qlm"},
        },
        "the benchmark",
    ).to_toml()
    facts = dict(Architecture.load(MODEL).config)
    for number in range(count):
        folder = RunFolder(root / "runs" / f"bench/model/method--{number:08x}")
        folder.path.mkdir(parents=True)
        folder.spec_path.write_text(spec)
        skill = number / count
        records: list[QueryRecord] = []

        def tables(records: list[QueryRecord] = records, skill: float = skill) -> Iterator[Table]:
            for qid, grades in judgments.items():
                noise = {docid: generator.gauss(0, 1.5) for docid in grades}
                ranking = sorted(grades, key=lambda docid: -(skill * grades[docid] + noise[docid]))
                docids = list(grades)[: shape.calls]
                asked = [
                    _call(generator, qid, place, docid, skill) for place, docid in enumerate(docids)
                ]
                records.append(_record(qid, asked, ranking))
                yield table_of(asked)

        write_tables(folder.ledger_path, tables())
        folder.per_query_path.write_text("".join(json.dumps(asdict(r)) + "\n" for r in records))
        folder.run_path.write_bytes(
            gzip.compress(
                "".join(
                    f"{record.qid} Q0 {docid} {rank + 1} {shape.depth - rank} bench\n"
                    for record in records
                    for rank, docid in enumerate(record.ranking)
                ).encode()
            )
        )
        files = {name: sha256_of(folder.path / name) for name in FINAL_FILES}
        manifest = _manifest(folder.path.name, facts, judgments_sha256(judgments), shape)
        folder.write_manifest(manifest.model_copy(update={"files": files}))


def _call(generator: random.Random, qid: str, place: int, docid: str, skill: float) -> Call:
    return Call(
        qid=qid,
        round=0,
        call=place,
        task="Score",
        docids=(docid,),
        prompt_tokens=int(generator.gauss(100 + 300 * skill, 10)),
        cached_tokens=0,
        decoder_prompt_tokens=0,
        generated_tokens=1,
        head_positions=1,
        padded_tokens=generator.randrange(20),
        truncated=0,
        answer="0.5",
        parsed=generator.random() > 0.01,
        seconds=generator.random(),
        batch_size=16,
    )


def _record(qid: str, calls: list[Call], ranking: list[str]) -> QueryRecord:
    return QueryRecord(
        qid=qid,
        status="ok",
        calls=len(calls),
        rounds=1,
        prompt_tokens=sum(call.prompt_tokens for call in calls),
        generated_tokens=len(calls),
        parse_failures=sum(not call.parsed for call in calls),
        truncated=0,
        seconds=sum(call.seconds for call in calls),
        query_terms=6,
        ranking=tuple(ranking),
    )


def _manifest(run: str, facts: dict[str, object], judged_by: str, shape: Shape) -> Manifest:
    return Manifest(
        status="complete",
        run=run,
        method="pointwise.qlm",
        method_parameters={},
        identity={},
        started="2026-01-01T00:00:00+00:00",
        e2r="0.1.0",
        commit=None,
        dirty=None,
        command=["e2r", "run"],
        model=ModelRecord(id=MODEL, name=MODEL, revision=None, dtype="float32", architecture=facts),
        dataset=DatasetRecord(
            id="bench",
            candidates_sha256="0" * 64,
            judgments_sha256=judged_by,
            queries=shape.queries,
            depth=shape.depth,
            first_stage="BM25",
            documents=1_000_000,
        ),
        prompts={},
        environment=Environment(
            python="3.11", packages={}, processor="bench", device="cpu", threads=2
        ),
    )


def measure(name: str, words: list[str], module: str = "e2r") -> float:
    """Run `e2r`, or another module, with these words; print seconds of clock and CPU, and memory.

    Returns the seconds of CPU. A new process's peak is that of its parent at least: the parent
    must hold little.
    """
    began = time.perf_counter()
    with tempfile.TemporaryFile() as out:
        process = os.posix_spawn(
            sys.executable,
            [sys.executable, "-m", module, *words],
            os.environ,
            file_actions=[(os.POSIX_SPAWN_DUP2, out.fileno(), 1)],
        )
        _, status, usage = os.wait4(process, 0)
    seconds = time.perf_counter() - began
    if status:
        raise SystemExit(f"{name} left with {os.waitstatus_to_exitcode(status)}")
    busy = usage.ru_utime + usage.ru_stime
    memory = usage.ru_maxrss / 1024
    print(f"{name:<24} {seconds:6.1f} s  {busy:6.1f} s of CPU  {memory:6.0f} MiB peak", flush=True)
    return busy


def large(shape: Shape) -> None:
    """Evaluate one large run, and let ir_measures do so."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        writer = multiprocessing.get_context("spawn").Process(
            target=write_runs, args=(root, 1, shape)
        )
        writer.start()
        writer.join()
        folder = root / "runs/bench/model/method--00000000"
        ranking = root / "plain.run"
        with gzip.open(folder / "run.trec.gz") as packed, ranking.open("wb") as plain:
            shutil.copyfileobj(packed, plain)
        for _ in range(2):
            ours = measure("evaluate", ["evaluate", str(folder), "--measures", "nDCG@10"])
            words = [str(root / "qrels.txt"), str(ranking), "nDCG@10"]
            theirs = measure("ir_measures", words, "ir_measures")
            print(f"{ours / theirs:.2f} times its processor time", flush=True)


def main() -> None:
    """Write the runs, then evaluate one, then all, each measured twice."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--large", type=int, metavar="QUERIES")
    given = parser.parse_args()
    count = given.runs
    if given.large:
        large(Shape(given.large, calls=97))
        return
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        write_runs(root, count, Shape())
        one = str(root / "runs/bench/model/method--00000000")
        other = str(root / "runs/bench/model/method--00000001")
        measure("evaluate, one run", ["evaluate", one])
        measure("compare, two runs", ["compare", one, other])
        measure(f"evaluate, {count:,} runs", ["evaluate", str(root / "runs"), "--json"])


if __name__ == "__main__":
    main()
