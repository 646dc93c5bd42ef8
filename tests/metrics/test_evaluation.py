"""evaluate: run folders to a table, wherever the judgments are, and one message where it cannot."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import shutil
from pathlib import Path

import pytest

from e2r.borders.reading import sha256_of
from e2r.errors import DataError
from e2r.metrics import evaluate
from e2r.metrics.cost import price
from e2r.metrics.effectiveness import parse_measures
from e2r.metrics.runs.recorded import Recorded, find_runs
from e2r.records.manifest import Manifest

KEYS = {
    "run",
    "dataset",
    "model",
    "method",
    "depth",
    "queries",
    "complete",
    "measures",
    "petaflops_per_query",
    "qpp",
    "rpp",
    "calls_per_query",
    "rounds_per_query",
    "parse_failures",
    "truncated",
}


def reseal(folder, **changes) -> None:
    """Make the manifest fit files that a test has changed."""
    manifest = folder.manifest()
    files = {name: sha256_of(folder.path / name) for name in manifest.files}
    folder.write_manifest(manifest.model_copy(update={"files": files, **changes}))


def test_a_row_says_what_the_contract_says(make_run) -> None:
    folder = make_run()
    [row] = evaluate(folder.path, "nDCG@10 RR(rel=2)@10").to_json()
    assert row.keys() >= KEYS
    json.dumps(row, allow_nan=False)
    assert (row["dataset"], row["model"], row["method"]) == (
        "small",
        "tiny-llama",
        "setwise.heapsort",
    )
    assert (row["queries"], row["depth"], row["complete"]) == (4, 4, True)
    flops = price(Recorded.load(folder.path)).per_query
    assert row["petaflops_per_query"] == pytest.approx(sum(flops.values()) / 4 / 1e15, rel=1e-12)
    assert row["qpp"]["value"] == pytest.approx(1 / row["petaflops_per_query"])
    assert row["measures"]["RR(rel=2)@10"]["value"] == pytest.approx((1 + 0.5 + 1 + 0) / 4)
    for name in ("nDCG@10", "RR(rel=2)@10"):
        found = row["measures"][name]
        assert found["low"] < found["value"] < found["high"]
        ratio = row["rpp"][name]
        assert ratio["value"] == pytest.approx(found["value"] / row["petaflops_per_query"])
        assert ratio["low"] < ratio["value"] < ratio["high"]
    assert row["calls_per_query"] == 7 / 4
    assert row["rounds_per_query"] == 7 / 4
    assert (row["parse_failures"], row["truncated"]) == (3, 3)


def test_folders_are_searched_and_named_runs_come_once(make_run, tmp_path: Path) -> None:
    first = make_run().path
    second = make_run(hash8="beefbeef", dataset="other").path
    found = find_runs([tmp_path / "runs", first])
    assert [place.path for place in found] == [second, first]
    assert [len(evaluate([path]).rows) for path in (first, first.parent)] == [1, 1]


def test_foreign_folders_are_passed_by(make_run, tmp_path: Path, monkeypatch) -> None:
    mine = make_run().path
    for name in ("theirs", ".hidden/x--0", "deep/a/b/c/d/e/f--0"):
        other = tmp_path / "runs" / name
        other.mkdir(parents=True)
        (other / "manifest.json").write_text("{}")
    assert [place.path for place in find_runs([tmp_path])] == [mine]
    looked: list[str] = []
    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: looked.append(str(path)) or scandir(path))
    find_runs([tmp_path])
    assert not any(".hidden" in path or "/f--0" in path for path in looked)


def test_a_folder_without_runs_and_a_missing_one_are_refused(tmp_path: Path) -> None:
    for place in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(DataError, match=place.name):
            evaluate([place])


def test_values_are_those_of_result_json_where_judgments_are_gone(make_run, tmp_path) -> None:
    folder = make_run()
    with_judgments = evaluate(folder.path, "nDCG@10 AP", save=True).to_json()
    evaluate(folder.path, "RR", save=True)
    (tmp_path / "small.qrels").unlink()
    notes: list[str] = []
    again = evaluate(folder.path, "nDCG@10 AP", note=notes.append).to_json()
    for one, other in zip(again, with_judgments, strict=True):
        assert (one["measures"], one["petaflops"]) == (other["measures"], other["petaflops"])
        # What cannot be computed is the run's own word, and takes no place among others.
        assert (one["verified"], other["verified"]) == (False, True)
        assert "unverified" in notes[0]
    assert len(notes) == 1
    assert "result.json" in notes[0]
    with pytest.raises(DataError, match=r"--qrels.*holds only AP, RR, nDCG@10"):
        evaluate(folder.path, "P@5")


def test_without_judgments_and_without_result_the_message_says_what_to_pass(
    make_run, tmp_path
) -> None:
    folder = make_run()
    (tmp_path / "small.qrels").unlink()
    with pytest.raises(DataError, match="pass its judgments by --qrels"):
        evaluate(folder.path)


def test_a_result_that_lies_about_its_files_is_not_used(make_run, tmp_path) -> None:
    folder = make_run()
    evaluate(folder.path, save=True)
    (tmp_path / "small.qrels").unlink()
    content = json.loads(folder.result_path.read_text())
    content["inputs"]["run.trec.gz"] = "0" * 64
    folder.result_path.write_text(json.dumps(content))
    with pytest.raises(DataError, match="belongs to other files"):
        evaluate(folder.path)
    content["measures"]["nDCG@10"]["q1"] = float("nan")
    folder.result_path.write_text(json.dumps(content))
    with pytest.raises(DataError, match="no finite number"):
        evaluate(folder.path)


def test_result_json_is_the_same_however_often_it_is_written(make_run) -> None:
    folder = make_run()
    evaluate(folder.path, save=True)
    before = folder.result_path.read_bytes()
    evaluate(folder.path, save=True)
    assert folder.result_path.read_bytes() == before


def test_judgments_passed_by_name_must_be_the_runs_own(make_run, tmp_path) -> None:
    folder = make_run()
    shutil.copy(tmp_path / "small.qrels", tmp_path / "copy.qrels")
    (tmp_path / "small.qrels").unlink()
    assert len(evaluate(folder.path, qrels=str(tmp_path / "copy.qrels")).rows) == 1
    (tmp_path / "copy.qrels").write_text("q1 0 a 1\n")
    with pytest.raises(DataError, match="not those that the run was made with"):
        evaluate(folder.path, qrels=str(tmp_path / "copy.qrels"))
    with pytest.raises(DataError, match="no such file"):
        evaluate(folder.path, qrels=str(tmp_path / "none.qrels"))


def test_a_changed_file_is_named(make_run) -> None:
    folder = make_run()
    with folder.per_query_path.open("a") as stream:
        stream.write("\n")
    with pytest.raises(DataError, match=r"per_query\.jsonl: changed"):
        evaluate(folder.path)


def test_a_run_file_that_contradicts_its_queries_is_refused(make_run) -> None:
    folder = make_run()
    text = gzip.decompress(folder.run_path.read_bytes()).decode().replace("q1 Q0 a", "q1 Q0 z")
    folder.run_path.write_bytes(gzip.compress(text.encode()))
    reseal(folder)
    with pytest.raises(DataError, match="ranks otherwise"):
        evaluate(folder.path)


def test_a_ledger_that_contradicts_its_queries_is_refused(make_run) -> None:
    folder = make_run()
    lines = folder.per_query_path.read_text().replace('"calls": 3', '"calls": 4')
    folder.per_query_path.write_text(lines)
    reseal(folder)
    with pytest.raises(DataError, match="holds 3 calls of query q3"):
        evaluate(folder.path)


def test_a_partial_run_is_shown_incomplete_and_its_failures_score_zero(make_run) -> None:
    [row] = evaluate(make_run(failed=("q1",)).path, "RR").rows
    assert not row.complete
    assert row.scores.missing == ("q1",)
    assert row.measures["RR"].value == pytest.approx((0 + 1 / 2 + 1 + 1 / 4) / 4)
    assert any("q1" in note and "failed" in note for note in row.notes)
    assert row.to_json()["complete"] is False


def test_a_run_under_way_is_left_out_unless_named(make_run, tmp_path) -> None:
    make_run()
    folder = make_run(hash8="beefbeef")
    reseal(folder, status="started")
    notes: list[str] = []
    assert len(evaluate(tmp_path / "runs", note=notes.append).rows) == 1
    assert "not finished" in notes[0]
    with pytest.raises(DataError, match="not finished"):
        evaluate(folder.path)


def test_unjudged_queries_count_in_no_figure(make_run) -> None:
    judgments = {"q1": {"a": 1}, "q2": {"b": 1}}
    [row] = evaluate(make_run(judgments=judgments).path, "RR").rows
    assert row.qids == ("q1", "q2")
    assert row.work.calls == 3
    flops = row.cost.per_query
    assert row.petaflops.value == pytest.approx((flops["q1"] + flops["q2"]) / 2 / 1e15)
    assert row.scores.unjudged == ("q3", "q4")


def test_the_first_stage_is_a_row_with_its_own_price(make_run) -> None:
    reranked = make_run()
    bm25 = make_run(method="first_stage", model="no-model", architecture=None, calls={})
    one, two = evaluate([reranked.path, bm25.path]).to_json()
    wanted = 11 * (3 + 4 + 5 + 6) * 1000 / 4 / 1e15
    assert one["first_stage_petaflops_per_query"] == pytest.approx(wanted)
    assert two["petaflops_per_query"] == pytest.approx(wanted)
    assert one["petaflops_per_query"] > wanted
    assert two["rpp"]["nDCG@10"]["value"] is not None


def test_a_free_run_has_no_rpp_and_says_so(make_run) -> None:
    [row] = evaluate(make_run(architecture=None, model="random-1").path).to_json()
    assert row["petaflops_per_query"] == 0
    assert set(row["rpp"]["nDCG@10"].values()) == {None}
    assert set(row["qpp"].values()) == {None}
    assert any("undefined" in note for note in row["notes"])


def test_one_query_has_figures_without_intervals(make_run) -> None:
    [row] = evaluate(make_run(judgments={"q1": {"a": 1}}).path).to_json()
    assert row["measures"]["nDCG@10"] == {"value": 1.0, "low": None, "high": None}


def test_a_convention_reprices_without_running(make_run) -> None:
    folder = make_run()
    ideal, torch = (evaluate(folder.path, convention=name).rows[0] for name in ("ideal", "torch"))
    assert torch.petaflops.value > ideal.petaflops.value
    assert torch.measures == ideal.measures


def test_table_as_markdown_and_as_data_frame(make_run) -> None:
    table = evaluate(make_run(model="a|b").path)
    lines = table.to_markdown().splitlines()
    assert len(lines) == 3
    assert "a\\|b" in lines[2]
    frame = table.to_pandas()
    [row] = table.to_json()
    assert frame["nDCG@10"][0] == row["measures"]["nDCG@10"]["value"]
    assert frame["RPP nDCG@10 low"][0] == row["rpp"]["nDCG@10"]["low"]
    assert frame["QPP"][0] == row["qpp"]["value"]


def test_latex_and_csv_hold_the_same_numbers_and_only_text(make_run) -> None:
    table = evaluate(make_run(model="a_b&50%\\input{x}", dataset="=1+1").path)
    tex = table.to_latex()
    assert r"a\_b\&50\%\textbackslash{}input\{x\}" in tex
    assert tex.count(r" \\" + "\n") == 2
    assert f"{table.rows[0].measures['nDCG@10'].value:.4f}" in tex
    [line] = csv.DictReader(io.StringIO(table.to_csv()))
    assert float(line["nDCG@10"]) == table.rows[0].measures["nDCG@10"].value
    assert float(line["RPP nDCG@10 low"]) == table.rows[0].rpp["nDCG@10"].ratio.low
    assert line["dataset"] == "'=1+1"


def test_a_manifest_of_another_schema_is_refused_with_its_field(make_run) -> None:
    folder = make_run()
    content = json.loads(folder.manifest_path.read_text())
    content["schema"] = 9
    folder.manifest_path.write_text(json.dumps(content))
    with pytest.raises(DataError, match="field schema"):
        evaluate(folder.path)
    with pytest.raises(DataError):
        Manifest.load(folder.path / "none.json")


def test_offered_measures_are_those_that_a_run_can_have(make_run, tmp_path) -> None:
    known = make_run()
    offered = parse_measures("AP(rel=2) AP(rel=9)")
    [row] = evaluate(known.path, offered=offered).rows
    assert list(row.measures) == ["nDCG@10", "AP(rel=2)"]  # no judgment reaches grade 9
    evaluate(known.path, save=True)
    (tmp_path / "small.qrels").unlink()
    [row] = evaluate(known.path, offered=offered, note=lambda text: None).rows
    assert list(row.measures) == ["nDCG@10"]  # its result.json holds no other


def test_prices_under_further_conventions_are_those_of_an_evaluation_under_them(make_run) -> None:
    run = make_run()
    [row] = evaluate(run.path, also=["torch", "paper"]).rows
    for name, cost in row.prices.items():
        [other] = evaluate(run.path, convention=name).rows
        assert cost.per_query == other.cost.per_query
        assert cost.per_query != row.cost.per_query


@pytest.mark.parametrize(("queries", "said"), [(19, True), (20, False)])
def test_intervals_over_few_queries_say_so(make_run, queries: int, said: bool) -> None:
    """A BCa interval of RPP covers 83 % at 5 queries and 93 % at 43, where it says 95 %."""
    qids = [f"q{number}" for number in range(queries)]
    folder = make_run(
        rankings={qid: ["d1", "d2"] for qid in qids},
        calls={qid: [(100, 1, 1)] for qid in qids},
        judgments={qid: {"d1": 1, "d2": 0} for qid in qids},
    )
    row = evaluate(folder.path, "nDCG@10").rows[0]
    assert any("queries are few" in note for note in row.notes) == said
