"""The board's data hold money where a price list was given, and nothing of it elsewhere."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

from e2r.metrics.evaluation import evaluate
from e2r.money.words import tariff
from e2r.records.manifest import ServerRecord
from e2r.site.collect import make_board
from e2r.site.data import page_data
from tests.metrics.recorded_runs import MakeRun
from tests.site.reading import build


def test_rows_have_their_money_and_the_frontier_in_it(make_run: MakeRun) -> None:
    cheap = make_run(hash8="00000001").path
    dear = make_run(hash8="00000002", calls={f"q{n}": [(1000, 5, 1)] for n in range(1, 5)}).path
    runs = cheap.parent.parent.parent

    def board(*words: str) -> dict:  # type: ignore[type-arg]
        found = evaluate([cheap, dear], tariff=tariff(words))
        return page_data(make_board(found, runs, found.measures, ["ideal"]))

    bare, priced = board(), board("in=0.15,out=0.60")
    assert "money" not in bare
    assert all("money" not in row for row in bare["rows"])
    assert priced["axes"][:2] == ["PFLOPs", "Money (in=0.15,out=0.60)"]
    assert priced["units"][1] == priced["money"] == "USD a thousand queries"
    thrifty = {row["money"][0]: row["spent"]["1"] for row in priced["rows"]}
    assert thrifty[min(thrifty)] == {"cost": rows_money(priced, min(thrifty)), "frontier": [1]}
    assert thrifty[max(thrifty)]["frontier"] == [0]


def rows_money(found: dict, least: float) -> list[float]:  # type: ignore[type-arg]
    [money] = [row["money"] for row in found["rows"] if row["money"][0] == least]
    return money  # type: ignore[no-any-return]


def test_seconds_are_an_axis_where_rows_share_a_machine(make_run: MakeRun) -> None:
    one = make_run(hash8="00000001").path
    other = make_run(hash8="00000002").path
    runs = one.parent.parent.parent
    found = page_data(make_board(evaluate([one, other]), runs, ("nDCG@10",), ["ideal"]))
    names = found.get("axes", [])
    timed = [row for row in found["rows"] if "spent" in row]
    assert [name.partition(" (")[0] for name in names] == ["PFLOPs", "Seconds"]
    assert found["units"][1].startswith("seconds a query on ")
    assert len(timed) == 2
    alone = page_data(make_board(evaluate([one]), runs, ("nDCG@10",), ["ideal"]))
    assert "axes" not in alone


def test_the_table_the_run_and_the_downloads_hold_money(make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run().path
    runs = run.parent.parent.parent
    prices = tmp_path / "lists.toml"
    prices.write_text("[mine]\nin = 0.15\nout = 0.60\ndated = 2026-11-01\n")
    out = build(runs, tmp_path / "out", tariff=tariff([f"{prices}:mine"])).parent
    page = (out / "index.html").read_text()
    assert 'data-key="money"' in page
    assert f"USD a thousand queries, by {prices}:mine, dated 2026-11-01" in page
    told = json.loads((out / "board.json").read_text())["groups"][0]["runs"][0]
    figure = told["money"]["per_thousand_queries"]["value"]
    assert f"{figure:.3g}" in page
    assert "Money a thousand queries, USD" in (out / told["page"]).read_text()
    lines = list(csv.DictReader(io.StringIO((out / "board.csv").read_text())))
    assert float(lines[0]["money"]) == figure
    gpt = make_run(hash8="00000009", architecture=None, model="gpt")
    server = ServerRecord(
        base_url="http://localhost/v1",
        reported={},
        software=None,
        answer_start="prompt",
        counted_by="words",
        logprobs=None,
        prompt_form="messages",
        notes=[],
    )
    manifest = gpt.manifest()
    model = manifest.model.model_copy(update={"server": server})
    gpt.write_manifest(manifest.model_copy(update={"model": model}))
    closed = build(runs, tmp_path / "closed", tariff=tariff(["in=0.15,out=0.60"])).read_text()
    assert '<td class="n">unknown ' in closed
    bare = build(runs, tmp_path / "bare")
    assert "money" not in bare.read_text().replace("seconds or money into", "")
