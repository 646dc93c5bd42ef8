"""How much memory a run of 10,000 queries needs above what it starts with, and its silences.

The bound is the project's: 300 MB in all at 100,000 queries of depth 100, with the random answerer.
Measured: 252 MB (docs/faults.md).
The start is the process with everything imported and the collection read. A silence is the time
between two words of progress once the run has begun.
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
    """Notes the resident memory when the run starts and at every so many queries, in MB."""

    def __init__(self, every: int) -> None:
        self.at: list[tuple[int, float]] = []
        self.silence = (0.0, "")
        self.began = self._word = time.perf_counter()
        self._every, self._finished = every, 0

    def started(self, folder: Path, model: ModelRecord, queries: int, finished: int) -> None:
        self.at.append((0, resident()))
        self.silence = (0.0, "")
        self.began = self._word = time.perf_counter()

    def note(self, text: str) -> None:
        self.hear("a note")

    def waiting(self, text: str) -> None:
        self.hear(text)

    def working(self, text: str, done: int, count: int) -> None:
        self.hear(text)

    def answered(self, replies: Sequence[Reply]) -> None:
        self.hear("answers")

    def query_finished(self, record: QueryRecord) -> None:
        self.hear("a query")
        self._finished += 1
        if self._finished % self._every == 0:
            self.at.append((self._finished, resident()))

    def hear(self, word: str) -> None:
        """Note a word, and how long there was none before it."""
        now = time.perf_counter()
        self.silence = max(self.silence, (now - self._word, f"before {word!r}"))
        self._word = now


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
    parser.add_argument("--method", default="setwise.heapsort")
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
            "method": {"name": given.method, "k": 10},
        }
        watch = Watch(max(1, given.queries // 10))
        began = time.perf_counter()
        folder = run(Spec.of(tables, "the benchmark"), Path(place) / "runs", progress=watch)
        watch.hear("the end")
        ended = time.perf_counter()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000 * 1.024
        calls = sum(record.calls for record in folder.records())
    start = watch.at[0][1]
    for finished, megabytes in watch.at:
        print(f"{finished:6} queries: {megabytes:7.1f} MB, {megabytes - start:+.1f}")
    print(f"peak, the last merge included: {peak:.1f} MB, {peak - start:+.1f}")
    print(
        f"{calls:,} calls; {watch.began - began:.0f} s to read, {ended - watch.began:.0f} s to run"
    )
    print(f"longest silence since the start: {watch.silence[0]:.1f} s, {watch.silence[1]}")


if __name__ == "__main__":
    main()
