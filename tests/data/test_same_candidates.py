"""One collection, TREC DL 2019, gives one hash of candidates whatever it is read from."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

import datasets
import ir_datasets
import pytest

from e2r.data.files.qrels import read_qrels
from e2r.data.sources import Sources, load
from tests.data.stored import beir_qrels, hub_folder, register, tsv, write

DEPTH = 20
ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Stored:
    """The parts of the collection, written anew: a run, and the texts that rank_llm's file held."""

    requests: Path
    qrels: Path
    run: Path
    queries: dict[str, str]
    texts: dict[str, str]


@pytest.fixture(scope="module")
def stored(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Stored:
    folder = tmp_path_factory.mktemp("dl19")
    requests = shared_data / "trec-dl-2019" / "bm25-top100.jsonl"
    rows = [json.loads(line) for line in requests.read_text("utf-8").splitlines()]
    candidates = [(row["query"]["qid"], c) for row in rows for c in row["candidates"]]
    lines = [f"{qid} Q0 {c['docid']} 1 {c['score']} bm25\n" for qid, c in candidates]
    run = folder / "bm25.run.gz"
    run.write_bytes(gzip.compress(("# ir_metadata.start\n" + "".join(lines)).encode()))
    return Stored(
        requests,
        shared_data / "trec-dl-2019" / "qrels.txt",
        run,
        {str(row["query"]["qid"]): row["query"]["text"] for row in rows},
        {c["docid"]: c["doc"]["contents"] for _, c in candidates},
    )


def sgml(queries: dict[str, str]) -> str:
    return "".join(
        f"<top>\n\n<num> Number: {qid}\n<title> {escape(text)}\n\n<desc> Description:\n-\n</top>\n"
        for qid, text in queries.items()
    )


def xml(queries: dict[str, str]) -> str:
    topics = "".join(
        f'<topic number="{qid}"><query>{escape(text)}</query></topic>\n'
        for qid, text in queries.items()
    )
    return f'<?xml version="1.0"?>\n<topics>\n{topics}</topics>\n'


def jsonl(texts: dict[str, str], name: str) -> str:
    return "".join(json.dumps({"_id": key, name: text}) + "\n" for key, text in texts.items())


def committed_sha256() -> str:
    """The hash in the manifests of the committed runs, which rerank these candidates."""
    manifests = (ROOT / "runs" / "trec-dl-2019").glob("SmolLM2-135M*/*/manifest.json")
    hashes = {json.loads(path.read_text())["dataset"]["candidates_sha256"] for path in manifests}
    return str(hashes.pop()) if len(hashes) == 1 else ""


def test_every_source_gives_the_same_candidates(
    stored: Stored, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    queries, texts, run = stored.queries, stored.texts, str(stored.run)
    grades = read_qrels(stored.qrels)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")

    def file(name: str, text: str) -> str:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(text.encode(), 1) if name.endswith(".gz") else text.encode())
        return str(path)

    corpora = [file("c.tsv", tsv(texts)), file("c.jsonl.gz", jsonl(texts, "contents"))]
    topics = [
        file("topics.txt.gz", sgml(queries)),
        file("topics.xml", xml(queries)),
        file("topics.tsv", tsv(queries)),
        file("queries.jsonl", jsonl(queries, "text")),
    ]
    qrels = ["qrels.txt.gz", "qrels.tsv"]
    trec = "".join(f"{q} 0 {d} {g}\n" for q, row in grades.items() for d, g in row.items())
    file(qrels[0], "# ir_metadata.start\n" + trec)
    file(qrels[1], beir_qrels(grades))
    file("beir/corpus.jsonl", jsonl(texts, "text"))
    file("beir/queries.jsonl.gz", jsonl(queries, "text"))
    file("beir/qrels/test.tsv", beir_qrels(grades))
    hub_folder(tmp_path / "hub", texts, queries, grades)
    scored = gzip.decompress(stored.run.read_bytes()).decode().partition("\n")[2]
    register("e2r-test/dl19", tmp_path / "ir", texts, queries, grades, scored)

    expected = load(Sources(candidates=str(stored.requests), qrels=str(stored.qrels)), DEPTH)
    found = [
        *(
            load(
                Sources(
                    candidates=run,
                    corpus=corpora[i % 2],
                    queries=topics[i],
                    qrels=str(tmp_path / qrels[i % 2]),
                ),
                DEPTH,
            )
            for i in range(4)
        ),
        load(Sources(dataset=f"beir:{tmp_path / 'beir'}", candidates=run), DEPTH),
        load(Sources(dataset=f"hf:{tmp_path / 'hub'}", candidates=run), DEPTH),
        load(Sources(dataset="ir_datasets:e2r-test/dl19"), DEPTH),
    ]
    ir_datasets.registry._registered.pop("e2r-test/dl19")
    assert expected.candidates_sha256 == committed_sha256()
    assert list(expected.topics) == list(found[0].topics)
    assert [c.candidates_sha256 for c in found] == [expected.candidates_sha256] * len(found)
    assert [c.judgments_sha256 for c in found] == [expected.judgments_sha256] * len(found)


def test_a_text_that_differs_gives_another_hash(stored: Stored, tmp_path: Path) -> None:
    docid = next(iter(stored.texts))
    changed = {**stored.texts, docid: stored.texts[docid] + "."}
    hashes = []
    for name, texts in (("same", stored.texts), ("changed", changed)):
        corpus = write(tmp_path / f"{name}.tsv", tsv(texts))
        queries = write(tmp_path / "queries.tsv", tsv(stored.queries))
        sources = Sources(candidates=str(stored.run), corpus=str(corpus), queries=str(queries))
        hashes.append(load(sources, DEPTH).candidates_sha256)
    assert hashes[0] != hashes[1]
