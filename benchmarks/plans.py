"""How fast plans are driven and recorded without a model, and how full lockstep batches are.

The bounds are those of the project: 425,700 calls through the oracle with their ledger within
60 seconds and 1 GB, and batches of 16 at least 90 % full for the heap sorts over 43 queries.
"""

from __future__ import annotations

import random
import resource
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from e2r.ranking import method
from e2r.ranking.plan import Choose, Plan, Prefer, drive, together
from e2r.records.spec import Spec
from e2r.runner import run

QUERIES, DEPTH, BATCH = 43, 100, 16


def write_collection(folder: Path) -> None:
    """A BEIR folder of random grades with a first-stage run; the texts are never read."""
    generator = random.Random(1)
    (folder / "qrels").mkdir(parents=True)
    corpus, topics, run_lines, judged = [], [], [], ["query-id\tcorpus-id\tscore\n"]
    for query in range(QUERIES):
        topics.append(f'{{"_id": "q{query}", "text": "query {query}"}}\n')
        for rank in range(DEPTH):
            docid = f"q{query}d{rank}"
            corpus.append(f'{{"_id": "{docid}", "title": "", "text": "text of {docid}"}}\n')
            run_lines.append(f"q{query} Q0 {docid} {rank + 1} {DEPTH - rank} bench\n")
            judged.append(f"q{query}\t{docid}\t{generator.choice([0, 0, 0, 1, 2, 3])}\n")
    (folder / "corpus.jsonl").write_text("".join(corpus))
    (folder / "queries.jsonl").write_text("".join(topics))
    (folder / "qrels" / "test.tsv").write_text("".join(judged))
    (folder / "first.run").write_text("".join(run_lines))


def allpair() -> None:
    """Every pair of 43 × 100 candidates, both orders, into a finished run folder."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_collection(folder / "bench")
        spec = Spec.of(
            {
                "data": {
                    "dataset": f"beir:{folder / 'bench'}",
                    "candidates": str(folder / "bench" / "first.run"),
                    "depth": DEPTH,
                },
                "model": {"source": "oracle"},
                "method": {"name": "pairwise.allpair"},
            },
            "the benchmark",
        )
        began = time.perf_counter()
        done = run(spec, folder / "runs")
        seconds = time.perf_counter() - began
        calls = sum(record.calls for record in done.per_query())
        size = done.ledger_path.stat().st_size
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"pairwise.allpair, oracle: {calls:,} calls in {seconds:.1f} s, peak {peak:.0f} MiB, "
        f"ledger {size:,} bytes ({size / calls:.1f} a call)"
    )


def fill(name: str, **parameters: int) -> float:
    """The share of places in batches of 16 that are taken, 43 queries in lockstep."""
    places = calls = 0

    def tagged(number: int) -> Plan[list[int]]:
        """A query's plan, each task beside the query's own relevances."""
        relevance = random.Random(number).sample(range(DEPTH), DEPTH)
        plan = method(name).plan(DEPTH, 10, **parameters)
        try:
            tasks = next(plan)
            while True:
                answers = yield [(relevance, task) for task in tasks]
                tasks = plan.send(answers)
        except StopIteration as end:
            ranking: list[int] = end.value
            return ranking

    def answer(asked: Sequence[Any]) -> list[Any]:
        nonlocal places, calls
        calls += len(asked)
        places += -(-len(asked) // BATCH) * BATCH
        return [_answer(relevance, task) for relevance, task in asked]

    drive(together((tagged(number) for number in range(QUERIES)), at_least=BATCH), answer)
    return calls / places


def _answer(relevance: Sequence[int], task: Any) -> Any:
    match task:
        case Prefer(candidate=i, over=j):
            return relevance[i] > relevance[j]
        case Choose(candidates=several):
            return max(several, key=lambda i: relevance[i])
    raise TypeError(f"{task!r} is no task of a heap sort")


def main() -> None:
    """Print both measurements."""
    for name, parameters in (
        ("setwise.heapsort", {"set_size": 3}),
        ("setwise.heapsort", {"set_size": 4}),
        ("pairwise.heapsort", {}),
    ):
        print(
            f"{name} {parameters or ''}: batches of {BATCH} are {fill(name, **parameters):.1%} full"
        )
    allpair()


main()
