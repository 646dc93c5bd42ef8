"""The option by which commands ask for money, and how they say it."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import click

from e2r.errors import UsageError

if TYPE_CHECKING:
    from e2r.metrics.row import Row
    from e2r.money.bill import Money
    from e2r.money.prices import PriceList, Tariff

FORMS = (
    "in=0.15,out=0.60[,cached=0.075] a million tokens, search=2.00 a thousand searches, hour=0.80 "
    "of an accelerator, genai:PROVIDER/MODEL, FILE.toml:NAME"
)
WIDTH = 80


def _one(_: click.Context, __: click.Parameter, words: tuple[str, ...]) -> str | None:
    """The word of an option that click would take the last of, whatever stood before it."""
    if len(words) > 1:
        raise UsageError(
            f"--price {' and '.join(words)}: one model is priced by one list here; "
            "`e2r capacity --versus` holds others against it"
        )
    return words[0] if words else None


PRICE_LIST = click.option(
    "--price",
    "price_list",
    multiple=True,
    callback=_one,
    metavar="LIST",
    help=f"Money too: {FORMS} (docs/money.md).",
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


def lists_told(rows: Iterable[Row], tariff: Tariff | None) -> str:
    """The lists of --price, else those that the runs recorded, in words; nothing of none."""
    rows = list(rows)
    if tariff is None:
        told = [row.paid.prices.told() for row in rows if row.paid is not None]
    else:
        strays = tariff.strays(row.manifest.model.name for row in rows)
        told = [tariff.common.told()] if tariff.common else []
        told += [f"{of}@{each.told()}" for of, each in tariff.own.items() if of not in strays]
    return "; ".join(dict.fromkeys(told))


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
    from e2r.money.terms import number

    value = number(word.strip())
    if value is None or value <= 0:
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


@dataclass(frozen=True)
class Otherwise:
    """Money a thousand queries if all prompts were cached, or if nothing were reused; None where
    that changes nothing."""

    least: Money | None = None
    all_sent: Money | None = None

    def named(self) -> dict[str, tuple[str, Decimal]]:
        """What is known, by its name in JSON: its label and the amount."""
        every = {
            "least": ("if all prompts were cached", self.least),
            "all_sent": ("if nothing were reused", self.all_sent),
        }
        return {
            name: (label, amount.total)
            for name, (label, amount) in every.items()
            if amount is not None
        }


NOT_OTHERWISE = Otherwise()


def fixed(amount: Decimal, places: int) -> str:
    """An amount with so many places; `<0.0001` of one that is less than they show, never 0."""
    text = f"{amount:,.{places}f}"
    least = Decimal(1).scaleb(-places)
    return f"<{least:f}" if amount and not Decimal(text.replace(",", "")) else text


def money_figures(
    prices: PriceList, thousand: Money, otherwise: Otherwise = NOT_OTHERWISE
) -> dict[str, Any]:
    """Money a thousand queries by part, for JSON; `exact`, `least` and `all_sent` are text."""
    from e2r.money.bill import PARTS

    return {
        "money": {
            "per_thousand_queries": float(thousand.total),
            **{part: float(getattr(thousand, part)) for part in PARTS},
            "exact": str(thousand.total),
            **{name: str(amount) for name, (_, amount) in otherwise.named().items()},
            "prices": prices.to_json(),
        }
    }


def money_lines(
    prices: PriceList, thousand: Money, otherwise: Otherwise = NOT_OTHERWISE
) -> list[str]:
    """Money a thousand queries as lines of text."""
    from e2r.money.bill import PARTS

    parts = {part: getattr(thousand, part) for part in PARTS}
    split = ", ".join(f"{part} {fixed(amount, 6)}" for part, amount in parts.items() if amount)
    said = f"  {'money a thousand queries':<28} {prices.currency} {fixed(thousand.total, 6)}"
    beside = f"{said}   ({split})"
    return [
        *([beside] if split and len(beside) <= WIDTH else [said]),
        *(folded(f"of it {split}") if split and len(beside) > WIDTH else ()),
        *(
            f"  {label:<28} {prices.currency} {fixed(amount, 6)}"
            for label, amount in otherwise.named().values()
        ),
        *folded(f"by {prices.told()}"),
    ]


def folded(text: str) -> list[str]:
    """A sentence as indented lines of WIDTH cells."""
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent="  ",
        subsequent_indent="    ",
        break_long_words=False,
        break_on_hyphens=False,
    )
