"""Price lists: what words mean, what is refused, and bills computed by hand."""

from __future__ import annotations

import random
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from e2r.errors import DataError, E2RError, MissingError, UsageError
from e2r.money.bill import Kind, Money, bill, bill_of_means, summed, thousand
from e2r.money.prices import Hours, PriceList, Rate, Tokens
from e2r.money.words import price_list, tariff


def billed(word: str, calls: list[tuple[int, int, int]], documents: int | None = None) -> Money:
    """One query's money; calls are (prompt, cached, generated)."""
    columns = [np.array(column, dtype=np.int64) for column in zip(*calls, strict=True)]
    several = None if documents is None else np.full(len(calls), documents)
    return bill(price_list(word), np.zeros(len(calls), np.intp), 1, *columns, several)[0]


def test_75_calls_of_500_tokens_at_half_a_dollar_are_18_75_a_thousand_queries() -> None:
    found = billed("in=0.50,out=1", [(500, 0, 0)] * 75)
    assert thousand(found, 1).total == Decimal("18.75")


def test_a_search_of_250_documents_of_900_tokens_is_five() -> None:
    # 900 tokens are two pieces of 500; 500 pieces are five searches of 100.
    word = "search=2.00,documents=100,document_tokens=500"
    assert billed(word, [(250 * 900, 0, 0)], 250).total == Decimal("0.01")
    assert thousand(bill_of_means(price_list(word), [], 250, 900), 1).total == Decimal("10")
    assert billed(word, [(900, 0, 0)] * 250, 1).total == Decimal("0.01")  # One request.
    assert billed(word, [(900, 0, 0)] * 50 + [(500, 0, 0)], 1).total == Decimal("0.004")
    assert bill_of_means(price_list("search=2.00"), [], 250, 900).total == Decimal("0.002")


def test_input_cached_and_output_are_paid_apart() -> None:
    found = billed("in=0.15,out=0.60,cached=0.075", [(1000, 400, 10)])
    assert found == Money(Decimal("0.00009"), Decimal("0.00003"), Decimal("0.000006"))
    assert billed("in=0.15,out=0.60", [(1000, 400, 10)]).cached == Decimal("0.00006")


# arXiv 2602.05448, table 3: input tokens a query of GPT-4.1, in thousands, over 14 collections.
BLITZRANK = {"Pairwise": (315, "630"), "Setwise": (111, "222"), "SW": (54, "108")}
BLITZRANK |= {"AcuRank": (67, "134"), "BLITZ-k20": (40, "80"), "BLITZ-k10": (42, "84")}


@pytest.mark.parametrize("method", BLITZRANK)
def test_what_the_tokens_that_blitzrank_prints_cost(method: str) -> None:
    pytest.importorskip("genai_prices")
    tokens, dollars = BLITZRANK[method]
    found = billed("genai:openai/gpt-4.1", [(tokens * 1000, 0, 0)])
    assert thousand(found, 1).total == Decimal(dollars)


def test_what_was_answered_again_is_free() -> None:
    assert billed("in=1,out=1,call=0.5", [(0, 0, 0), (10, 0, 1)]).other == Decimal("0.5")


def test_tiers_follow_each_call_and_not_the_mean() -> None:
    rate = Rate(Decimal(1), ((100, Decimal(2)),))
    prices = PriceList("tiered", Tokens(rate, Rate(Decimal(0)), rate))
    prompts = np.array([100, 101])
    none = np.zeros(2, np.int64)
    found = bill(prices, np.array([0, 0]), 1, prompts, none, none)[0]
    assert found.total * 1_000_000 == 100 * 1 + 101 * 2
    kinds = [Kind(Decimal(1), 100, 0, 0), Kind(Decimal(1), 101, 0, 0)]
    assert bill_of_means(prices, kinds, 2, 50) == found


