"""A price list out of a file of the user's, which may hold many."""

from __future__ import annotations

import datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from e2r.borders.reading import shortened, toml_file
from e2r.errors import DataError, UsageError, unknown
from e2r.money.prices import CURRENCY, PriceList
from e2r.money.terms import MOST, number, terms_of


def _typed(value: object) -> object:
    """What a file writes for a price: a text is read as on the command line."""
    found = number(value) if isinstance(value, str) else value
    if found is None:
        raise ValueError("give a number")
    if isinstance(found, int | float | Decimal) and str(found).startswith("-"):
        raise ValueError(f"a price is 0 to {MOST:,}")
    return found


_Price = Annotated[Decimal, Field(le=MOST, allow_inf_nan=False), BeforeValidator(_typed)]
_Count = Annotated[int, Field(ge=1, le=10**9, strict=True)]


class _Listed(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    input: _Price | None = Field(None, alias="in")
    out: _Price | None = None
    cached: _Price | None = None
    call: _Price | None = None
    search: _Price | None = None
    hour: _Price | None = None
    documents: _Count | None = None
    document_tokens: _Count | None = None
    currency: str = Field(CURRENCY, pattern=r"^\w{1,12}$")
    dated: datetime.date | None = None
    source: str | None = Field(None, max_length=500)


def list_of_file(path: Path, name: str, word: str) -> PriceList:
    """The list of a name: a table of `in`, `out`, `cached`, `search`, `hour` … as `--price` has it.

    `currency`, `dated` and `source` may stand beside. Raises DataError for a file that is not so,
    UsageError for a name that is not in it.
    """
    tables = toml_file(path)
    if name not in tables:
        raise unknown(f"price list of {path}", name, tables)
    if not isinstance(tables[name], dict):
        raise DataError(f"{path}: {name}: is no table of prices; write [{name}] and below it in=…")
    try:
        found = _Listed.model_validate(tables[name])
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        field = ".".join(map(str, first["loc"])) or "(whole)"
        raise DataError(
            f"{path}: {name}: {shortened(field)}: {shortened(first['msg'].lower())}"
        ) from None
    prices = {"in": found.input}
    prices |= {each: getattr(found, each) for each in ("out", "cached", "call", "search", "hour")}
    counts = {each: getattr(found, each) for each in ("documents", "document_tokens")}
    try:
        terms = terms_of(
            {key: value for key, value in prices.items() if value is not None},
            {key: value for key, value in counts.items() if value is not None},
            f"{path}: {name}",
        )
    except UsageError as error:
        raise DataError(str(error)) from None
    dated = None if found.dated is None else found.dated.isoformat()
    return PriceList(word, terms, found.currency, found.source or path.name, dated)
