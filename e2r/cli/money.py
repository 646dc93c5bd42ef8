"""The option by which commands ask for money, and how they say it."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

import click

from e2r.errors import UsageError

if TYPE_CHECKING:
    from e2r.money.bill import Money
    from e2r.money.prices import PriceList, Tariff

FORMS = (
    "in=0.15,out=0.60[,cached=0.075] a million tokens, search=2.00 a thousand searches, hour=0.80 "
    "of an accelerator, genai:PROVIDER/MODEL, FILE.toml:NAME"
)
PRICE_LIST = click.option(
    "--price", "price_list", metavar="LIST", help=f"Money too: {FORMS} (docs/money.md)."
)
PRICES = click.option(
    "--price",
    multiple=True,
    metavar="[MODEL@]LIST",
    help=f"Money too: {FORMS}; may be repeated with MODEL@ (docs/money.md).",
)


def tariff_of(words: Sequence[str]) -> Tariff | None:
    """The lists that were typed; None of none."""
    from e2r.money.words import tariff

    return tariff(words)


def list_of(word: str | None) -> PriceList | None:
    """The list that was typed; None of none."""
    if word is None:
        return None
    from e2r.money.words import price_list

    return price_list(word)


def money_of_word(word: str | None) -> Decimal | None:
    """The money of --most. Raises UsageError for what is none."""
    if word is None:
        return None
    try:
        value = Decimal(word) if len(word) <= 40 else Decimal("nan")
    except InvalidOperation:
        value = Decimal("nan")
    if not value.is_finite() or value <= 0:
        raise UsageError(f"--most {word[:40]!r}: give money, more than 0, as in 5.00")
    return value


def with_hour(options: dict[str, Any], prices: PriceList | None) -> dict[str, Any]:
    """The options of a device, its hour's price that of a list by the hour.

    Raises UsageError where both say it.
    """
    from e2r.money.prices import Hours

    if prices is None or not isinstance(prices.terms, Hours):
        return options
    if options.get("price_per_hour") is not None:
        raise UsageError("--price hour=… and --price-per-hour say the same: drop one")
    return {**options, "price_per_hour": float(prices.terms.hour)}


def money_figures(prices: PriceList, thousand: Money) -> dict[str, Any]:
    """Money a thousand queries by part, for JSON; `exact` is text."""
    from e2r.money.bill import PARTS

    return {
        "money": {
            "per_thousand_queries": float(thousand.total),
            **{part: float(getattr(thousand, part)) for part in PARTS},
            "exact": str(thousand.total),
            "prices": prices.to_json(),
        }
    }


def money_lines(prices: PriceList, thousand: Money) -> list[str]:
    """Money a thousand queries as lines of text."""
    from e2r.money.bill import PARTS

    parts = {part: getattr(thousand, part) for part in PARTS}
    split = ", ".join(f"{part} {amount:,.6f}" for part, amount in parts.items() if amount)
    return [
        f"  {'money a thousand queries':<28} {prices.currency} {thousand.total:,.6f}"
        + (f"   ({split})" if split else ""),
        *folded(f"by {prices.told()}"),
    ]


def folded(text: str) -> list[str]:
    """A sentence as indented lines of 80 cells."""
    return textwrap.wrap(
        text,
        80,
        initial_indent="  ",
        subsequent_indent="    ",
        break_long_words=False,
        break_on_hyphens=False,
    )
