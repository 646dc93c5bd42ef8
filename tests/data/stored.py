"""One tiny collection, stored in the layouts that the libraries of the sources read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

TEXTS = {"a": "text of a", "b": "text of b", "c": "text of c", "d": "text of d"}
QUERIES = {"1": "first query", "2": "second"}
GRADES = {"1": {"a": 2, "b": 0}, "2": {"d": 1}}
RUN = "1 Q0 a 1 3 t\n1 Q0 b 2 2 t\n2 Q0 c 1 5 t\n2 Q0 d 2 4 t\n2 Q0 a 3 3 t\n"


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def store_parquet(path: Path, rows: list[dict[str, object]]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), path)


def hub_folder(
    folder: Path,
    texts: Mapping[str, str] = TEXTS,
    queries: Mapping[str, str] = QUERIES,
    grades: Mapping[str, Mapping[str, int]] = GRADES,
    *,
    form: str = "parquet",
    sized: bool = True,
    companion: bool = True,
) -> Path:
    """A repository of the Hub as BEIR's are, cloned into a folder; `sized` says how large it is."""
    tables: dict[str, list[dict[str, object]]] = {
        "corpus": [{"_id": d, "title": "", "text": t, "more": [1.5]} for d, t in texts.items()],
        "queries": [{"_id": q, "title": "", "text": t} for q, t in queries.items()],
    }
    if not companion:
        tables["default"] = [
            {"query-id": q, "corpus-id": d, "score": float(g)}
            for q, row in grades.items()
            for d, g in row.items()
        ]
    configs, sizes = "", ""
    for name, rows in tables.items():
        if form == "parquet":
            store_parquet(folder / name / "0.parquet", rows)
        else:
            write(folder / name / "0.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
        split = "test" if name == "default" else name
        configs += (
            f"- config_name: {name}\n  data_files: [{{split: {split}, path: {name}/0.{form}}}]\n"
        )
        sizes += (
            f"- config_name: {name}\n  splits:\n  - {{name: {split}, num_bytes: 999, "
            f"num_examples: {len(rows)}}}\n  download_size: 999\n  dataset_size: 999\n"
        )
    card = f"configs:\n{configs}" + (f"dataset_info:\n{sizes}" if sized else "")
    write(folder / "README.md", f"---\n{card}---\n")
    if companion:
        write(Path(f"{folder}-qrels") / "test.tsv", beir_qrels(grades))
        write(Path(f"{folder}-qrels") / "train.tsv", beir_qrels({"1": {"c": 1}}))
    return folder


def beir_qrels(grades: Mapping[str, Mapping[str, int]]) -> str:
    rows = [f"{q}\t{d}\t{g}\n" for q, row in grades.items() for d, g in row.items()]
    return "query-id\tcorpus-id\tscore\n" + "".join(rows)


def trec_qrels(grades: Mapping[str, Mapping[str, int]]) -> str:
    return "".join(f"{q} 0 {d} {g}\n" for q, row in grades.items() for d, g in row.items())


def tsv(texts: Mapping[str, str]) -> str:
    return "".join(f"{name}\t{text}\n" for name, text in texts.items())


def register(
    name: str,
    folder: Path,
    texts: Mapping[str, str] = TEXTS,
    queries: Mapping[str, str] = QUERIES,
    grades: Mapping[str, Mapping[str, int]] = GRADES,
    run: str | None = RUN,
) -> None:
    """Make a dataset of local files known to ir_datasets, as its own datasets are."""
    import ir_datasets
    from ir_datasets import formats, util

    def local(file: str, text: str) -> object:
        return util.LocalDownload(write(folder / file, text))

    parts = [
        formats.TsvDocs(local("docs.tsv", tsv(texts))),
        formats.TsvQueries(local("queries.tsv", tsv(queries))),
        formats.TrecQrels(local("qrels.txt", trec_qrels(grades)), {}),
    ]
    if run is not None:
        parts.append(formats.TrecScoredDocs(local("bm25.run", run)))
    ir_datasets.registry.register(name, ir_datasets.Dataset(*parts))
