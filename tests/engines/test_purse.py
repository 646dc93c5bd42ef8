"""A run stops before its money is spent, goes on, and its bill is what evaluate says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import e2r.runner
from e2r.cli.money import money_of_word
from e2r.engines.purse import Purse
from e2r.errors import DataError, IncompleteError, UsageError
from e2r.metrics import evaluate
from e2r.models import prompts_by_stage
from e2r.models.prompted import Prompted
from e2r.models.simulated.random import Random
from e2r.money.words import price_list, tariff
from e2r.prompts.request import Reply, Request
from e2r.records.manifest import ModelRecord, ServerRecord
from e2r.records.spec import Spec

WORD = "in=1,out=2"


class Service:
    """A closed model that says Yes to all, for a token a word of its prompt."""

    batch_size = 4
    device = "none"
    encoder_decoder = False

    def record(self) -> ModelRecord:
        return ModelRecord(
            id="closed", name="closed", revision=None, dtype="float32", architecture=None
        )

    def prepare(self) -> None:
        pass

    def cut(self, text: str, most: int) -> tuple[str, int]:
        words = text.split()
        return " ".join(words[:most]), max(len(words) - most, 0)

    def excess(self, request: Request) -> int:
        return -1

    def reply(
        self, requests: Sequence[Request], scopes: Sequence[str] | None = None
    ) -> list[Reply]:
        return [
            Reply(
                (0.0, -1.0),
                prompt_tokens=sum(len(each.content.split()) for each in request.messages),
                generated_tokens=1,
                head_positions=1,
            )
            for request in requests
        ]


@pytest.fixture
def spec(monkeypatch: pytest.MonkeyPatch) -> Spec:
    asked = Spec.of(
        {
            "data": {"dataset": "demo", "depth": 4},
            "model": {"source": "closed"},
            "method": {"name": "pointwise.yes_no"},
        },
        "the test",
    )

    def opened(spec: Spec, *more: Any) -> Prompted:
        return Prompted(Service(), prompts_by_stage(spec), query_tokens=64, passage_tokens=64)

    monkeypatch.setattr(e2r.runner, "open_answerer", opened)
    return asked


def test_a_run_costs_what_evaluate_says(spec: Spec, tmp_path: Path) -> None:
    folder = e2r.runner.run(spec, tmp_path, prices=price_list(WORD))
    recorded = folder.manifest().prices
    assert recorded is not None
    assert (recorded["list"], recorded["currency"]) == (WORD, "USD")
    [row] = evaluate(folder.path, tariff=tariff([WORD])).rows
    assert row.paid is not None
    total = sum((money.total for money in row.paid.per_query.values()), Decimal(0))
    assert Decimal(str(recorded["spent"])) == total > 0


class Busy(Service):
    """The same behind a server that answers at the second attempt and tells nothing of a cache."""

    def record(self) -> ModelRecord:
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
        return super().record().model_copy(update={"server": server})

    def reply(
        self, requests: Sequence[Request], scopes: Sequence[str] | None = None
    ) -> list[Reply]:
        return [
            replace(reply, cached_tokens=None, attempts=2)
            for reply in super().reply(requests, scopes)
        ]


def test_what_a_server_leaves_open_is_a_range_in_run_and_evaluate(
    spec: Spec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def opened(spec: Spec, *more: Any) -> Prompted:
        return Prompted(Busy(), prompts_by_stage(spec), query_tokens=64, passage_tokens=64)

    monkeypatch.setattr(e2r.runner, "open_answerer", opened)
    word = f"{WORD},cached=0.5"
    folder = e2r.runner.run(spec, tmp_path, prices=price_list(word))
    manifest = folder.manifest()
    assert manifest.prices is not None
    assert manifest.again is not None
    assert manifest.again.calls == sum(record.calls for record in folder.records())
    # Without a list the one that the run recorded holds, dated by its day.
    [row] = evaluate(folder.path).rows
    assert row.paid is not None
    assert (row.paid.prices.word, row.paid.prices.dated) == (word, manifest.started[:10])
    spent, least = (Decimal(str(manifest.prices[name])) for name in ("spent", "least"))
    assert sum(money.total for money in row.paid.per_query.values()) == spent > least
    assert row.paid.least == least * 1000 / len(row.qids)
    assert row.paid.attempts == 2 * row.paid.exact.total
    assert Decimal(str(manifest.prices["attempts"])) == 2 * spent
    assert row.paid.all_sent is None
    assert any("sent again until a reply came" in text for text in row.notes)


def test_it_stops_before_the_money_is_exceeded_and_goes_on(spec: Spec, tmp_path: Path) -> None:
    whole = e2r.runner.run(spec, tmp_path / "whole", prices=price_list(WORD)).manifest().prices
    assert whole is not None
    most = Decimal(str(whole["spent"]))
    with pytest.raises(IncompleteError, match="--most"):
        e2r.runner.run(spec, tmp_path / "runs", prices=price_list(WORD), most=most)
    [path] = (tmp_path / "runs").glob("demo/*/*")
    stopped = e2r.runner.RunFolder(path).manifest()
    assert stopped.prices is not None
    spent = Decimal(str(stopped.prices["spent"]))
    assert 0 < spent <= most
    folder = e2r.runner.run(
        spec, tmp_path / "runs", resume=True, prices=price_list(WORD), most=most * 100
    )
    prices = folder.manifest().prices
    assert folder.manifest().status == "complete"
    assert prices is not None
    # What unfinished queries had cost is paid again, and counted.
    assert Decimal(str(prices["spent"])) >= Decimal(str(whole["spent"]))


class Broken(Busy):
    """The same, and the first prompt that holds a word is refused at the second attempt."""

    def reply(
        self, requests: Sequence[Request], scopes: Sequence[str] | None = None
    ) -> list[Reply]:
        return [
            Reply(None, error="refused", attempts=2) if place == 0 else reply
            for place, reply in enumerate(super().reply(requests, scopes))
        ]


@pytest.mark.parametrize(("service", "times"), [(Busy, 2), (Broken, 3)])
def test_what_failed_attempts_may_cost_is_held_against_the_most(
    service: type[Busy], times: int, spec: Spec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A service that charges each attempt must not take more than --most either."""

    def opened(spec: Spec, *more: Any) -> Prompted:
        return Prompted(service(), prompts_by_stage(spec), query_tokens=64, passage_tokens=64)

    monkeypatch.setattr(e2r.runner, "open_answerer", opened)
    whole = e2r.runner.run(spec, tmp_path / "whole", prices=price_list(WORD)).manifest().prices
    assert whole is not None
    spent, attempts = (Decimal(str(whole[name])) for name in ("spent", "attempts"))
    assert attempts >= 2 * spent
    with pytest.raises(IncompleteError, match="more if failed requests are charged"):
        e2r.runner.run(spec, tmp_path / "runs", prices=price_list(WORD), most=attempts * 3 / 4)
    [path] = (tmp_path / "runs").glob("demo/*/*")
    stopped = e2r.runner.RunFolder(path).manifest().prices
    assert stopped is not None
    assert Decimal(str(stopped["attempts"])) <= attempts * 3 / 4
    # By the search, the documents of a query are one request, which was sent twice or for nothing.
    bought = e2r.runner.run(spec, tmp_path / "bought", prices=price_list("search=2")).manifest()
    assert bought.prices is not None
    searches = Decimal(2) * bought.dataset.queries / 1000
    assert Decimal(str(bought.prices["spent"])) == searches
    assert Decimal(str(bought.prices["attempts"])) == times * searches
    # What was paid is in the manifest of a folder that may be anybody's.
    told = path / "manifest.json"
    for no_money in ("NaN", "-1", "Infinity", "much"):
        told.write_text(told.read_text().replace(f'"{stopped["attempts"]}"', f'"{no_money}"'))
        with pytest.raises(DataError, match="which is no money"):
            e2r.runner.run(spec, tmp_path / "runs", resume=True, prices=price_list(WORD))
        stopped = {"attempts": no_money}


