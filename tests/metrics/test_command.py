"""`e2r evaluate` on the command line: a table, JSON alone on stdout, and exit codes."""

from __future__ import annotations

import json

import pytest

from e2r.cli import main


def call(*words: str) -> int:
    with pytest.raises(SystemExit) as left:
        main(["evaluate", *words])
    return left.value.code


def test_json_is_alone_on_stdout(make_run, tmp_path, capsys) -> None:
    make_run(failed=("q2",))
    assert call(str(tmp_path / "runs"), "--json", "--measures", "nDCG@10 RR(rel=2)@10") == 0
    out, err = capsys.readouterr()
    [row] = json.loads(out)
    assert set(row["rpp"]) == {"nDCG@10", "RR(rel=2)@10"}
    assert err == ""


def test_a_wide_terminal_keeps_each_row_on_one_line_and_notes_go_to_stderr(
    make_run, capsys, monkeypatch
) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    folder = make_run(model="a-model-with-a-very-long-name-" * 4, failed=("q2",))
    assert call(str(folder.path)) == 0
    out, err = capsys.readouterr()
    assert "a-model-with-a-very-long-name-" * 4 in out
    assert "(incomplete)" in out
    assert "q2" in err


def test_evaluating_leaves_result_json(make_run) -> None:
    folder = make_run()
    assert call(str(folder.path)) == 0
    result = json.loads(folder.result_path.read_text())
    assert set(result["measures"]["nDCG@10"]) == {"q1", "q2", "q3", "q4"}


@pytest.mark.parametrize(
    ("form", "start"),
    [("markdown", "| dataset |"), ("latex", "\\begin{tabular}"), ("csv", "run,"), ("json", "[")],
)
def test_formats(make_run, capsys, form, start) -> None:
    assert call(str(make_run().path), "--format", form) == 0
    assert capsys.readouterr().out.startswith(start)


@pytest.mark.parametrize("extra", [[], ["--json"]])
def test_compare_from_the_command_line(make_run, capsys, extra) -> None:
    one, two = make_run(), make_run(hash8="beefbeef")
    with pytest.raises(SystemExit) as left:
        main(["compare", str(one.path), str(two.path), *extra])
    assert left.value.code == 0
    out = capsys.readouterr().out
    assert "no difference in nDCG@10 is shown (p = 1.0000)" in out
    if extra:
        assert json.loads(out)[0]["ties"] == 4


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["--measures", "nDGC@10"], 2, "did you mean"),
        (["--convention", "idael"], 2, "did you mean ideal"),
        (["--qrels", "nowhere.txt"], 3, "nowhere.txt"),
    ],
)
def test_exit_codes_and_messages(make_run, capsys, words, code, told) -> None:
    assert call(str(make_run().path), *words) == code
    assert told in capsys.readouterr().err


def test_a_place_that_is_no_run_leaves_with_3(tmp_path, capsys) -> None:
    assert call(str(tmp_path)) == 3
    assert "holds no run folder" in capsys.readouterr().err
