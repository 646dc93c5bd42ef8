"""The price list that a run recorded → that list again, dated by the run's day."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from e2r.borders.reading import shortened
from e2r.errors import DataError, UsageError
from e2r.money.prices import PriceList, Rate, Tokens
from e2r.money.terms import COUNTS, MOST, PRICES, terms_of

LONGEST_WORD = 200
MOST_TIERS = 100


def recorded_list(facts: Mapping[str, Any], day: str, where: str) -> PriceList:
    """The list of a manifest's `prices`, as `PriceList.to_json` wrote it.

    Where nobody said from when it holds, it is dated by `day`, on which it was used. Raises
    DataError for what is no such list; `where` says whose it is.
    """
    money = {name: _money(facts[name], where) for name in PRICES if facts.get(name) is not None}
    counts = {name: _count(facts[name], where) for name in COUNTS if facts.get(name) is not None}
    try:
        terms = terms_of(money, counts, where)
    except UsageError as error:
        raise DataError(str(error)) from None
    if isinstance(terms, Tokens):
        above = {
            name: _tiers(facts.get(f"{name}_above"), where) for name in ("in", "out", "cached")
        }
        terms = Tokens(
            Rate(terms.input.base, above["in"]),
            Rate(terms.output.base, above["out"]),
            Rate(terms.cached.base, above["cached"]),
            terms.call,
        )
    currency = str(facts.get("currency"))
    if not re.fullmatch(r"\w{1,12}", currency):
        raise DataError(f"{where}: {shortened(currency)} names no currency")
    word, source = (shortened(str(facts.get(name)))[:LONGEST_WORD] for name in ("list", "source"))
    dated = shortened(str(facts.get("dated") or day))[:LONGEST_WORD]
    return PriceList(word, terms, currency, f"{source}, as the run recorded it", dated)


def _money(value: Any, where: str) -> Decimal:
    try:
        found = Decimal(value) if isinstance(value, str) and len(value) <= 40 else Decimal("nan")
    except InvalidOperation:
        found = Decimal("nan")
    if not (found.is_finite() and 0 <= found <= MOST):
        raise DataError(f"{where}: {shortened(str(value))} is no price; one is 0 to {MOST:,}")
    return found


def _count(value: Any, where: str) -> int:
    if type(value) is not int or not 1 <= value < 10**9:
        raise DataError(f"{where}: {shortened(str(value))} is no whole number above 0")
    return value


def _tiers(value: Any, where: str) -> tuple[tuple[int, Decimal], ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or len(value) > MOST_TIERS:
        raise DataError(f"{where}: {shortened(str(value))} are no tiers of a price")
    found = []
    for tier in value:
        if not isinstance(tier, list) or len(tier) != 2:
            raise DataError(f"{where}: {shortened(str(tier))} is no tier: [tokens, price]")
        found.append((_count(tier[0], where), _money(tier[1], where)))
    return tuple(sorted(found))
