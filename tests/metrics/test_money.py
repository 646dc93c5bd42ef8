"""A run's money: exact sums, ranges where caching is unknown, closed models on the frontier."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from e2r.cli.money import lists_told
from e2r.errors import DataError, UsageError
from e2r.metrics import evaluate
from e2r.money.prices import PriceList, Rate, Searches, Tokens
from e2r.money.recorded import recorded_list
from e2r.money.words import price_list, tariff
from e2r.records.spec import Spec
from e2r.runner import run
from tests.metrics.recorded_runs import MakeRun
from tests.small_collection import write_collection

WORD = "in=0.15,out=0.60,cached=0.075"


def test_a_thousand_queries_money_is_that_of_the_calls(make_run: MakeRun) -> None:
    folder = make_run()
    [row] = evaluate(folder.path, tariff=tariff([WORD])).rows
    prompt = row.work.prompt_tokens_per_query or 0.0
    generated = row.work.generated_tokens_per_query or 0.0
    assert row.paid is not None
    assert float(row.paid.exact.total) == pytest.approx(
        (prompt * 0.15 + generated * 0.60) / 1000, rel=1e-12
    )
    assert row.paid.exact.total == sum(
        (money.total for money in row.paid.per_query.values()), Decimal(0)
    ) * 1000 / len(row.paid.per_query)
    assert row.paid.total.low is not None
    assert row.standing.frontiers["money"].on
    assert row.to_json()["money"]["prices"]["currency"] == "USD"


def test_a_simulated_answer_is_no_reused_one(tmp_path: Path) -> None:
    """Neither has tokens."""
    collection = write_collection(tmp_path / "small", 2)
    data = {"dataset": f"beir:{collection}", "candidates": str(collection / "first.run")}
    tables = {"data": data, "model": {"source": "random:7"}, "method": {"name": "pointwise.qlm"}}
    folder = run(Spec.of(tables, "the test"), tmp_path / "runs")
    [row] = evaluate(folder.path, tariff=tariff([WORD]), note=[].append).rows
    assert row.paid is not None
    assert row.paid.exact.total == 0
    assert not any("reused" in note for note in row.notes)


def test_a_list_for_a_model_that_is_not_there_is_not_passed_over(make_run: MakeRun) -> None:
    said: list[str] = []
    paid = tariff([WORD, "absent@hour=1"])
    rows = evaluate(make_run().path, tariff=paid, note=said.append).rows
    assert "absent" not in lists_told(rows, paid)
    assert [note for note in said if "absent@" in note]


def test_without_a_list_nothing_speaks_of_money(make_run: MakeRun) -> None:
    table = evaluate(make_run().path)
    assert "money" not in table.to_json()[0]
    assert "money/1k" not in table.sheets()[0].header
    assert len(table.sheets("all")) == 5


def test_reused_answers_are_free_and_what_asking_again_would_cost_is_told(
    make_run: MakeRun,
) -> None:
    calls = {"q1": [(100, 1, 1), (0, 0, 0)], "q2": [(90, 1, 1)]}
    folder = make_run(calls=calls, reuse=True)
    [row] = evaluate(folder.path, tariff=tariff(["in=1,out=0"])).rows
    assert row.paid is not None
    # 190 tokens of four queries; the second call of q1 asks what the first did.
    assert row.paid.exact.total == Decimal(190) * 1000 / 1_000_000 / 4
    assert row.paid.all_sent == Decimal(290) * 1000 / 1_000_000 / 4
    assert row.to_json()["money"]["all_sent"] == str(row.paid.all_sent)
    assert row.paid.attempts is None
    [plain] = evaluate(make_run(hash8="0123abce").path, tariff=tariff(["in=1,out=0"])).rows
    assert plain.paid is not None
    assert plain.paid.all_sent is None


def test_a_recorded_list_is_read_back_whole_and_a_forged_one_is_refused(make_run: MakeRun) -> None:
    rates = Rate(Decimal("0.1"), ((1000, Decimal("0.2")),)), Rate(Decimal(3))
    lists = [
        PriceList("genai:a/b", Tokens(*rates, Rate(Decimal("0.05"))), "USD", "lib 1", "2026-01-02"),
        PriceList("x", Searches(Decimal(2), 100, 500), "EUR"),
    ]
    for each in lists:
        found = recorded_list(each.to_json(), "2026-03-04", "it")
        assert (found.terms, found.currency) == (each.terms, each.currency)
        assert found.dated == (each.dated or "2026-03-04")
    good = lists[0].to_json()
    bad = [{"in": "-1"}, {"in": 1}, {"out": None}, {"search": "1"}, {"currency": "<b>"}]
    bad += [{"in_above": [["x", "1"]]}, {"in_above": "1"}, {"documents": 3}]
    for change in bad:
        with pytest.raises(DataError):
            recorded_list({**good, **change}, "", "it")
    folder = make_run()
    folder.write_manifest(folder.manifest().model_copy(update={"prices": {"list": "nothing"}}))
    [row] = evaluate(folder.path).rows
    assert row.paid is None
    assert any("its money is unknown" in note for note in row.notes)


def test_lists_of_several_currencies_that_runs_recorded_show_no_money(make_run: MakeRun) -> None:
    folders = [make_run(hash8="00000001"), make_run(hash8="00000002")]
    for folder, word in zip(folders, ("in=1,out=1", "in=1,out=1,currency=EUR"), strict=True):
        prices = price_list(word).to_json() | {"spent": "0"}
        folder.write_manifest(folder.manifest().model_copy(update={"prices": prices}))
    said: list[str] = []
    rows = evaluate([folder.path for folder in folders], note=said.append).rows
    assert [row.paid for row in rows] == [None, None]
    assert any("EUR and USD" in text for text in said)
    [alone] = evaluate(folders[1].path).rows
    assert alone.paid is not None
    assert alone.paid.prices.currency == "EUR"


def test_searches_count_the_recorded_documents(make_run: MakeRun) -> None:
    [row] = evaluate(make_run().path, tariff=tariff(["search=2.00"])).rows
    assert row.paid is not None
    assert row.work.calls_per_query is not None
    assert float(row.paid.exact.total) == pytest.approx(2 * row.work.calls_per_query)


@pytest.mark.parametrize("cached", ["400", ""])
def test_a_call_that_says_nothing_of_its_cache_makes_a_range(cached: str, tmp_path: Path) -> None:
    calls = tmp_path / "calls.csv"
    said = "qid,prompt_tokens,cached_tokens,generated_tokens\nq1,500,100,0\nq2,500,{},0\n"
    calls.write_text(said.format(cached))
    [row] = evaluate([calls], tariff=tariff([WORD]), note=[].append).rows
    assert row.paid is not None
    assert (row.paid.least is None) == bool(cached)
    calls.write_text(said.format("501"))
    with pytest.raises(DataError, match=r":3: cached_tokens is 501, more than"):
        evaluate([calls], tariff=tariff([WORD]))


def test_a_closed_model_of_token_counts_alone_has_money_and_no_flops(tmp_path: Path) -> None:
    (tmp_path / "qrels.txt").write_text("q1 0 a 1\nq2 0 b 1\n")
    (tmp_path / "theirs.run").write_text("q1 Q0 a 1 2 x\nq2 Q0 b 1 2 x\n")
    (tmp_path / "calls.csv").write_text(
        "qid,prompt_tokens,generated_tokens,model\nq1,1000,10,closed:gpt\nq2,3000,30,closed:gpt\n"
    )
    from e2r.metrics.runs.foreign import Foreign

    table = evaluate(
        [],
        qrels=str(tmp_path / "qrels.txt"),
        foreign=[Foreign(tmp_path / "theirs.run", tmp_path / "calls.csv")],
        tariff=tariff([WORD]),
    )
    [row] = table.rows
    assert row.petaflops.value is None
    assert row.paid is not None
    assert row.paid.exact.total == Decimal("0.312")
    assert row.paid.least == Decimal("0.162")  # All 4,000 prompt tokens at 0.075.
    assert any("range" in note for note in row.notes)
    assert row.standing.frontiers["money"].on
    assert "petaflops" not in row.standing.frontiers
    assert table.flat()[0]["money exact"].startswith("0.312")
    sheet = table.sheets("money")[0]
    assert sheet.lines[0][sheet.header.index("PFLOPs/query")] == "unknown"


def test_hours_are_measured_seconds_and_currencies_are_not_mixed(make_run: MakeRun) -> None:
    folder = make_run()
    [row] = evaluate(folder.path, tariff=tariff(["hour=3.6"])).rows
    seconds = row.work.seconds_per_query
    if seconds:
        assert row.paid is not None
        assert float(row.paid.exact.total) == pytest.approx(seconds)
    else:
        assert row.paid is None
    with pytest.raises(UsageError, match="cannot be compared"):
        tariff([WORD, "tiny-llama@hour=1,currency=EUR"])


def test_comparisons_and_frontiers_weigh_money_too(make_run: MakeRun) -> None:
    from e2r.metrics.comparison import compare
    from e2r.metrics.frontiers import frontiers

    cheap = make_run(hash8="00000001")
    dear = make_run(
        hash8="00000002", calls={qid: [(1000, 5, 1)] for qid in ("q1", "q2", "q3", "q4")}
    )
    bill = tariff([WORD])
    found = compare([cheap.path, dear.path], tariff=bill)
    ratio = found.contrasts[0].money_ratio
    assert ratio is not None
    assert (ratio.value or 0) > 1
    assert "times the money" in found.contrasts[0].verdict
    assert "money ratio" in found.sheets()[0].header
    assert "money_ratio" not in compare([cheap.path, dear.path]).to_json()[0]
    table = evaluate([cheap.path, dear.path], tariff=bill)
    kinds = {each["cost"]: each for each in frontiers(table).to_json()}
    assert kinds["money"]["unit"] == "money a thousand queries"


def test_the_command_prints_money_and_refuses_a_sheet_without_a_list(
    make_run: MakeRun, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from e2r.cli import main

    monkeypatch.setenv("COLUMNS", "80")
    words = ["evaluate", str(make_run().path), "--columns", "money"]
    with pytest.raises(SystemExit) as left:
        main([*words, "--price", WORD])
    assert left.value.code == 0
    out = capsys.readouterr().out
    assert "money/1k" in out
    assert "USD 0.15 in" in out
    assert max(map(len, out.splitlines())) <= 80
    with pytest.raises(SystemExit) as left:
        main(words)
    assert left.value.code == 2
