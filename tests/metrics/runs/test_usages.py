"""Files of calls: what is read from them, and what is refused with its line."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from e2r.errors import DataError, MissingError
from e2r.flops import measured
from e2r.flops.estimate import estimate
from e2r.metrics.runs.usages import read_usages

HEADER = "qid,prompt_tokens,generated_tokens,model\n"
AUTHORS = "query,input_tokens,output_tokens,flops,seconds\n"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("qid,prompt_tokens\nq1,1\n", "no column generated_tokens; wanted"),
        (f"{HEADER}q1,many,1,m\n", r":2: prompt_tokens is 'many'"),
        (f"{HEADER}q1,-3,1,m\n", r":2: prompt_tokens is '-3'"),
        (f"{HEADER}q1,3,1,\n", r":2: no model"),
        (f"{HEADER},3,1,m\n", r":2: no qid"),
        (f"{HEADER}q1,3,1,m\n\nq1,{10**30},1,m\n", r":4: prompt_tokens is '1000"),
        (f'{HEADER}"q\n1",x,1,m\n', r":2: no line of a CSV"),
        ("qid,prompt_tokens,generated_tokens,model,seconds\nq,1,1,m,nan\n", ":2: seconds is 'nan'"),
        (
            "qid,prompt_tokens,generated_tokens,model,seconds\nq,1,1,m\n",
            ":2: 4 values for 5 columns",
        ),
        (HEADER, "no call"),
    ],
)
def test_a_usage_file_that_is_wrong_is_refused_with_its_line(tmp_path, text, told) -> None:
    path = tmp_path / "calls.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=told):
        read_usages(path)


def test_counts_default_to_none_cached_and_one_position_of_the_head(tmp_path) -> None:
    path = tmp_path / "calls.csv"
    path.write_text(f"{HEADER}q1,100,1,m\nq2,7,0,n\n")
    usages = read_usages(path)
    assert (usages.qids, usages.models) == (["q1", "q2"], ["m", "n"])
    assert usages.counts["cached_tokens"] == [0, 0]
    assert usages.counts["head_positions"] == [1, 1]
    assert usages.seconds is None


def test_a_file_in_the_authors_layout_is_known_by_its_header(tmp_path: Path) -> None:
    path = tmp_path / "flan-t5-large.dl19.setwise-heapsort-c2.csv.gz"
    with gzip.open(path, "wt") as lines:
        lines.write(f"{AUTHORS}0,197,5,148334647040,0.5\n")
    usages = read_usages(path)
    assert usages.models == ["flan-t5-large"]
    assert usages.counts["decoder_prompt_tokens"] == [3]
    assert usages.counts["generated_tokens"] == [2]
    assert (usages.dataset, usages.method) == ("dl19", "setwise.heapsort-c2")
    [call] = [measured.read(path)]
    assert estimate(call.architecture, call.usage, "deepspeed").flops.tolist() == [148334647040]


@pytest.mark.parametrize(
    ("name", "rows", "told"),
    [
        ("calls.csv", "0,1,1,1,1\n", "MODEL.DATASET.METHOD"),
        ("flan-t5-large.dl19.c.csv", "", "no call"),
        ("flan-t5-large.dl19.c.csv", "0,1.5,5,1,1\n", "whole numbers"),
        ("flan-t5-large.dl19.c.csv", "0,-1,5,1,1\n", "none below 0"),
        ("flan-t5-large.dl19.c.csv", "0,1,5,1,nan\n", "whole numbers"),
        ("flan-t5-large.dl19.c.csv", "0,1,2,1,1\n", "has to hold the 3 tokens"),
        ("flan-t5-large.dl19.c.csv", "0,x,2,1,1\n", "cannot be read"),
    ],
)
def test_profiled_calls_that_are_wrong_are_refused(tmp_path, name, rows, told) -> None:
    path = tmp_path / name
    path.write_text(AUTHORS + rows)
    with pytest.raises(DataError, match=told):
        read_usages(path)


def test_no_profiled_calls_at_all_is_said(tmp_path) -> None:
    with pytest.raises(MissingError, match=r"no \*\.csv\.gz"):
        measured.read_all(tmp_path)
