"""Named prices → the terms of a list, or what is wrong with them."""

from __future__ import annotations

import re
from decimal import Decimal

from e2r.errors import UsageError
from e2r.money.prices import Hours, Rate, Searches, Tokens

EXAMPLES = (
    "in=0.15,out=0.60 (a million tokens), search=2.00 (a thousand searches), hour=0.80 (of an "
    "accelerator), genai:PROVIDER/MODEL or FILE.toml:NAME"
)
MOST = Decimal(10**9)
"""Of a price: nobody asks more, and a slip of the unit does."""
PRICES = ("in", "out", "cached", "call", "search", "hour")
COUNTS = ("documents", "document_tokens")
HELD = {"in": PRICES[:4], "search": ("search", *COUNTS), "hour": ("hour",)}
"""What may stand in a list, by the price that says which kind it is."""

_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?")
"""As people type prices: Python would take digits of all scripts, underscores and nan too."""


def number(text: str) -> Decimal | None:
    """The number that a text writes, in at most 40 characters; None where it writes none."""
    return Decimal(text) if len(text) <= 40 and _NUMBER.fullmatch(text) else None


def terms_of(
    money: dict[str, Decimal], counts: dict[str, int], where: str
) -> Tokens | Searches | Hours:
    """The terms of named prices. Raises UsageError for none, for several kinds, for strays."""
    kinds = [name for name in HELD if name in money]
    if len(kinds) != 1:
        found = " and ".join(kinds) or "no price with a unit"
        raise UsageError(f"{where}: holds {found}; give one of {EXAMPLES}")
    kind = kinds[0]
    stray = (money.keys() | counts.keys()) - set(HELD[kind])
    if stray:
        raise UsageError(f"{where}: {sorted(stray)[0]} does not go with {kind}=")
    if kind == "search":
        return Searches(money["search"], counts.get("documents"), counts.get("document_tokens"))
    if kind == "hour":
        return Hours(money["hour"])
    if "out" not in money:
        raise UsageError(
            f"{where}: the price of generated tokens is missing; add out=… (0 if free)"
        )
    cached = money.get("cached", money["in"])
    return Tokens(
        Rate(money["in"]), Rate(money["out"]), Rate(cached), money.get("call", Decimal(0))
    )
