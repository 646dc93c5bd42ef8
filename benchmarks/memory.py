"""How much memory a run of 10,000 queries needs above what it starts with.

The bound is the project's: at most 300 MB above the start, with the random answerer. The start is
the process with everything imported and the collection read; what a reader holds is not a run's.
"""

from __future__ import annotations

import argparse
import random
import resource
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from e2r.prompts.request import Reply
from e2r.records.manifest import ModelRecord
from e2r.records.query import QueryRecord
from e2r.records.spec import Spec
from e2r.runner import run


class Watch:
    """Notes the resident memory when the run starts and at every thousandth query, in MB."""

    def __init__(self) -> None:
        self.at: list[tuple[int, float]] = []
        self._finished = 0

    def started(self, folder: Path, model: ModelRecord, queries: int, finished: int) -> None:
        self.at.append((0, resident()))

    def note(self, text: str) -> None:
        pass

    def waiting(self, text: str) -> None:
        pass

    def working(self, text: str, done: int, count: int) -> None:
        pass

    def answered(self, replies: Sequence[Reply]) -> None:
        pass

    def query_finished(self, record: QueryRecord) -> None:
        self._finished += 1
        if self._finished % 1000 == 0:
            self.at.append((self._finished, resident()))


def resident() -> float:
    """The process's resident memory now, in MB."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() / 1e6


def write_collection(folder: Path, queries: int, depth: int) -> None:
    """A BEIR folder with a first-stage run and short texts; all queries share the documents."""
    (folder / "qrels").mkdir(parents=True)
    docids = [f"d{number}" for number in range(1000)]
    generator = random.Random(1)
    (folder / "corpus.jsonl").write_text(
        "".join(f'{{"_id": "{d}", "title": "", "text": "text of {d}"}}\n' for d in docids)
    )
    (folder / "queries.jsonl").write_text(
        "".join(f'{{"_id": "q{number}", "text": "query {number}"}}\n' for number in range(queries))
    )
    with (folder / "first.run").open("w") as stream:
        for number in range(queries):
            for rank, docid in enumerate(generator.sample(docids, depth), start=1):
                stream.write(f"q{number} Q0 {docid} {rank} {depth - rank} small\n")
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq0\td0\t1\n")


def main() -> None:
    """Run and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--queries", type=int, default=10_000)
    parser.add_argument("--depth", type=int, default=20)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        collection = Path(place) / "collection"
        write_collection(collection, given.queries, given.depth)
        data = {
            "dataset": f"beir:{collection}",
            "candidates": str(collection / "first.run"),
            "depth": given.depth,
        }
        tables = {
            "data": data,
            "model": {"source": "random:1"},
            "method": {"name": "setwise.heapsort", "k": 10},
        }
        watch = Watch()
        began = time.perf_counter()
        run(Spec.of(tables, "the benchmark"), Path(place) / "runs", progress=watch)
        seconds = time.perf_counter() - began
    start = watch.at[0][1]
    for finished, megabytes in watch.at:
        print(f"{finished:6} queries: {megabytes:7.1f} MB, {megabytes - start:+.1f}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000 * 1.024
    print(f"peak, the last merge included: {peak:.1f} MB, {peak - start:+.1f}; {seconds:.0f} s")


if __name__ == "__main__":
    main()
