"""Runs made elsewhere: a TREC run and a CSV of tokens become a row like any other."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from e2r.cli import main
from e2r.data.trec import read_run
from e2r.errors import DataError, UsageError
from e2r.flops.architecture import Architecture
from e2r.flops.estimate import estimate
from e2r.flops.work import Usage
from e2r.metrics import evaluate
from e2r.metrics.foreign import Foreign, read_usage

MODEL = "Qwen/Qwen2.5-7B-Instruct"
HEADER = "qid,prompt_tokens,generated_tokens,model\n"


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path, Path]:
    qrels, ranking, usage = (tmp_path / name for name in ("q.txt", "theirs.run", "calls.csv"))
    qrels.write_text("q1 0 a 1\nq2 0 b 1\n")
    ranking.write_text("q1 Q0 a 1 2 x\nq1 Q0 b 2 1 x\nq2 Q0 a 1 2 x\nq2 Q0 b 2 1 x\n")
    usage.write_text(f"{HEADER}q1,100,1,{MODEL}\nq2,200,3,{MODEL}\nq2,50,0,{MODEL}\n")
    return qrels, ranking, usage


def test_a_foreign_run_is_scored_and_priced(files) -> None:
    qrels, ranking, usage = files
    [row] = evaluate([], "RR", qrels=str(qrels), foreign=[Foreign(ranking, usage, "d")]).rows
    architecture = Architecture.load(MODEL)
    calls = [(100, 1), (200, 3), (50, 0)]
    flops = sum(
        estimate(architecture, Usage(prompt_tokens=n, generated_tokens=o)).flops for n, o in calls
    )
    assert row.petaflops.value == pytest.approx(flops / 2 / 1e15)
    assert row.measures["RR"].value == 0.75
    assert row.manifest.method == "theirs"
    assert row.to_json()["rounds_per_query"] is None
    assert row.to_json()["seconds_per_query"] is None
    assert "rounds" not in row.standing.frontiers


def test_on_the_command_line_a_third_partys_real_run(shared_data, tmp_path, capsys) -> None:
    folder = shared_data / "trec-dl-2019"
    ranking = folder / "rankgpt-gpt-3.5-turbo.run"
    usage = tmp_path / "calls.csv"
    usage.write_text(HEADER + "".join(f"{qid},4000,100,{MODEL}\n" for qid in read_run(ranking)))
    words = ["evaluate", "--foreign", str(ranking), str(usage), "--qrels", f"{folder}/qrels.txt"]
    with pytest.raises(SystemExit) as left:
        main([*words, "--name", "dl19", "--json"])
    assert left.value.code == 0
    [row] = json.loads(capsys.readouterr().out)
    assert round(row["measures"]["nDCG@10"]["value"], 4) == 0.6799
    assert (row["dataset"], row["queries"], row["calls_per_query"]) == ("dl19", 43, 1)
    assert row["rpp"]["nDCG@10"]["value"] > 0


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("qid,prompt_tokens\nq1,1\n", "no column generated_tokens, model"),
        (f"{HEADER}q1,many,1,m\n", r":2: prompt_tokens is 'many'"),
        (f"{HEADER}q1,-3,1,m\n", r":2: prompt_tokens is '-3'"),
        (f"{HEADER}q1,3,1,m\nq1,3,1,n\n", r":3: a second model"),
        (f"{HEADER}q1,3,1,m\n\nq1,{10**30},1,m\n", r":4: prompt_tokens is '1000"),
        (f'{HEADER}"q\n1",x,1,m\n', r":3: prompt_tokens is 'x'"),
        (HEADER, "no call"),
    ],
)
def test_a_usage_file_that_is_wrong_is_refused_with_its_line(tmp_path, text, told) -> None:
    path = tmp_path / "calls.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=told):
        read_usage(path)


def test_calls_of_queries_that_are_not_ranked_are_refused(files) -> None:
    qrels, ranking, usage = files
    usage.write_text(f"{HEADER}q7,100,1,{MODEL}\n")
    with pytest.raises(DataError, match="query q7 is not in"):
        evaluate([], qrels=str(qrels), foreign=[Foreign(ranking, usage, "d")])


def test_judgments_have_to_be_named(files) -> None:
    with pytest.raises(UsageError, match="--qrels"):
        evaluate([], foreign=[Foreign(files[1], files[2], "d")])
