"""Calls and a price list → money, by query and part, in decimals."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray

from e2r.errors import UsageError
from e2r.money.prices import MILLION, THOUSAND, Hours, PriceList, Searches, Tokens

PARTS = ("input", "cached", "output", "other")
"""What money goes for; `other` is what is asked a request, a search or an hour."""

HOURS_NEED = "an hour's price needs seconds: name the accelerator by --on, as in --on L4"


@dataclass(frozen=True)
class Money:
    """An amount in the list's currency, by what it goes for."""

    input: Decimal = Decimal(0)
    cached: Decimal = Decimal(0)
    output: Decimal = Decimal(0)
    other: Decimal = Decimal(0)

    @property
    def total(self) -> Decimal:
        """All parts."""
        return self.input + self.cached + self.output + self.other

    def __add__(self, other: Money) -> Money:
        return Money(*(getattr(self, part) + getattr(other, part) for part in PARTS))

    def times(self, factor: Decimal | int) -> Money:
        """So many times as much."""
        return Money(*(getattr(self, part) * factor for part in PARTS))

    def over(self, queries: int) -> Money:
        """A share of it."""
        return Money(*(getattr(self, part) / queries for part in PARTS))


def summed(amounts: Iterable[Money]) -> Money:
    """The sum, exact."""
    return sum(amounts, Money())


def thousand(amount: Money, queries: int) -> Money:
    """Money a thousand queries, where so many cost `amount`."""
    return amount.times(THOUSAND).over(queries) if queries else Money()


def bill(
    prices: PriceList,
    places: NDArray[np.intp],
    queries: int,
    prompt: NDArray[np.int64],
    cached: NDArray[np.int64],
    generated: NDArray[np.int64],
    documents: NDArray[np.int64] | None = None,
) -> list[Money]:
    """Money of each of `queries` queries; arrays are (calls,), `places` the query of each call.

    `prompt` includes `cached`. Rates follow each call's own prompt. A call without prompt tokens
    was answered again, not sent, and is free. Raises UsageError where the list asks for what calls
    do not tell: documents for searches, seconds for hours.
    """
    terms = prices.terms
    sent = prompt > 0
    if isinstance(terms, Tokens):
        found = [Money()] * queries
        starts = np.array(terms.starts, dtype=np.int64)
        # Rates change for prompts longer than a start, so that one of just its length is below.
        bands = np.searchsorted(starts, prompt, side="left")
        for band in np.unique(bands[sent]).tolist():
            rows = np.flatnonzero(sent & (bands == band))
            length = 0 if band == 0 else int(starts[band - 1]) + 1
            rates = [rate.of(length) for rate in (terms.input, terms.cached, terms.output)]
            counts = [
                _sums(places[rows], each[rows], queries)
                for each in (prompt - cached, cached, generated)
            ]
            calls = np.bincount(places[rows], minlength=queries).tolist()
            for place in range(queries):
                asked = [int(count[place]) for count in counts]
                found[place] += _by_token(asked, rates, terms.call * int(calls[place]))
        return found
    if isinstance(terms, Searches):
        if documents is None:
            raise UsageError(
                f"{prices.word}: nobody recorded how many documents each call holds, so that "
                "searches cannot be counted; give prices by the token"
            )
        requests = zip(
            places[sent].tolist(), prompt[sent].tolist(), documents[sent].tolist(), strict=True
        )
        counted = _searches(terms, requests, queries)
        return [Money(other=terms.search * count / THOUSAND) for count in counted]
    raise UsageError(f"{prices.word}: {HOURS_NEED}")


def _by_token(counts: Sequence[int], rates: Sequence[Decimal], requests: Decimal) -> Money:
    """Money of input, cached and output tokens at rates a million, and of the requests."""
    parts = [count * rate / MILLION for count, rate in zip(counts, rates, strict=True)]
    return Money(parts[0], parts[1], parts[2], requests)


def _sums(places: NDArray[np.intp], amounts: Any, queries: int) -> list[int]:
    sums = np.zeros(queries, np.int64)
    np.add.at(sums, places, amounts)
    found: list[int] = sums.tolist()
    return found


def _searches(terms: Searches, rows: Iterable[tuple[int, int, int]], queries: int) -> list[int]:
    """Searches of each query, from the query, prompt tokens and documents of each call.

    A service scores the documents of a query in one request, whose calls the ledger holds one by
    one; a call about several documents is a request of its own, its documents equally long.
    """
    found, pieces = [0] * queries, [0] * queries
    for place, length, several in rows:
        if several > 1:
            found[place] += terms.searches(several * terms.pieces(-(-length // several)))
        else:
            pieces[place] += terms.pieces(length)
    return [
        asked + (terms.searches(together) if together else 0)
        for asked, together in zip(found, pieces, strict=True)
    ]


@dataclass(frozen=True)
class Kind:
    """So many equal calls a query makes on average, with the tokens of one."""

    calls: Decimal
    prompt: int
    cached: int
    generated: int


def bill_of_means(
    prices: PriceList,
    kinds: Iterable[Kind],
    documents: int,
    document_tokens: int,
    hours: Decimal | None = None,
) -> Money:
    """A query's money by a forecast: its kinds of calls by the token, or one search of `documents`
    of so many tokens each, the query's among them, or `hours` of an accelerator.

    Raises UsageError for hours where no accelerator is named.
    """
    terms = prices.terms
    if isinstance(terms, Searches):
        return Money(
            other=terms.search
            * terms.searches(documents * terms.pieces(document_tokens))
            / THOUSAND
        )
    if isinstance(terms, Hours):
        if hours is None:
            raise UsageError(f"{prices.word}: {HOURS_NEED}")
        return Money(other=terms.hour * hours)
    found = Money()
    for kind in kinds:
        rates = [rate.of(kind.prompt) for rate in (terms.input, terms.cached, terms.output)]
        counts = [kind.prompt - kind.cached, kind.cached, kind.generated]
        found += _by_token(counts, rates, terms.call).times(kind.calls)
    return found
