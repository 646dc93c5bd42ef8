"""The board ranks only equals, and follows every measure and convention."""

from __future__ import annotations

import pytest

from e2r.metrics import evaluate
from e2r.metrics.comparison import compare
from e2r.metrics.evaluation import DEFAULT_MEASURES
from e2r.site.collect import make_board
from e2r.site.published import published
from tests.site.reading import build, data

MEASURE = DEFAULT_MEASURES
TWO = "nDCG@10 AP(rel=2)"


def board_of(runs, **more):
    return make_board(evaluate(runs), runs, [MEASURE], ["ideal"], **more)


def test_runs_rank_only_against_equals(runs) -> None:
    board = board_of(runs)
    assert [group.dataset for group in board.groups] == ["small", "other"]
    small = board.groups[0]
    ranks = {(entry.label, entry.method): entry.ranks.get(MEASURE) for entry in small.entries}
    assert ranks["tiny-llama", "setwise.heapsort"] == 1
    assert ranks["BM25", "first_stage"] == 2
    assert ranks["tiny-llama", "pointwise.yes_no"] == 2
    assert ranks["oracle", "setwise.heapsort"] is None
    assert [e.label for e in small.frontier(MEASURE, "ideal")] == ["BM25", "tiny-llama"]
    assert [entry.method for entry in board.incomplete] == ["listwise.generation"]
    assert board.incomplete[0].ranks == {}
    assert not board.incomplete[0].frontiers


def test_same_runs_with_other_queries_depth_or_candidates_are_other_groups(make_run, tmp_path):
    make_run()
    make_run(hash8="00000001", depth=2)
    make_run(hash8="00000002", rankings={"q1": ("a",), "q2": ("b",)}, limit=2, calls={})
    assert len(board_of(tmp_path / "runs").groups) == 3


def test_published_rows_share_no_group_with_runs_even_on_a_collection_of_the_same_name(
    make_run, tmp_path
) -> None:
    make_run(dataset="TREC DL 2019", depth=100)
    board = board_of(tmp_path / "runs", publication=published())
    mixed = [group for group in board.groups if len({e.row is None for e in group.entries}) > 1]
    assert mixed == []
    found = [group for group in board.groups if group.dataset == "TREC DL 2019"]
    assert [len(group.entries) for group in found] == [1, 29]
    assert sum(len(group.entries) for group in board.groups if group.publication) == 106
    assert found[0].entries[0].ranks[MEASURE] == 1


def test_a_published_row_has_a_price_under_its_own_convention_only(runs) -> None:
    board = board_of(runs, publication=published())
    rows = [entry for entry in board.entries if entry.published]
    assert {tuple(entry.costs) for entry in rows} == {("paper",)}
    assert {key for entry in rows for key in entry.frontiers} == {(MEASURE, "paper")}


@pytest.mark.parametrize("convention", ["torch", "deepspeed", "paper"])
def test_the_page_holds_what_evaluate_says_under_every_convention(runs, tmp_path, convention):
    found = data(build(runs, tmp_path / "out", measures=TWO).parent / "board-data.js")
    rows = {row["place"]: row for row in found["rows"] if row["place"]}
    for wanted in evaluate(runs, TWO, convention).rows:
        row = rows[str(wanted.path.relative_to(runs))]
        costs = row["costs"][convention]
        for name, span in zip(found["measures"], row["quality"], strict=True):
            assert span == close(wanted.measures[name])
        assert costs["petaflops"] == close(wanted.petaflops)
        assert costs["qpp"] == close(wanted.qpp)
        for name, span in zip(found["measures"], costs["rpp"], strict=True):
            assert span == close(wanted.rpp[name].ratio)
        on = wanted.standing.frontiers.get("petaflops")
        assert bool(costs["frontier"][0]) == bool(on and on.on)


def test_ranks_follow_the_measure(runs, tmp_path) -> None:
    found = data(build(runs, tmp_path / "out", measures=TWO).parent / "board-data.js")
    for place, measure in enumerate(found["measures"]):
        only = evaluate(runs, measure)
        board = make_board(only, runs, [measure], ["ideal"])
        wanted = {str(entry.place): entry.ranks.get(measure) for entry in board.entries}
        assert {r["place"]: r["ranks"][place] for r in found["rows"] if r["place"]} == wanted


def test_measures_that_runs_hold_can_be_chosen(make_run, tmp_path) -> None:
    held = make_run()
    other = make_run(hash8="beefbeef")
    evaluate(held.path, "nDCG@10 RR(rel=2)@10", save=True)
    found = data(build(tmp_path / "runs", tmp_path / "out").parent / "board-data.js")
    assert found["measures"] == ["nDCG@10", "RR(rel=2)@10"]
    assert all(row["quality"][1] for row in found["rows"] if row["place"])  # judged afresh
    evaluate(other.path, save=True)
    (tmp_path / "small.qrels").unlink()
    silent = {"note": lambda text: None}
    found = data(build(tmp_path / "runs", tmp_path / "out", **silent).parent / "board-data.js")
    second = {row["place"]: row["quality"][1] for row in found["rows"] if row["place"]}
    assert [value is None for _, value in sorted(second.items())] == [False, True]


def test_the_pairs_of_the_page_are_those_of_compare(runs, tmp_path) -> None:
    out = build(runs, tmp_path / "out", measures=TWO).parent
    board, pairs = data(out / "board-data.js"), data(out / "pairs-data.js")
    rows = {row["id"]: row for row in board["rows"]}
    assert len(pairs["pairs"]) == 6  # four runs of one group
    for key, pair in pairs["pairs"].items():
        one, other = (runs / rows[name]["place"] for name in key.split())
        for place, measure in enumerate(board["measures"]):
            [wanted] = compare([other, one], measure).contrasts
            difference, p, p_t, *counts = pair["duels"][place]
            assert difference == close(wanted.difference)
            assert p == pytest.approx(wanted.tests.p_randomisation, rel=1e-5)
            assert p_t == (wanted.tests.p_t and pytest.approx(wanted.tests.p_t, rel=1e-4))
            assert counts == [wanted.tests.wins, wanted.tests.ties, wanted.tests.losses]
            assert pair["ratio"] == close(wanted.cost_ratio)


def test_a_large_group_has_each_run_tested_against_the_first_stage_and_the_best(
    make_run, tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr("e2r.site.data.ALL_PAIRS", 3)
    for number in range(6):
        make_run(hash8=f"{number:08x}", method="setwise.heapsort")
    make_run(method="first_stage", model="no-model", architecture=None, calls={})
    out = build(tmp_path / "runs", tmp_path / "out").parent
    rows = {row["id"]: row for row in data(out / "board-data.js")["rows"]}
    pairs = [key.split() for key in data(out / "pairs-data.js")["pairs"]]
    assert 3 < len(pairs) < 21
    first = [key for key in pairs if "first_stage" in {rows[name]["method"] for name in key}]
    assert len(first) == 6


def close(found):
    """A figure as the page's data writes it, to six digits."""
    parts = [part for part in (found.value, found.low, found.high) if part is not None]
    return pytest.approx(parts, rel=1e-5, abs=1e-12) if parts else None
