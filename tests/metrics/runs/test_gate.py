"""Every run that e2r makes passes the gate; a folder that was tampered with does not."""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from e2r.borders.reading import sha256_of
from e2r.data.findings import Report
from e2r.metrics import evaluate
from e2r.metrics.runs.gate import check_run
from e2r.ranking import METHODS, PRICED_ONLY
from e2r.records.folder import FINAL_FILES
from e2r.records.spec import Spec
from e2r.runner import run
from tests.small_collection import write_collection


@pytest.fixture(scope="module")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_collection(tmp_path_factory.mktemp("gate") / "small")


def made(collection: Path, runs: Path, name: str, **method: Any) -> Path:
    tables = {
        "data": {
            "dataset": f"beir:{collection}",
            "candidates": str(collection / "first.run"),
            "depth": 12,
        },
        "model": {"source": "none" if name == "first_stage" else "random:7"},
        "method": {"name": name, "k": 5, **method},
    }
    path = run(Spec.of(tables, "the test"), runs).path
    evaluate(path, save=True)
    return path


def findings(path: Path, **more: Any) -> Report:
    report = Report()
    check_run(path, report.hear, **{"follow": True, **more})
    return report


@pytest.mark.parametrize("name", sorted(set(METHODS) - PRICED_ONLY))
def test_what_e2r_makes_passes(collection: Path, tmp_path: Path, name: str) -> None:
    report = findings(made(collection, tmp_path, name))
    assert (report.errors, report.warnings) == ([], [])


def test_cascades_pass(collection: Path, tmp_path: Path) -> None:
    then = [{"name": "setwise.heapsort", "over": 4, "k": 2}]
    report = findings(made(collection, tmp_path, "pointwise.qlm", then=then))
    assert (report.errors, report.warnings) == ([], [])


