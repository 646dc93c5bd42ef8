"""The words for the parts of a collection, each with a command that works, as in docs/data.md."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Word:
    """What a source is, which parts of a collection it can be, and a command that reads it.

    `fetches`: the command needs the network when it is first run.
    """

    summary: str
    parts: str
    command: str
    fetches: bool = False


SOURCES: dict[str, Word] = {
    "demo": Word(
        "the demonstration collection that comes with e2r, with its BM25 candidates",
        "dataset, candidates, queries, corpus, qrels",
        "e2r run --dataset demo --method first_stage",
    ),
    "beir:FOLDER": Word(
        "corpus.jsonl, queries.jsonl and qrels/test.tsv in a folder, plain or .gz",
        "dataset, queries, corpus, qrels",
        "e2r run --dataset beir:scifact --candidates bm25.run --method first_stage",
    ),
    "ir_datasets:ID": Word(
        "a dataset of the library ir_datasets; its scored documents are candidates",
        "dataset, candidates, queries, corpus, qrels",
        "e2r run --dataset ir_datasets:msmarco-document/trec-dl-2019/judged --method first_stage",
        fetches=True,
    ),
    "hf:REPO": Word(
        "a repository of the Hugging Face Hub laid out as BEIR's are; REPO@REVISION pins it",
        "dataset, queries, corpus, qrels",
        "e2r run --dataset hf:BeIR/scifact --candidates bm25.run --method first_stage",
        fetches=True,
    ),
    "hf:FOLDER": Word(
        "such a repository in a folder, with FOLDER-qrels beside it",
        "dataset, queries, corpus, qrels",
        "e2r run --dataset hf:scifact-hub --candidates bm25.run --method first_stage",
    ),
    "REQUESTS.jsonl": Word(
        "candidates with their texts, in rank_llm's request format, plain or .gz",
        "candidates",
        "e2r run --candidates requests.jsonl --qrels qrels.txt --method first_stage",
    ),
    "bm25": Word(
        "a search by Pyserini in an index of the corpus; also bm25:NAME and bm25:FOLDER",
        "candidates",
        "e2r run --dataset beir:scifact --candidates bm25 --method first_stage",
    ),
    "RUN": Word(
        "a TREC run, plain or .gz",
        "candidates",
        "e2r run --dataset demo --candidates demo.run.gz --method first_stage",
    ),
    "TOPICS": Word(
        "TREC topics in SGML or XML, JSONL, or qid<TAB>text, plain or .gz",
        "queries",
        "e2r run --candidates bm25.run --queries topics.txt --corpus corpus.jsonl "
        "--method first_stage",
    ),
    "CORPUS": Word(
        "JSONL with an id, a text and perhaps a title, or docid<TAB>text, plain or .gz",
        "corpus",
        "e2r run --candidates bm25.run --queries queries.tsv --corpus corpus.tsv.gz "
        "--method first_stage",
    ),
    "QRELS": Word(
        "TREC judgments (qid 0 docid grade) or BEIR's (qid, docid, grade), plain or .gz",
        "qrels",
        "e2r run --dataset demo --qrels qrels/test.tsv --method first_stage",
    ),
    "SOURCE#PART": Word(
        "a field of the queries, or a split of the judgments, by name",
        "queries, qrels",
        "e2r run --dataset beir:scifact --candidates bm25.run --queries topics.txt#description "
        "--qrels beir:scifact#test --method first_stage",
    ),
}
