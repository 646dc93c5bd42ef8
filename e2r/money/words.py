"""The words of `--price` as price lists: typed terms, a library's model, a list in a file."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

from e2r.errors import UsageError
from e2r.money.prices import CURRENCY, PriceList, Tariff
from e2r.money.terms import COUNTS, EXAMPLES, MOST, PRICES, number, terms_of


def price_list(word: str) -> PriceList:
    """The list that a word of `--price` means.

    Raises UsageError for a word without a unit, prices that are negative or no numbers, and unknown
    models; MissingError without the library that `genai:` needs; DataError for a file that is not
    as it should be.
    """
    if word.startswith("genai:"):
        from e2r.money.library import library_list

        return library_list(word)
    path, colon, name = word.rpartition(":")
    if colon and path.endswith(".toml"):
        from e2r.money.file import list_of_file

        return list_of_file(Path(path), name, word)
    if word.endswith(".toml"):
        raise UsageError(f"--price {word}: a file holds many lists; name one, as in {word}:NAME")
    return _typed(word)


def tariff(words: Sequence[str]) -> Tariff | None:
    """The lists of `[MODEL@]LIST` words; None of none.

    Raises UsageError where two are for the same, or where currencies are mixed.
    """
    common: PriceList | None = None
    own: dict[str, PriceList] = {}
    for word in words:
        model, at, rest = word.partition("@")
        if not at or "=" in model or model.startswith("genai:") or ".toml" in model:
            if common is not None:
                raise UsageError(
                    f"--price {word}: {common.word} is for all models already; write MODEL@LIST"
                )
            common = price_list(word)
        elif not model:
            raise UsageError(f"--price {word!r}: no model before the @; write MODEL@LIST")
        elif model in own:
            raise UsageError(f"--price {word}: {model} has a list already")
        else:
            own[model] = price_list(rest)
    return Tariff(common, own) if words else None


def _typed(word: str) -> PriceList:
    given: dict[str, str] = {}
    for part in word.split(","):
        name, equals, value = part.strip().partition("=")
        name = name.strip().replace("-", "_")
        if not equals or name not in (*PRICES, *COUNTS, "currency"):
            raise UsageError(f"--price {word!r}: {part.strip()!r} has no unit; write {EXAMPLES}")
        if name in given:
            raise UsageError(f"--price {word!r}: {name} is there twice")
        given[name] = value.strip()
    currency = given.pop("currency", CURRENCY)
    if not re.fullmatch(r"\w{1,12}", currency):
        raise UsageError(f"--price {word!r}: {currency!r} names no currency; write a word")
    money = {name: _money(word, name, given[name]) for name in given if name in PRICES}
    counts = {name: _count(word, name, given[name]) for name in given if name in COUNTS}
    return PriceList(word, terms_of(money, counts, f"--price {word!r}"), currency)


def _money(word: str, name: str, text: str) -> Decimal:
    value = number(text)
    if value is None:
        raise UsageError(f"--price {word!r}: {name} is {text[:40]!r}; give a number")
    if value.is_signed() or value > MOST:
        raise UsageError(f"--price {word!r}: {name} is {text}; a price is 0 to {MOST:,}")
    return value


def _count(word: str, name: str, text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", text) or int(text) < 1:
        raise UsageError(f"--price {word!r}: {name} is {text[:40]!r}; give a whole number above 0")
    return int(text)
