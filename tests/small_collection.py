"""A small collection written to disk: enough to run every method over."""

from __future__ import annotations

import random
from pathlib import Path

SUBJECTS = ["flea", "river", "fox", "valley", "floor", "passage", "query", "dog"]


def write_collection(folder: Path, queries: int = 6, candidates: int = 12) -> Path:
    """A BEIR folder with a first-stage run, texts and judgments drawn from a fixed seed."""
    generator = random.Random(3)
    (folder / "qrels").mkdir(parents=True)
    documents = [f"d{number}" for number in range(queries * candidates)]
    corpus, topics, judged, run = [], [], [], []
    for docid in documents:
        words = " ".join(generator.choices(SUBJECTS, k=generator.randint(4, 25)))
        corpus.append(f'{{"_id": "{docid}", "title": "", "text": "{docid} {words}"}}\n')
    for number in range(queries):
        topics.append(f'{{"_id": "q{number}", "text": "{SUBJECTS[number % 8]} number {number}"}}\n')
        for rank, docid in enumerate(generator.sample(documents, candidates), start=1):
            run.append(f"q{number} Q0 {docid} {rank} {100 - rank} small\n")
            judged.append(f"q{number}\t{docid}\t{generator.choice([0, 0, 0, 1, 2, 3])}\n")
    (folder / "corpus.jsonl").write_text("".join(corpus))
    (folder / "queries.jsonl").write_text("".join(topics))
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\n" + "".join(judged))
    (folder / "first.run").write_text("".join(run))
    return folder
