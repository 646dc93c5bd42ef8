"""What a run adds to each call beside asking and answering: microseconds, with the random answerer.

`run` reads a collection, drives setwise.heapsort at depth 100 and keeps every call; the plain loop
beside it drives the same plans with the same answers and keeps nothing. The goal is 60 µs a call
on 2 cores, disk included. Measured: 56 µs, 47 of them the processor's, a run taking 4.5 to 4.9
times the plain loop; slower disks and other work show on the clock (docs/faults.md).
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.memory import write_collection
from e2r.engines.cascade import stages_of
from e2r.models.answerer import Question
from e2r.models.simulated.random import Random
from e2r.ranking.plan import drive
from e2r.records.collection import load_collection
from e2r.records.spec import Spec
from e2r.runner import run


def timed(work: Callable[[], int]) -> tuple[int, float, float]:
    """The calls that some work made, and its seconds by the clock and of the processor."""
    clock, processor = time.perf_counter(), time.process_time()
    calls = work()
    return calls, time.perf_counter() - clock, time.process_time() - processor


def main() -> None:
    """Time both twice, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--queries", type=int, default=1000)
    parser.add_argument("--depth", type=int, default=100)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        collection = Path(place) / "collection"
        write_collection(collection, given.queries, given.depth)
        tables = {
            "data": {
                "dataset": f"beir:{collection}",
                "candidates": str(collection / "first.run"),
                "depth": given.depth,
            },
            "model": {"source": "random:1"},
            "method": {"name": "setwise.heapsort", "k": 10},
        }
        spec = Spec.of(tables, "the benchmark")
        [stage] = stages_of(spec)
        topics = list(load_collection(spec).topics)
        answerer = Random(1)

        def plain() -> int:
            calls = 0
            for topic in topics:
                calls += drive(
                    stage.plan(len(topic.candidates)),
                    lambda tasks, topic=topic: [
                        found.answer
                        for found in answerer.answer([Question(topic, task) for task in tasks])
                    ],
                ).tasks
            return calls

        for number in range(2):
            runs = Path(place) / f"runs-{number}"
            ours = timed(lambda runs=runs: sum(each.calls for each in run(spec, runs).records()))
            bare = timed(plain)
            if ours[0] != bare[0]:
                raise SystemExit("the two made different calls")
            clock, processor = (
                (a - b) / ours[0] * 1e6 for a, b in zip(ours[1:], bare[1:], strict=True)
            )
            print(
                f"{ours[0]:,} calls: run {ours[1] / ours[0] * 1e6:.1f} µs a call, plain loop "
                f"{bare[1] / bare[0] * 1e6:.1f} µs ({ours[1] / bare[1]:.1f} times); "
                f"overhead {clock:.1f} µs by the clock, {processor:.1f} µs of the processor",
                flush=True,
            )


if __name__ == "__main__":
    main()
