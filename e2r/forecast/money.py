"""What a forecast costs in money, and from which traffic on one's own accelerators are cheaper."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from math import ceil
from typing import Any

from e2r.errors import UsageError
from e2r.forecast.clock import Timed
from e2r.forecast.lengths import Lengths
from e2r.forecast.method import Forecast
from e2r.money.bill import Kind, Money, bill_of_means
from e2r.money.prices import Hours, PriceList

HOURS_A_MONTH = 730
SECONDS_AN_HOUR = 3600
SECONDS_A_MONTH = HOURS_A_MONTH * SECONDS_AN_HOUR
BY_THE_HOUR = "an hour is what hosting asks, by --price hour=…; an offer asks by token or search"


def money_of(
    priced: Forecast, prices: PriceList, depth: int, lengths: Lengths, timed: Timed | None = None
) -> Money:
    """A query's money by a list. A search is of `depth` documents of the lengths given; hours are
    those of `timed`. Raises UsageError for hours without it."""
    kinds = (
        Kind(
            Decimal(repr(float(calls))),
            int(usage.prompt_tokens),
            int(usage.cached_tokens),
            int(usage.generated_tokens),
        )
        for usage, calls in zip(priced.usages, priced.weights, strict=True)
    )
    hours = None
    if timed is not None:
        hours = Decimal(repr(float(timed.best.total))) / SECONDS_AN_HOUR
    return bill_of_means(prices, kinds, depth, lengths.query + lengths.passage, hours)


@dataclass(frozen=True)
class Versus:
    """Accelerators of one's own against an offer: `seconds` of one for a query, `hour` its price,
    `bought` what the offer asks for a query.

    Accelerators are whole, so that the cost of owning is a staircase over the traffic.
    """

    offer: PriceList
    seconds: Decimal
    hour: Decimal
    bought: Decimal

    @property
    def at_full_load(self) -> Decimal:
        """Money of a query on an accelerator that is never idle: owning asks no less."""
        return self.seconds * self.hour / SECONDS_AN_HOUR

    @property
    def first(self) -> Decimal | None:
        """Queries a second from which one accelerator is cheaper; None where the offer always is.

        An accelerator that is never idle and costs more than the offer is beaten at any traffic.
        """
        if self.bought <= self.at_full_load:
            return None
        return self.hour / SECONDS_AN_HOUR / self.bought

    @property
    def always(self) -> Decimal | None:
        """Queries a second from which owning is cheaper, however many accelerators that takes."""
        if self.first is None:
            return None
        # A further accelerator is paid at once: the n-th pays where n hours cost no more than what
        # n - 1 busy ones replace, at the latest.
        steps = ceil(self.bought / (self.bought - self.at_full_load))
        return self.first * max(steps - 1, 1)

    def accelerators(self, qps: Decimal) -> int:
        """Whole accelerators for a traffic."""
        return max(ceil(qps * self.seconds), 1)

    def own_month(self, qps: Decimal) -> Decimal:
        """Money of a month of one's own accelerators."""
        return self.accelerators(qps) * self.hour * HOURS_A_MONTH

    def bought_month(self, qps: Decimal) -> Decimal:
        """Money of a month of the offer."""
        return qps * SECONDS_A_MONTH * self.bought

    def to_json(self, qps: Decimal) -> dict[str, Any]:
        """The crossing and both costs at a traffic; money as numbers in the offer's currency."""
        own, bought = self.own_month(qps), self.bought_month(qps)
        return {
            "offer": self.offer.to_json(),
            "bought_per_thousand_queries": float(self.bought * 1000),
            "own_per_thousand_queries_at_full_load": float(self.at_full_load * 1000),
            "cheaper_from": _crossing(self, self.first),
            "always_cheaper_from": _crossing(self, self.always),
            "at_qps": {
                "queries_per_second": float(qps),
                "accelerators": self.accelerators(qps),
                "own_month": float(own),
                "bought_month": float(bought),
                "take": "own" if own < bought else "buy",
            },
        }


def _crossing(versus: Versus, qps: Decimal | None) -> dict[str, Any] | None:
    if qps is None:
        return None
    return {
        "queries_per_second": float(qps),
        "queries_per_month": float(qps * SECONDS_A_MONTH),
        "accelerators": versus.accelerators(qps),
    }


def versus(
    offer: PriceList,
    priced: Forecast,
    depth: int,
    lengths: Lengths,
    timed: Timed,
) -> Versus:
    """An offer against the clock's seconds: expected ones where something tells them, else the
    floor's. Raises UsageError without an hour's price, and for offers that ask nothing or by the
    hour."""
    if isinstance(offer.terms, Hours):
        raise UsageError(f"--versus {offer.word}: {BY_THE_HOUR}")
    if timed.price_per_hour is None:
        raise UsageError("--versus needs what an hour costs: --price hour=0.80")
    bought = money_of(priced, offer, depth, lengths).total
    if not bought:
        raise UsageError(f"--versus {offer.word}: asks nothing for a query; nothing is cheaper")
    seconds = Decimal(repr(float(timed.best.total)))
    return Versus(offer, seconds, Decimal(repr(float(timed.price_per_hour))), bought)