@pytest.fixture(scope="module")
def whole(collection: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(collection, tmp_path_factory.mktemp("runs"), "setwise.heapsort")


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    """A copy to be tampered with, in place under its own name."""
    return Path(shutil.copytree(whole, tmp_path.joinpath(*whole.parts[-3:])))


def edit(path: Path, change: Callable[[Any], None]) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def sign(folder: Path) -> None:
    """Make all hashes fit again, as a forger would."""
    files = {name: sha256_of(folder / name) for name in FINAL_FILES}
    edit(folder / "manifest.json", lambda manifest: manifest.update(files=files))
    inputs = {name: files[name] for name in FINAL_FILES if name != "spec.toml"}
    edit(folder / "result.json", lambda result: result.update(inputs=inputs))


def edit_records(folder: Path, change: Callable[[list[dict[str, Any]]], None]) -> None:
    path = folder / "per_query.jsonl"
    records = [json.loads(line) for line in path.read_text().splitlines()]
    change(records)
    path.write_text("".join(f"{json.dumps(record)}\n" for record in records))


def edit_ledger(folder: Path, name: str, change: Callable[[list[Any]], None]) -> None:
    table = pq.read_table(folder / "ledger.parquet")
    values = table[name].to_pylist()
    change(values)
    place = table.schema.get_field_index(name)
    column = pa.array(values, type=table.schema.field(name).type)
    pq.write_table(
        table.set_column(place, table.schema.field(name), column), folder / "ledger.parquet"
    )


def rerank(folder: Path, change: Callable[[list[str]], list[str]]) -> None:
    """Change the first query's ranking in per_query.jsonl and run.trec.gz alike."""

    def both(records: list[dict[str, Any]]) -> None:
        records[0]["ranking"] = change(records[0]["ranking"])
        lines = [
            f"{record['qid']} Q0 {docid} {rank} {len(record['ranking']) - rank + 1} x\n"
            for record in records
            for rank, docid in enumerate(record["ranking"], start=1)
        ]
        (folder / "run.trec.gz").write_bytes(gzip.compress("".join(lines).encode()))

    edit_records(folder, both)


def text_of(folder: Path) -> str:
    """A passage among the run's candidates."""
    data = Spec.load(folder / "spec.toml").data
    corpus = Path(str(data.candidates)).parent / "corpus.jsonl"
    ranked = json.loads((folder / "per_query.jsonl").read_text().splitlines()[0])["ranking"]
    rows = [json.loads(line) for line in corpus.read_text().splitlines()]
    return max((row["text"] for row in rows if row["_id"] in ranked), key=len)


def forge_spec(folder: Path) -> None:
    spec = folder / "spec.toml"
    spec.write_text(spec.read_text().replace("k = 5", "k = 7"))


def forge_identity(folder: Path) -> None:
    edit(folder / "manifest.json", lambda manifest: manifest["identity"].update(seed=9))


def swap_ledger_rows(values: list[Any]) -> None:
    values[0], values[1] = values[1], values[0]


FORGED: dict[str, tuple[Callable[[Path], Any], str]] = {
    "a result that lies about its ranking": (
        lambda f: edit(f / "result.json", lambda r: r["measures"]["nDCG@10"].update(q0=1.0)),
        "says 1.0 for nDCG@10 of query q0",
    ),
    "a result without its queries": (
        lambda f: edit(f / "result.json", lambda r: r["measures"]["nDCG@10"].pop("q0")),
        "belongs to other files, queries or judgments",
    ),
    "a better ranking than the one evaluated": (
        lambda f: rerank(f, lambda ranking: ranking[::-1]),
        "for nDCG@10 of query q0; the ranking and the judgments give",
    ),
    "a run file of its own": (
        lambda f: edit_records(f, lambda rows: rows[0]["ranking"].reverse()),
        "ranks otherwise than per_query.jsonl",
    ),
    "a document that was no candidate": (
        lambda f: rerank(f, lambda ranking: [*ranking[:-1], "stranger"]),
        "no permutation of its candidates",
    ),
    "a document left out": (
        lambda f: rerank(f, lambda ranking: ranking[:-1]),
        "no permutation of its candidates",
    ),
    "a document twice": (
        lambda f: rerank(f, lambda ranking: [*ranking[:-1], ranking[0]]),
        "ranks a document twice",
    ),
    "cheaper calls": (
        lambda f: edit_ledger(f, "prompt_tokens", lambda v: v.__setitem__(0, v[0] + 1)),
        "the calls give",
    ),
    "negative tokens": (
        lambda f: edit_ledger(f, "generated_tokens", lambda v: v.__setitem__(0, -1)),
        "generated_tokens is -1; it lies between",
    ),
    "more cached than asked": (
        lambda f: edit_ledger(f, "cached_tokens", lambda v: v.__setitem__(0, 10**6)),
        "exceeds prompt_tokens",
    ),
    "endless seconds": (
        lambda f: edit_ledger(f, "seconds", lambda v: v.__setitem__(0, float("inf"))),
        "not finite",
    ),
    "calls out of order": (
        lambda f: edit_ledger(f, "call", swap_ledger_rows),
        "call 1 comes where 0 is due",
    ),
    "an answer out of the blue": (
        lambda f: edit_ledger(f, "answer", lambda v: v.__setitem__(0, '"stranger"')),
        "is not among the documents asked about",
    ),
    "a query that nobody asked": (
        lambda f: edit_ledger(f, "qid", lambda v: v.__setitem__(0, "stranger")),
        "query stranger is not in per_query.jsonl",
    ),
    "another question": (forge_spec, "differs from the identity that the folder is named after; k"),
    "another identity": (forge_identity, "the folder's hash is"),
    "a ledger that is none": (
        lambda f: (f / "ledger.parquet").write_bytes(b"PAR1"),
        "not a readable ledger",
    ),
    "a path that leads out": (
        lambda f: edit(f / "manifest.json", lambda m: m.update(run="../../../etc/x")),
        "'..' cannot name a folder",
    ),
    "a file that leads out": (
        lambda f: edit(f / "manifest.json", lambda m: m["files"].update({"../../x": "0" * 64})),
        "names a file that is none",
    ),
    "an unknown method": (
        lambda f: edit(f / "manifest.json", lambda m: m.update(method="setwise.magic")),
        "unknown method 'setwise.magic'",
    ),
    "a huge name": (
        lambda f: edit(f / "manifest.json", lambda m: m["model"].update(id="x" * 10**5)),
        "100000 characters are too many",
    ),
    "a name that steers": (
        lambda f: edit(f / "manifest.json", lambda m: m["dataset"].update(first_stage="a\x1b[2J")),
        "a control character in a name",
    ),
    "a foreign field": (
        lambda f: edit(f / "manifest.json", lambda m: m.update(html="<script>")),
        "field html",
    ),
    "fewer queries": (
        lambda f: edit(f / "manifest.json", lambda m: m["dataset"].update(queries=7)),
        "holds 6 queries; the manifest speaks of 7",
    ),
    "other candidates": (
        lambda f: edit(f / "manifest.json", lambda m: m["dataset"].update(candidates_sha256="0")),
        "made from other candidates than those at hand",
    ),
    "passages in the notes": (
        lambda f: edit(f / "manifest.json", lambda m: m.update(notes=[text_of(f)])),
        "holds the text of document",
    ),
    "a foreign file": (lambda f: (f / "index.html").write_text("<script>"), "no file of a run"),
    "a link": (lambda f: (f / "run.txt").symlink_to("/etc/passwd"), "a link"),
}  # fmt: skip


@pytest.mark.parametrize("name", FORGED)
def test_what_was_forged_is_refused(folder: Path, name: str) -> None:
    """Hashes are made to fit again, so that only what they hide can give the forger away."""
    forge, says = FORGED[name]
    forge(folder)
    if "field" not in name:
        sign(folder)
    if name == "a file that leads out":
        forge(folder)
    messages = [str(finding) for finding in findings(folder).errors]
    assert any(says in message for message in messages), messages


@pytest.mark.parametrize("name", FINAL_FILES)
def test_a_file_that_changed_is_refused(folder: Path, name: str) -> None:
    path = folder / name
    path.write_bytes(path.read_bytes() + b"\n")
    assert any(
        finding.file == str(path) and "changed since the run finished" in finding.message
        for finding in findings(folder).errors
    )


def test_a_folder_under_another_name_is_refused(folder: Path) -> None:
    moved = folder.rename(folder.with_name("setwise.heapsort--00000000"))
    assert any("speaks of the run" in str(finding) for finding in findings(moved).errors)


def test_what_cannot_be_checked_is_said(folder: Path, tmp_path: Path) -> None:
    """Without the data, a submission's facts still have to agree among themselves."""
    spec = folder / "spec.toml"
    data = Spec.load(spec).data
    spec.write_text(spec.read_text().replace(str(Path(str(data.candidates)).parent), "/gone"))
    sign(folder)
    report = findings(folder)
    assert report.errors == []
    told = " ".join(finding.message for finding in report.warnings)
    assert "was not computed again" in told
    assert "candidates are not at hand" in told


def test_judgments_can_be_given(folder: Path, collection: Path, tmp_path: Path) -> None:
    qrels = collection / "qrels" / "test.tsv"
    assert findings(folder, qrels=(str(qrels),)).errors == []
    other = tmp_path / "other.tsv"
    other.write_text(qrels.read_text().replace("\t1\n", "\t2\n"))
    [error] = findings(folder, qrels=(str(other),)).errors
    assert "other judgments" in error.message


def test_the_committed_runs_pass() -> None:
    runs = Path(__file__).resolve().parents[3] / "runs"
    folders = sorted(path.parent for path in runs.rglob("manifest.json"))
    assert folders
    for path in folders:
        assert findings(path).errors == [], path
