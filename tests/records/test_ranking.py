"""run.trec.gz holds what per_query.jsonl ranks, however its lines are spelled, or it is refused."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from e2r.errors import DataError
from e2r.records.ranking import Ranked, check_ranking, run_lines

LISTS = {"q1": ["b", "a", "ü"], "q2": [], "q3": ["a"]}
WRITTEN = "".join(run_lines(qid, docids, "tag").decode() for qid, docids in LISTS.items())


def ranked(lists: dict[str, list[str]]) -> Ranked:
    found = Ranked()
    for qid, docids in lists.items():
        found.add(qid, docids)
    return found


def check(tmp_path: Path, text: str) -> None:
    path = tmp_path / "run.trec.gz"
    path.write_bytes(gzip.compress(text.encode()))
    check_ranking(path, ranked(LISTS))


@given(st.dictionaries(st.text("abcü09.-", min_size=1), st.lists(st.text("aü1_", min_size=1))))
def test_rankings_are_given_back(lists: dict[str, list[str]]) -> None:
    """Queries without documents have none."""
    assert dict(ranked(lists)) == {qid: docids for qid, docids in lists.items() if docids}


@pytest.mark.parametrize(
    "text",
    [
        WRITTEN,
        WRITTEN.replace(" tag", " another-tag"),
        WRITTEN.replace(" ", "\t"),
        "q1 Q0 b 9 1e3 x\nq1 Q0 a 9 0.5 y\nq1 Q0 ü 9 -2 z\nq3 Q0 a 1 1 x\n",
    ],
)
def test_any_spelling_of_the_same_ranking_is_held(tmp_path: Path, text: str) -> None:
    check(tmp_path, text)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("q3 Q0 a", "q3 Q0 b", "ranks otherwise"),
        ("q3 Q0 a 1 1 tag\n", "", "ranks otherwise"),
        ("q1 Q0 ü 3 1", "q1 Q0 ü 3 2", "ranks otherwise"),
        ("q3 Q0 a 1 1 tag\n", "q3 Q0 a 1 1 tag\nq4 Q0 a 1 1 tag\n", "ranks otherwise"),
        ("q3 Q0 a 1 1", "q3 Q0 a 1 nan", "not finite"),
        ("q3 Q0 a 1 1", "q3 Q0 a 1 x", "not a gzipped TREC run"),
    ],
)
def test_another_ranking_is_refused(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert old in WRITTEN
    with pytest.raises(DataError, match=said):
        check(tmp_path, WRITTEN.replace(old, new))
