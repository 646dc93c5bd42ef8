"""Price lists of the library genai-prices: its bundled data, asked for by provider and model."""

from __future__ import annotations

import difflib
from datetime import UTC, datetime
from decimal import Decimal
from importlib import metadata
from typing import Any

from e2r.errors import MissingError, UsageError
from e2r.money.prices import THOUSAND, PriceList, Rate, Tokens

WORD = "genai:"
PRICED = {"input_mtok", "output_mtok", "cache_read_mtok", "requests_kcount"}
"""The library's prices that calls of text with a plain cache are billed by."""


def library_list(word: str) -> PriceList:
    """The list of `genai:PROVIDER/MODEL`, as it holds today.

    Raises MissingError without the library, UsageError for a model that it does not know, naming
    the nearest, or that several providers have.
    """
    try:
        from genai_prices import Usage, calc_price
        from genai_prices.data import providers
    except ImportError:
        raise MissingError(
            f"--price {word} needs genai-prices: pip install 'e2r[prices]', or type the prices"
        ) from None
    provider, slash, model = word.removeprefix(WORD).partition("/")
    known = {each.id: each for each in providers}
    if not slash or provider not in known:
        name = model if slash else provider
        homes = sorted(each.id for each in providers if any(m.id == name for m in each.models))
        if homes:
            raise UsageError(
                f"--price {word}: {name} is with {', '.join(homes)}; name one, as in "
                f"genai:{homes[0]}/{name}"
            )
        raise _unknown(word, [f"{each.id}/{m.id}" for each in providers for m in each.models])
    try:
        found = calc_price(Usage(input_tokens=0), model, provider_id=provider)
    except LookupError:
        raise _unknown(word, [f"{provider}/{m.id}" for m in known[provider].models]) from None
    prices = found.model_price
    if prices.input_mtok is None:
        raise UsageError(
            f"--price {word}: genai-prices has no price a token of it ({prices}); type the prices"
        )
    entry = _rate(prices.input_mtok)
    terms = Tokens(
        entry,
        _rate(prices.output_mtok),
        entry if prices.cache_read_mtok is None else _rate(prices.cache_read_mtok),
        Decimal(0)
        if prices.requests_kcount is None
        else _rate(prices.requests_kcount).base / THOUSAND,
    )
    version = metadata.version("genai-prices")
    source = f"genai-prices {version}, {found.provider.id}/{found.model.id}"
    return PriceList(word, terms, "USD", source, _since(found.model.prices, prices))


def _rate(price: Any) -> Rate:
    if price is None:
        return Rate(Decimal(0))
    if isinstance(price, Decimal):
        return Rate(price)
    return Rate(price.base, tuple((tier.start, tier.price) for tier in price.tiers))


def _since(prices: Any, chosen: Any) -> str | None:
    """The day from which the chosen prices hold, where the library says one."""
    for each in prices if isinstance(prices, list) else ():
        start = getattr(each.constraint, "start_date", None)
        if each.prices == chosen and start is not None and start <= datetime.now(UTC).date():
            return str(start.isoformat())
    return None


def _unknown(word: str, names: list[str]) -> UsageError:
    asked = word.removeprefix(WORD)
    near = difflib.get_close_matches(asked, names, n=3, cutoff=0.4)
    hint = (
        f"did you mean {' or '.join(WORD + name for name in near)}?" if near else "type its prices"
    )
    return UsageError(f"--price {word}: genai-prices does not know it; {hint}")
