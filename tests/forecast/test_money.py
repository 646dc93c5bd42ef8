"""A forecast's money, and the traffic from which one's own accelerators are cheaper."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest

from e2r.cli import main
from e2r.errors import UsageError
from e2r.flops.architecture import Architecture
from e2r.flops.hardware import accelerator
from e2r.forecast.budget import Grid, search
from e2r.forecast.clock import Clock
from e2r.forecast.lengths import Lengths
from e2r.forecast.method import forecast
from e2r.forecast.money import SECONDS_A_MONTH, Versus, money_of, versus
from e2r.money.words import price_list

OFFER = price_list("search=2.00")
QWEN = "Qwen2.5-7B-Instruct"


def test_money_follows_the_tokens_of_the_forecast() -> None:
    priced = forecast(Architecture.load(QWEN), "setwise.heapsort", depth=20)
    found = money_of(priced, price_list("in=0.15,out=0.60"), 20, Lengths())
    assert float(found.input) == pytest.approx(priced.prompt_tokens * 0.15e-6)
    assert float(found.output) == pytest.approx(priced.generated_tokens * 0.60e-6)
    assert money_of(priced, OFFER, 20, Lengths()).total == Decimal("0.002")


@pytest.mark.parametrize("seconds", ["0.1", "0.5", "1", "3", "8.9"])
def test_no_traffic_contradicts_the_crossing(seconds: str) -> None:
    # An hour of 0.80 and a search of 0.002: an accelerator pays from 400 queries an hour on.
    held = Versus(OFFER, Decimal(seconds), Decimal("0.80"), Decimal("0.002"))
    assert held.first is not None
    assert held.always is not None
    assert round(held.first * 3600) == 400
    for step in range(1, 4000):
        qps = Decimal(step) / 1000
        cheaper = held.own_month(qps) < held.bought_month(qps)
        assert not (cheaper and qps < held.first)
        assert cheaper or qps <= held.always


def test_an_accelerator_that_is_dearer_when_never_idle_is_dearer_always() -> None:
    held = Versus(OFFER, Decimal(10), Decimal("0.80"), Decimal("0.002"))
    assert held.at_full_load > held.bought
    assert (held.first, held.always) == (None, None)
    assert held.to_json(Decimal(3))["at_qps"]["take"] == "buy"


def test_an_offer_needs_an_hours_price_and_asks_something() -> None:
    arch = Architecture.load(QWEN)
    priced = forecast(arch, "pointwise.yes_no", depth=10)
    free = Clock(accelerator("L4"), utilization=0.4).time(priced.demand(arch))
    with pytest.raises(UsageError, match="hour="):
        versus(OFFER, priced, 10, Lengths(), free)
    paid = Clock(accelerator("L4"), utilization=0.4, price_per_hour=0.8).time(priced.demand(arch))
    with pytest.raises(UsageError, match="asks nothing"):
        versus(price_list("in=0,out=0"), priced, 10, Lengths(), paid)
    assert versus(OFFER, priced, 10, Lengths(), paid).hour == Decimal("0.8")


def code_of(words: list[str]) -> object:
    with pytest.raises(SystemExit) as left:
        main(words)
    return left.value.code


def test_no_figure_touches_another_and_no_money_is_shown_as_none(
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ["capacity", "BAAI/bge-reranker-base", "--method", "pointwise.cross_encoder"]
    words += ["--on", "L4", "--price", "hour=1e-30", "--versus", "in=1e-30,out=0"]
    assert code_of([*words, "--qps", "1e-9", "--utilization", "1e-9"]) == 0
    out = capsys.readouterr().out
    assert "12.4 ms 12,445,318 s" in out
    assert "passages of 37 tokens" in out
    assert "bought         USD <0.0001\n" in out
    assert "USD <0.01\n" in out
    assert "a thousand queries     USD <0.000001" in out
    assert code_of([*words, "--qps", "1e10", "--utilization", "1"]) == 2
    assert "at most 1,000,000,000" in capsys.readouterr().err


def test_one_command_says_which_to_take(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    words = ["capacity", "BAAI/bge-reranker-base", "--method", "pointwise.cross_encoder"]
    words += ["--qps", "5", "--on", "L4", "--utilization", "0.4", "--price", "hour=0.80"]
    words += ["--versus", "search=2.00", "--versus", "in=0.02,out=0"]
    picture = tmp_path / "hosting.svg"
    assert code_of([*words, "--picture", str(picture)]) == 0
    out = capsys.readouterr().out
    assert "own is cheaper from" in out
    assert max(map(len, out.splitlines())) <= 82
    assert b"svg" in picture.read_bytes()
    assert code_of([*words, "--json"]) == 0
    first, second = json.loads(capsys.readouterr().out)["versus"]
    assert first["at_qps"]["bought_month"] == pytest.approx(5 * SECONDS_A_MONTH * 0.002)
    assert first["cheaper_from"]["accelerators"] == 1
    assert second["offer"]["in"] == "0.02"
    assert code_of([*words, "--versus", "search=1,currency=EUR"]) == 2
    assert code_of([*words, "--picture", str(tmp_path / "x.pdf")]) == 2


@pytest.mark.parametrize(
    "words",
    [
        ["estimate", "Qwen/Qwen2.5-7B-Instruct", "--method", "pointwise.qlm"],
        ["plan", "--dataset", "demo", "--model", "openai:x", "--method", "pointwise.qlm"],
        ["run", "--dataset", "demo", "--model", "random:1", "--method", "pointwise.qlm"],
    ],
)
def test_a_second_list_is_refused_and_not_taken_for_the_first(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert code_of([*words, "--price", "in=9,out=9,currency=EUR", "--price", "in=1,out=1"]) == 2
    assert "one list" in capsys.readouterr().err


def test_a_plan_says_what_is_not_known_before(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["plan", "--dataset", "demo", "--limit", "3", "--depth", "4", "--model"]
    words += ["openai:gpt-4o-mini", "--method", "setwise.bubblesort", "--json", "--price"]
    assert code_of([*words, "in=1,out=0,cached=0.25", "--reuse"]) == 0
    found = json.loads(capsys.readouterr().out)
    money = found["money"]
    tokens = Decimal(str(found["prompt_tokens_per_query"]))
    assert float(money["least"]) == pytest.approx(float(tokens) * 0.25 / 1000)
    assert Decimal(money["all_sent"]) > Decimal(money["exact"])
    assert code_of([*words, "in=1,out=0"]) == 0
    money = json.loads(capsys.readouterr().out)["money"]
    assert not {"least", "all_sent"} & money.keys()


def test_a_budget_in_money_by_the_token_needs_no_accelerator() -> None:
    grid = Grid([QWEN], ["pointwise.yes_no", "setwise.heapsort"], depths=(20,))
    prices = price_list("in=0.15,out=0.60")
    every = search(grid, price_per_million=1e9, prices=prices).options
    cheapest = min(option.price_per_million or 0 for option in every)
    found = search(grid, price_per_million=cheapest, prices=prices).options
    assert [option.price_per_million for option in found] == [cheapest]
    with pytest.raises(UsageError, match="--price"):
        search(grid, price_per_million=1)


def test_both_qualities_are_told_where_the_board_knows_them(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def run(model: str, method: str, value: float) -> dict[str, object]:
        measures = {"nDCG@10": {"value": value}}
        return {"model": model, "method": method, "depth": 100, "measures": measures}

    rows = [run("bge-reranker-base", "pointwise.cross_encoder", 0.6), run("gpt", "x", 0.7)]
    board = tmp_path / "board.json"
    board.write_text(json.dumps({"groups": [{"dataset": "dl19", "runs": rows}]}))
    words = ["capacity", "BAAI/bge-reranker-base", "--method", "pointwise.cross_encoder"]
    words += ["--qps", "5", "--on", "L4", "--utilization", "0.4", "--price", "hour=0.80"]
    words += ["--board", str(board), "--versus", "gpt@search=2.00"]
    assert code_of(words) == 0
    out = capsys.readouterr().out
    assert "0.6000 own, 0.7000 bought" in out
    # 26,280 bought and 584 own, for 10 points.
    assert "USD 2,569.60" in out
    assert code_of([*words, "--versus", "hour=1", "--json"]) == 2
    assert code_of([*words, "--versus", "absent@search=1"]) == 0
    assert "nDCG@10 of both absent and" in capsys.readouterr().err
    assert code_of([*words, "--json"]) == 0
    [found] = [each["quality"] for each in json.loads(capsys.readouterr().out)["versus"]]
    assert found == {"dataset": "dl19", "own": 0.6, "offered": 0.7}
