"""How fast large collections are read, validated and streamed, and in how much memory.

Each part runs in a process of its own, so that its peak is its own. The yardstick is `wc -l` plus
json.loads over the same content: the requests' own bytes, or a run's fields as JSON arrays.
Bounds of the project: at most 500 MB, and no less than half the yardstick's speed.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

from e2r.data.files.corpus import FileCorpus
from e2r.data.files.run_index import RunIndex
from e2r.data.sources import Sources, load

DEPTH = 100
DOCUMENTS = 8_841_823
"""Documents of MS MARCO's passage collection, from which the ids are drawn."""
SAMPLE = 500_000
WORDS = [f"{letter}{'x' * length}" for length in range(2, 10) for letter in "abcdefgh"]


def write_run(path: Path, queries: int) -> None:
    """A run as Pyserini writes it: 100 lines a query, about 40 bytes each."""
    with path.open("w") as stream:
        for query in range(queries):
            stream.writelines(
                f"{1000000 + query} Q0 {(query * 7919 + rank * 104729) % DOCUMENTS} {rank + 1} "
                f"{30 - rank * 0.0713:.6f} bm25\n"
                for rank in range(DEPTH)
            )


def passages(count: int) -> list[str]:
    """Texts of 56 words, as long as MS MARCO's passages are on average."""
    generator = random.Random(1)
    return [" ".join(generator.choices(WORDS, k=56)) for _ in range(count)]


def write_requests(path: Path, queries: int) -> None:
    """Rank_llm requests, 100 candidates a query with their texts."""
    texts = passages(997)
    with path.open("w") as stream:
        for query in range(queries):
            candidates = [
                {
                    "docid": str((query * 7919 + rank * 104729) % DOCUMENTS),
                    "score": round(30 - rank * 0.0713, 6),
                    "doc": {"contents": texts[(query + rank) % 997]},
                }
                for rank in range(DEPTH)
            ]
            row = {"query": {"qid": str(query), "text": f"query {query}"}, "candidates": candidates}
            stream.write(json.dumps(row) + "\n")


def write_corpus(path: Path, documents: int) -> None:
    """A BEIR corpus."""
    texts = passages(997)
    with path.open("w") as stream:
        for number in range(documents):
            row = {"_id": str(number), "title": "", "text": texts[number % 997]}
            stream.write(json.dumps(row) + "\n")


def timed(action: Callable[[], object]) -> float:
    """Seconds that an action takes."""
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def count_lines(path: Path) -> float:
    """Seconds of `wc -l`."""
    return timed(lambda: subprocess.run(["wc", "-l", str(path)], check=True, capture_output=True))


def peak() -> float:
    """The most memory that this process had, in MB (10^6 bytes)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def run_part(path: Path) -> Iterator[str]:
    """A TREC run: one checked pass that indexes it, then every query's ranking."""
    index: list[RunIndex] = []
    checked = timed(lambda: index.append(RunIndex(path)))
    queries = [str(1000000 + number) for number in range(len(index[0]))]

    def stream() -> None:
        with index[0].rankings() as ranking_of:
            for qid in queries:
                ranking_of(qid)

    streamed = timed(stream)
    memory, lines = peak(), index[0].lines
    with path.open() as rows:
        fields = [line.split() for line in islice(rows, SAMPLE)]
    objects = [json.dumps([q, i, d, int(r), float(s), t]) for q, i, d, r, s, t in fields]
    parsed = timed(lambda: sum(len(json.loads(text)) for text in objects)) * lines / len(objects)
    yield from row(
        f"TREC run, {lines:,} lines", path, count_lines(path) + parsed, checked, streamed, memory
    )


def requests_part(path: Path) -> Iterator[str]:
    """Requests: the pass before the model is loaded, then the topics as the runner takes them."""
    found = []
    checked = timed(lambda: found.append(load(Sources(candidates=str(path)), DEPTH)))
    streamed = timed(lambda: sum(len(topic.candidates) for topic in found[0].topics))
    memory = peak()

    def parse() -> None:
        with path.open("rb") as stream:
            for line in stream:
                json.loads(line)

    lines = len(found[0].topics)
    name = f"rank_llm requests, {lines:,} lines of {DEPTH}"
    yield from row(name, path, count_lines(path) + timed(parse), checked, streamed, memory)


def corpus_part(path: Path) -> Iterator[str]:
    """A corpus: its index, then texts by random ids, 100 at a time."""
    held = []
    checked = timed(lambda: held.append(FileCorpus(path).lookup()))
    documents = held[0].documents
    generator = random.Random(2)
    wanted = [[str(generator.randrange(documents)) for _ in range(DEPTH)] for _ in range(2000)]
    fetched = timed(lambda: sum(len(held[0].of(docids)) for docids in wanted))
    memory = peak()

    def parse() -> None:
        with path.open("rb") as stream:
            for line in stream:
                json.loads(line)

    yield from row(
        f"corpus, {documents:,} documents",
        path,
        count_lines(path) + timed(parse),
        checked,
        None,
        memory,
    )
    yield f"| … 200,000 texts by id | | | | {200_000 / fetched:,.0f} a second | |"


def row(
    name: str, path: Path, yardstick: float, checked: float, streamed: float | None, memory: float
) -> Iterator[str]:
    """A line of the table; the ratios are yardstick over time, so that 0.5 is the bound."""
    size = path.stat().st_size / 1e6
    stream = "" if streamed is None else f"{streamed:.1f} s ({yardstick / streamed:.2f})"
    yield (
        f"| {name} | {size:,.0f} MB | {yardstick:.1f} s | {checked:.1f} s "
        f"({yardstick / checked:.2f}) | {stream} | {memory:.0f} MB |"
    )


PARTS: dict[str, tuple[Callable[[Path, int], None], Callable[[Path], Iterator[str]], str, int]] = {
    "run": (write_run, run_part, "bench.run", 1),
    "requests": (write_requests, requests_part, "bench.jsonl", 10),
    "corpus": (write_corpus, corpus_part, "corpus.jsonl", 0),
}


def main() -> None:
    """Write each file, measure it in a process of its own, remove it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--queries", type=int, default=100_000, help="of the run; requests: a tenth"
    )
    parser.add_argument("--documents", type=int, default=1_000_000, help="of the corpus")
    parser.add_argument("--parts", nargs="*", default=list(PARTS), choices=list(PARTS))
    parser.add_argument("--measure", nargs=2, metavar=("PART", "FILE"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.measure is not None:
        part, file = asked.measure
        for line in PARTS[part][1](Path(file)):
            print(line)
        return
    print(
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, "
        f"Python {platform.python_version()}",
        flush=True,
    )
    print("| file | size | wc -l + json.loads | read and validated | streamed | peak |")
    print("|---|---|---|---|---|---|", flush=True)
    for part in asked.parts:
        write, _, name, share = PARTS[part]
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / name
            write(path, asked.queries // share if share else asked.documents)
            subprocess.run([sys.executable, __file__, "--measure", part, str(path)], check=True)


main()
