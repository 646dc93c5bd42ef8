"""Bad input on the command line: one message that says what, where and what to do, and exit 3."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path

import pytest

from e2r.borders.reading import sha256_of
from e2r.cli import main

BINARY = {"q1": {"a": 1, "b": 0}, "q2": {"b": 1}, "q3": {"c": 1}, "q4": {"b": 1}}


def call(*words: object) -> int:
    with pytest.raises(SystemExit) as left:
        main([str(word) for word in words])
    assert isinstance(left.value.code, int)
    return left.value.code


def refused(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    """The one message of a command that leaves with 3 and prints nothing."""
    assert call(*words) == 3
    out, err = capsys.readouterr()
    assert out == ""
    assert "Traceback" not in err
    assert "this is a bug" not in err
    [message] = [line for line in err.splitlines() if line.startswith("e2r: ")]
    return message


def rewrite(folder, path: Path, old: str, new: str) -> None:
    """Change a file of a run and make the manifest fit it, as nobody would by accident."""
    packed = path.suffix == ".gz"
    text = (gzip.decompress(path.read_bytes()) if packed else path.read_bytes()).decode()
    assert old in text
    content = text.replace(old, new).encode()
    path.write_bytes(gzip.compress(content) if packed else content)
    manifest = folder.manifest()
    files = {name: sha256_of(folder.path / name) for name in manifest.files}
    folder.write_manifest(manifest.model_copy(update={"files": files}))


@pytest.mark.parametrize("command", ["evaluate", "compare", "frontier"])
def test_judgments_of_another_dataset(make_run, tmp_path, capsys, command) -> None:
    one, two = make_run().path, make_run(hash8="beefbeef").path
    other = tmp_path / "other.qrels"
    other.write_text("x1 0 a 1\n")
    said = refused(capsys, command, one, two, "--qrels", other)
    assert "not those that the run was made with; pass the right ones by --qrels" in said


def test_runs_of_two_datasets_do_not_compare(make_run, capsys) -> None:
    said = refused(capsys, "compare", make_run().path, make_run(dataset="other").path)
    assert "is a run on other" in said
    assert "compare runs on the same dataset" in said


def test_a_ranking_of_another_collection_whose_query_ids_agree(tmp_path, capsys) -> None:
    (tmp_path / "theirs.run").write_text("q1 Q0 x9 1 2 t\nq1 Q0 x8 2 1 t\n")
    (tmp_path / "qrels").write_text("q1 0 a 1\n")
    said = refused(capsys, "evaluate", tmp_path / "theirs.run", "--qrels", tmp_path / "qrels")
    assert "none of its ranked documents is judged" in said
    (tmp_path / "qrels").write_text("z1 0 a 1\n")
    said = refused(capsys, "evaluate", tmp_path / "theirs.run", "--qrels", tmp_path / "qrels")
    assert "none of the run's queries has a judgment" in said


def test_a_ledger_that_does_not_match_its_run(make_run, capsys) -> None:
    folder = make_run()
    rewrite(folder, folder.per_query_path, '"qid": "q3"', '"qid": "q7"')
    assert "query q3 is not in per_query.jsonl" in refused(capsys, "evaluate", folder.path)


def test_a_run_file_that_does_not_match_its_queries(make_run, capsys) -> None:
    folder = make_run()
    rewrite(folder, folder.run_path, "q1 Q0 a 1", "q1 Q0 z 1")
    assert "ranks otherwise than per_query.jsonl" in refused(capsys, "evaluate", folder.path)


@pytest.mark.parametrize("score", ["nan", "inf", "-inf", "many"])
def test_scores_that_are_no_numbers(make_run, tmp_path, capsys, score) -> None:
    folder = make_run()
    rewrite(folder, folder.run_path, "a 1 4 ", f"a 1 {score} ")
    said = refused(capsys, "evaluate", folder.path)
    assert "run.trec.gz" in said
    (tmp_path / "theirs.run").write_text(f"q1 Q0 a 1 {score} t\n")
    said = refused(capsys, "evaluate", tmp_path / "theirs.run", "--qrels", tmp_path / "small.qrels")
    assert "theirs.run:1: " in said
    assert f"score '{score}'" in said


@pytest.mark.parametrize("measure", ["RR(rel=2)@10", "ERR@10", "SDCG(max_rel=3)@10"])
def test_a_graded_measure_on_binary_judgments(make_run, capsys, measure) -> None:
    folder = make_run(judgments=BINARY)
    said = refused(capsys, "evaluate", folder.path, "--measures", measure)
    assert measure in said
    assert "ask for" in said


def test_zero_flops_are_undefined_and_never_infinite(make_run, capsys) -> None:
    path = make_run(architecture=None, model="random-1").path
    for form in ("table", "markdown", "latex", "csv", "json"):
        assert call("evaluate", path, "--format", form, "--columns", "all") == 0
        out, err = capsys.readouterr()
        assert not any(word in out.lower() for word in ("inf ", "inf,", "infinity", "nan"))
        if form == "table":
            assert "RPP and QPP are undefined" in err
        if form == "json":
            [row] = json.loads(out)
            assert set(row["rpp"]["nDCG@10"].values()) == {None}
            assert any("undefined" in note for note in row["notes"])


def test_a_convention_prices_every_report_from_the_ledger(make_run, capsys) -> None:
    one, two = make_run().path, make_run(hash8="beefbeef").path
    for command in ("evaluate", "compare", "frontier"):
        costs = []
        for convention in ("ideal", "torch", "deepspeed", "paper"):
            assert call(command, one, two, "--convention", convention, "--format", "csv") == 0
            costs.append(capsys.readouterr().out)
        # Twins cost the same under any convention, so that their comparison stays as it is.
        assert len(set(costs)) == (1 if command == "compare" else 4)


def test_judged_queries_that_a_run_lacks_score_0_and_are_listed(tmp_path, capsys) -> None:
    """As trec_eval counts with -c; a mean over what happens to be there would flatter."""
    whole, lacking = "q1 Q0 a 1 2 t\nq2 Q0 b 1 2 t\n", "q1 Q0 a 1 2 t\n"
    (tmp_path / "qrels").write_text("q1 0 a 1\nq2 0 b 1\nq3 0 c 1\n")
    found = {}
    for name, text in (("whole", whole), ("lacking", lacking)):
        (tmp_path / f"{name}.run").write_text(text)
        words = ["evaluate", tmp_path / f"{name}.run", "--qrels", tmp_path / "qrels", "--json"]
        with pytest.raises(SystemExit) as left:
            main([*map(str, words), "--measures", "RR"])
        assert left.value.code == 0
        [found[name]] = json.loads(capsys.readouterr().out)
    assert found["whole"]["measures"]["RR"]["value"] == pytest.approx(2 / 3)
    assert found["whole"]["missing_queries"] == ["q3"]
    assert found["lacking"]["measures"]["RR"]["value"] == pytest.approx(1 / 3)
    assert found["lacking"]["missing_queries"] == ["q2", "q3"]
    assert found["lacking"]["queries"] == 3
    assert "2 queries have no ranking and score 0 (q2, q3)" in found["lacking"]["notes"]


def test_measures_that_would_end_the_process_are_refused(capsys) -> None:
    for name, said in (("nDCG@0", "cutoff is 0"), ("P(rel=0)@5", "rel is 0")):
        assert call("evaluate", "nowhere", "--measures", name) == 2
        assert said in capsys.readouterr().err


def test_compare_says_which_queries_count_as_zero(tmp_path, capsys) -> None:
    (tmp_path / "whole.run").write_text("q1 Q0 a 1 2 t\nq2 Q0 b 1 2 t\n")
    (tmp_path / "lacking.run").write_text("q1 Q0 a 1 2 t\n")
    (tmp_path / "qrels").write_text("q1 0 a 1\nq2 0 b 1\n")
    runs = tmp_path / "whole.run", tmp_path / "lacking.run"
    words = ["compare", *runs, "--qrels", tmp_path / "qrels", "--measures", "RR"]
    assert call(*words) == 0
    assert "1 queries have no ranking and score 0 (q2)" in capsys.readouterr().err


def test_a_full_disk_behind_stdout_is_no_bug(make_run) -> None:
    path = make_run().path
    words = [sys.executable, "-m", "e2r", "evaluate", str(path), "--json"]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(words, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 2
    assert "the output cannot be written (No space left on device)" in done.stderr
    assert "Traceback" not in done.stderr
