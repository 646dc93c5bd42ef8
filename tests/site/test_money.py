"""The board's data hold money where a price list was given, and nothing of it elsewhere."""

from __future__ import annotations

from e2r.metrics.evaluation import evaluate
from e2r.money.words import tariff
from e2r.site.collect import make_board
from e2r.site.data import page_data
from tests.metrics.recorded_runs import MakeRun


def test_rows_have_their_money_and_the_frontier_in_it(make_run: MakeRun) -> None:
    cheap = make_run(hash8="00000001").path
    dear = make_run(hash8="00000002", calls={f"q{n}": [(1000, 5, 1)] for n in range(1, 5)}).path
    runs = cheap.parent.parent.parent

    def board(*words: str) -> dict:  # type: ignore[type-arg]
        found = evaluate([cheap, dear], tariff=tariff(words))
        return page_data(make_board(found, runs, found.measures, ["ideal"]))

    bare, priced = board(), board("in=0.15,out=0.60")
    assert "axes" not in bare
    assert all("money" not in row for row in bare["rows"])
    assert priced["axes"] == ["PFLOPs", "Money (in=0.15,out=0.60)"]
    assert priced["unit"] == "USD a thousand queries"
    thrifty = {row["money"][0]: row["thrifty"] for row in priced["rows"]}
    assert thrifty[min(thrifty)] == [1]
    assert thrifty[max(thrifty)] == [0]
