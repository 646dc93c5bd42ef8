"""A price list: what a service asks for tokens, for searches, or for an accelerator's hour."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from e2r.errors import UsageError

MILLION = 1_000_000
THOUSAND = 1000
CURRENCY = "USD"
LONGEST = 20
"""Characters of a price that is told without an exponent."""


def written(price: Decimal) -> str:
    """A price as people write it: 1000, not 1E+3."""
    plain = f"{price:f}"
    return plain if len(plain) <= LONGEST else str(price)


@dataclass(frozen=True)
class Rate:
    """Money a million tokens; `tiers` are (tokens, rate): a call whose prompt has more tokens than
    that pays that rate for all of its tokens."""

    base: Decimal
    tiers: tuple[tuple[int, Decimal], ...] = ()

    def of(self, prompt_tokens: int) -> Decimal:
        """The rate of a call with so many prompt tokens, cached ones among them."""
        return next(
            (rate for start, rate in reversed(self.tiers) if prompt_tokens > start), self.base
        )


@dataclass(frozen=True)
class Tokens:
    """By the token: rates of input, output and input that the service had in its cache.

    `call` is asked for each request besides, where a service asks that.
    """

    input: Rate
    output: Rate
    cached: Rate
    call: Decimal = Decimal(0)

    @property
    def starts(self) -> tuple[int, ...]:
        """Prompt lengths above which another rate holds, rising."""
        rates = (self.input, self.output, self.cached)
        return tuple(sorted({start for rate in rates for start, _ in rate.tiers}))

    def untiered(self) -> Tokens:
        """The same rates whatever the prompt's length: those of short ones."""
        short = Rate(self.input.base), Rate(self.output.base), Rate(self.cached.base)
        return Tokens(*short, self.call)

    def told(self) -> str:
        """The terms in a line."""
        rates = [written(rate.base) for rate in (self.input, self.cached, self.output)]
        said = f"{rates[0]} in, {rates[1]} cached, {rates[2]} out a million"
        more = f", {written(self.call)} a call" if self.call else ""
        tiered = f", other rates for prompts above {self.starts[0]:,}" if self.starts else ""
        return f"{said} tokens{more}{tiered}"

    def to_json(self) -> dict[str, Any]:
        """The rates as text, exact; tiers as [tokens, rate]."""
        rates: dict[str, Any] = {}
        for name, rate in (("in", self.input), ("out", self.output), ("cached", self.cached)):
            rates[name] = str(rate.base)
            if rate.tiers:
                rates[f"{name}_above"] = [[start, str(more)] for start, more in rate.tiers]
        return rates | ({"call": str(self.call)} if self.call else {})


@dataclass(frozen=True)
class Searches:
    """By the search, money a thousand of them.

    A search covers up to `documents` documents (None: any number), and a text of query and
    document that is longer than `document_tokens` counts as a document for each such piece of it.
    """

    search: Decimal
    documents: int | None = None
    document_tokens: int | None = None

    def pieces(self, tokens: int) -> int:
        """Documents that one of so many tokens, the query's among them, counts as."""
        return 1 if self.document_tokens is None else max(-(-tokens // self.document_tokens), 1)

    def searches(self, pieces: int) -> int:
        """Searches that one request of so many counted documents is billed as."""
        return 1 if self.documents is None else max(-(-pieces // self.documents), 1)

    def told(self) -> str:
        """The terms in a line, the rule among them."""
        said = f"{written(self.search)} a thousand searches"
        if self.documents is not None:
            said += f", a search is up to {self.documents} documents"
        if self.document_tokens is not None:
            said += f", query and document of more than {self.document_tokens} tokens count as more"
        return said

    def to_json(self) -> dict[str, Any]:
        """The terms; money as text, exact."""
        return {
            "search": str(self.search),
            "documents": self.documents,
            "document_tokens": self.document_tokens,
        }


@dataclass(frozen=True)
class Hours:
    """By the hour of an accelerator."""

    hour: Decimal

    def told(self) -> str:
        """The terms in a line."""
        return f"{written(self.hour)} an hour of an accelerator"

    def to_json(self) -> dict[str, Any]:
        """The terms; money as text, exact."""
        return {"hour": str(self.hour)}


@dataclass(frozen=True)
class PriceList:
    """Terms in a currency, and where they were had: `word` as it was typed, `source` and `dated`.

    `dated` is the day from which, or on which, the terms are said to hold, None where nobody says.
    """

    word: str
    terms: Tokens | Searches | Hours
    currency: str = CURRENCY
    source: str = "typed"
    dated: str | None = None

    @property
    def needs_tokens(self) -> bool:
        """Whether money follows from tokens, as searches' does where long documents count more."""
        if isinstance(self.terms, Searches):
            return self.terms.document_tokens is not None
        return isinstance(self.terms, Tokens)

    def told(self) -> str:
        """The list in a sentence."""
        day = f", dated {self.dated}" if self.dated else ""
        where = "" if self.source == "typed" else f" ({self.source}{day})"
        return f"{self.word}: {self.currency} {self.terms.told()}{where}"

    def to_json(self) -> dict[str, Any]:
        """The list as records keep it."""
        return {
            "list": self.word,
            "currency": self.currency,
            "source": self.source,
            "dated": self.dated,
            **self.terms.to_json(),
        }


@dataclass(frozen=True)
class Tariff:
    """Which list a model is paid by: its own, else the one for all. Raises UsageError where
    currencies are mixed: nothing here converts them."""

    common: PriceList | None = None
    own: dict[str, PriceList] = field(default_factory=dict)

    def __post_init__(self) -> None:
        one_currency(self.lists)

    @property
    def lists(self) -> list[PriceList]:
        """All of them."""
        return [*([self.common] if self.common else []), *self.own.values()]

    def strays(self, models: Iterable[str]) -> list[str]:
        """Models that have a list of their own and are none of these."""
        names = set(models)
        return sorted(self.own.keys() - names - {name.rpartition("/")[2] for name in names})

    def of(self, model: str) -> PriceList | None:
        """The list of a model, known by its name or the name's last part."""
        tail = model.rpartition("/")[2]
        return self.own.get(model) or self.own.get(tail) or self.common


def one_currency(lists: Iterable[PriceList]) -> str:
    """The currency of all lists. Raises UsageError where there are several."""
    found = sorted({each.currency for each in lists})
    if len(found) > 1:
        raise UsageError(
            f"prices in {' and '.join(found)} cannot be compared: nothing here knows what one is "
            "worth in the other; give all lists in one currency"
        )
    return found[0] if found else CURRENCY