def test_a_run_goes_on_in_its_own_currency(spec: Spec, tmp_path: Path) -> None:
    with pytest.raises(IncompleteError):
        e2r.runner.run(spec, tmp_path, prices=price_list(WORD), most=Decimal("0.000001"))
    with pytest.raises(UsageError, match="begun in USD"):
        e2r.runner.run(spec, tmp_path, resume=True, prices=price_list(f"{WORD},currency=EUR"))


def test_what_cannot_be_held_is_refused(spec: Spec, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--price"):
        e2r.runner.run(spec, tmp_path, most=Decimal(1))
    with pytest.raises(UsageError, match="hours"):
        e2r.runner.run(spec, tmp_path, prices=price_list("hour=1"))
    with pytest.raises(UsageError, match="costs nothing"):
        Purse(Random(1), price_list(WORD), Decimal(1), lambda spent, currency: None)


@pytest.mark.parametrize("word", ["0", "-1", "nan", "1_0", "\u0663", "inf", "", "much"])
def test_what_is_no_money_is_refused(word: str) -> None:
    with pytest.raises(UsageError, match="give money"):
        money_of_word(word)


def test_money_is_read_exactly() -> None:
    assert money_of_word(" 5.10 ") == Decimal("5.10")
    assert money_of_word(None) is None