def test_money_is_additive_over_ledgers() -> None:
    generator = random.Random(1)
    calls = [(generator.randrange(1, 9999), 0, generator.randrange(99)) for _ in range(200)]
    word = "in=0.15,out=0.60"
    whole = billed(word, calls)
    assert summed([billed(word, calls[:77]), billed(word, calls[77:])]) == whole


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("in=-1,out=2", "a price is 0 to"),
        ("in=1", "generated tokens is missing"),
        ("out=1", "no price with a unit"),
        ("0.15", "has no unit"),
        ("in=1,out=nan", "give a number"),
        ("in=1,out=1e99", "a price is 0 to"),
        ("search=1,in=2,out=3", "in and search"),
        ("search=1,documents=0", "above 0"),
        ("hour=1,documents=2", "does not go with hour="),
        ("in=1,in=2,out=1", "is there twice"),
        ("prices.toml", "name one"),
        ("in=1,out=1,currency=a b", "names no currency"),
        ("in=-0,out=1", "a price is 0 to"),
        ("in=٣,out=1", "give a number"),
        ("in=1_000,out=1", "give a number"),
    ],
)
def test_bad_words_are_refused(word: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        price_list(word)


def test_lists_come_from_a_file_that_holds_many(tmp_path: Path) -> None:
    path = tmp_path / "prices.toml"
    path.write_text(
        "[a]\nsearch = 2.0\ndocuments = 100\ndated = 2026-11-01\ncurrency = 'EUR'\n"
        "[b]\nin = -1\nout = 0\n[c]\nin = 0.1\nprice = 3\nout = 1\n[d]\nin = 0.1\nout = 0.3\n"
    )
    found = price_list(f"{path}:a")
    assert (found.currency, found.dated, found.source) == ("EUR", "2026-11-01", "prices.toml")
    assert price_list(f"{path}:d").terms == price_list("in=0.1,out=0.3").terms
    for name in ("b", "c"):
        with pytest.raises(DataError, match=f"prices.toml: {name}"):
            price_list(f"{path}:{name}")
    with pytest.raises(UsageError, match="unknown price list"):
        price_list(f"{path}:e")


@pytest.mark.parametrize(
    ("listed", "said"),
    [
        ("a = 1", "is no table of prices"),
        ("[a]\nin = -0.0\nout = 1", "a price is 0 to"),
        ("[a]\nin = '٣'\nout = 1", "give a number"),
        ("[a]\nin = '1_000'\nout = 1", "give a number"),
        ("[a]\nsearch = 2\ndocuments = true", "documents: input should be a valid integer"),
    ],
)
def test_a_file_takes_no_more_than_the_command_line(tmp_path: Path, listed: str, said: str) -> None:
    path = tmp_path / "prices.toml"
    path.write_text(listed)
    with pytest.raises(DataError, match=said):
        price_list(f"{path}:a")


def test_prices_are_told_as_people_write_them() -> None:
    assert " 1000 in, 1000 cached, 0.0000001 out" in price_list("in = 1e3, out=1E-7").told()
    assert " 1E-30 in" in price_list("in=1e-30,out=0").told()


def test_models_have_their_own_lists_in_one_currency() -> None:
    found = tariff(["in=1,out=1", "gpt@hour=2"])
    assert found is not None
    assert found.of("openai/gpt") == found.of("gpt")
    assert isinstance(found.own["gpt"].terms, Hours)
    assert found.of("another") == found.common
    assert tariff([]) is None
    for words, said in [
        (["in=1,out=1", "in=2,out=2"], "for all models already"),
        (["a@hour=1", "a@hour=2"], "has a list already"),
        (["@hour=1"], "no model before the @"),
        (["hour=1", "a@hour=1,currency=EUR"], "EUR and USD cannot be compared"),
    ]:
        with pytest.raises(UsageError, match=said):
            tariff(words)


def test_hours_need_seconds() -> None:
    with pytest.raises(UsageError, match="--on"):
        billed("hour=1", [(1, 0, 0)])
    with pytest.raises(UsageError, match="--on"):
        bill_of_means(price_list("hour=1"), [], 1, 1)


def test_the_library_agrees_on_a_thousand_usages() -> None:
    genai_prices = pytest.importorskip("genai_prices")
    from genai_prices.data import providers

    generator = random.Random(0)
    names = [(each.id, model.id) for each in providers for model in each.models]
    lengths = (3000, 128_001, 200_001, 400_000)
    compared = 0
    while compared < 1000:
        provider, model = generator.choice(names)
        try:
            price_list(f"genai:{provider}/{model}")
        except E2RError:
            continue  # Models that have no price a token.
        prompt = generator.choice([*lengths, generator.randrange(1, 400_000)])
        counts = prompt, generator.randrange(prompt + 1), generator.randrange(5000)
        usage = genai_prices.Usage(
            input_tokens=prompt, cache_read_tokens=counts[1], output_tokens=counts[2]
        )
        wanted = genai_prices.calc_price(usage, model, provider_id=provider).total_price
        assert billed(f"genai:{provider}/{model}", [counts]).total == wanted, (provider, model)
        compared += 1


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("genai:openai/gpt-4omini", "did you mean genai:openai/gpt-4o-mini"),
        ("genai:gpt-4o-mini", "is with .*openai"),
    ],
)
def test_unknown_models_get_the_nearest_and_doubtful_ones_their_providers(
    word: str, said: str
) -> None:
    pytest.importorskip("genai_prices")
    with pytest.raises(UsageError, match=said):
        price_list(word)


def test_without_the_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "genai_prices", None)
    with pytest.raises(MissingError, match=r"e2r\[prices\]"):
        price_list("genai:openai/gpt-4o-mini")


def test_the_source_of_a_library_price_is_recorded() -> None:
    pytest.importorskip("genai_prices")
    found = price_list("genai:openai/gpt-4o-mini").to_json()
    assert found["source"].startswith("genai-prices ")
    assert found["in"] == "0.15"
