"""What a run's queries cost in money by a price list, from its ledger alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from e2r.errors import DataError, UsageError
from e2r.forecast.clock import Timed
from e2r.metrics.runs.recorded import Recorded
from e2r.metrics.statistics.intervals import Interval, quotients
from e2r.money.bill import PARTS, Money, bill, summed, thousand
from e2r.money.prices import THOUSAND, Hours, PriceList, Searches, Tariff, Tokens
from e2r.money.recorded import recorded_list
from e2r.records.ledger import read_ledger
from e2r.records.manifest import UNCOUNTED, Again, Manifest

SECONDS_AN_HOUR = 3600
UNCOUNTED_TOKENS = (
    "nobody counted its tokens, so that its money is unknown; run it with --tokenizer FOLDER"
)
RANGES = ("least", "all_sent", "attempts")
"""What money would be otherwise, beside `exact`."""


@dataclass(frozen=True, eq=False)
class Paid:
    """Money of a run's judged queries by a list, exact, and a thousand queries' with intervals.

    `exact` is a thousand queries' money in decimals; `total` and `parts` the same as figures with
    intervals. `least` is what they cost if all prompt tokens had been cached, where nobody knows
    how many were; the others count none as cached then. `all_sent` is what they cost had reused
    answers been asked for again, `attempts` had each repeated request been charged like its reply;
    both None where that changes nothing or nobody knows.
    """

    prices: PriceList
    per_query: Mapping[str, Money]
    exact: Money
    total: Interval
    parts: Mapping[str, Interval]
    least: Decimal | None = None
    all_sent: Decimal | None = None
    attempts: Decimal | None = None

    def __repr__(self) -> str:
        return f"<Paid {self.prices.currency} {self.exact.total:.6g} a thousand queries>"

    def to_json(self) -> dict[str, Any]:
        """Figures a thousand queries, and the list they follow from; `exact` is text."""
        return {
            "per_thousand_queries": self.total.to_json(),
            **{name: found.value for name, found in self.parts.items()},
            "exact": str(self.exact.total),
            **{name: _text(getattr(self, name)) for name in RANGES},
            "prices": self.prices.to_json(),
        }


def _text(amount: Decimal | None) -> str | None:
    return None if amount is None else str(amount)


@dataclass(frozen=True)
class Told:
    """A run's money, or why there is none; `notes` are what the reader has to know."""

    paid: Paid | None
    notes: tuple[str, ...] = ()


def recorded_tariff(run: Recorded) -> tuple[Tariff | None, str | None]:
    """The list that a run recorded, and what to say of it; None where it recorded none."""
    facts = run.manifest.prices
    if facts is None:
        return None, None
    day = run.manifest.started[:10]
    try:
        found = recorded_list(facts, day, "the list that it recorded")
    except DataError as error:
        return None, f"its money is unknown: {error}"
    return Tariff(found), f"its money is by the list that it recorded: {found.told()}"


def paid(run: Recorded, tariff: Tariff, qids: Sequence[str], timed: Timed | None = None) -> Told:
    """The money of a run's queries `qids` by its model's list.

    A model whose architecture is unknown has its price all the same. Hours are those of `timed`,
    where a clock was asked, else the run's measured seconds.
    """
    prices = tariff.of(run.manifest.model.name)
    if run.manifest.method == "first_stage":
        return Told(None)
    if prices is None:
        return Told(
            None, (f"no price list is for {run.manifest.model.name}: its money is unknown",)
        )
    if "calls" in run.unknown:
        return Told(None, ("its calls are not known, so that its money is unknown",))
    if _is_uncounted(run.manifest):
        if prices.needs_tokens:
            return Told(None, (UNCOUNTED_TOKENS,))
        run = _with_requests(run)
    queries = len(run.records)
    names = [record.qid for record in run.records]
    notes: list[str] = []
    if isinstance(prices.terms, Hours):
        amounts, said = _hours(run, prices.terms, timed)
        least = None
        notes.append(said)
    else:
        ledger = run.ledger
        prompt, generated = (
            ledger[name].to_numpy() for name in ("prompt_tokens", "generated_tokens")
        )
        cached = ledger["cached_tokens"].fill_null(0).to_numpy()
        facts = (run.query_of_call, queries, prompt, cached, generated, run.passages)
        try:
            amounts = bill(prices, *facts)
        except UsageError as error:
            return Told(None, (f"its money is unknown: {error}",))
        least = None
        if isinstance(prices.terms, Tokens) and prices.terms.cached != prices.terms.input:
            least = _least(run, prices, amounts)
        notes += _how_paid(run, prices, least is not None)
    if amounts is None:
        return Told(None, tuple(notes))
    of_query = dict(zip(names, amounts, strict=True))
    judged = {qid: of_query[qid] for qid in qids}
    found = _figures(prices, judged)
    if least is not None:
        kept = summed(amount for qid, amount in zip(names, least, strict=True) if qid in judged)
        found = replace(found, least=thousand(kept, len(judged)).total)
    if not isinstance(prices.terms, Hours):
        sent = _all_sent(run, prices, queries)
        if sent is not None:
            asked = summed(it for qid, it in zip(names, sent, strict=True) if qid in judged)
            found = replace(found, all_sent=thousand(asked, len(judged)).total)
        found = replace(found, attempts=_attempts(run, prices, found.exact.total))
    if "spread" in run.unknown or (timed is not None and isinstance(prices.terms, Hours)):
        found = replace(found, total=Interval(found.total.value, note="only means are known"))
    return Told(found, tuple(notes))


def _is_uncounted(manifest: Manifest) -> bool:
    """Whether nobody counted a run's tokens."""
    server = manifest.model.server
    return server is not None and server.counted_by == UNCOUNTED


def _with_requests(run: Recorded) -> Recorded:
    """The run with a token for each call that was sent, so that searches are counted."""
    sent = pc.cast(pc.greater(run.ledger["batch_size"], 0), pa.int64())
    place = run.ledger.column_names.index("prompt_tokens")
    return replace(run, ledger=run.ledger.set_column(place, "prompt_tokens", sent))


def _figures(prices: PriceList, of_query: Mapping[str, Money]) -> Paid:
    exact = thousand(summed(of_query.values()), len(of_query))
    columns = {
        part: np.array([float(getattr(money, part) * THOUSAND) for money in of_query.values()])
        for part in ("total", *PARTS)
    }
    found = quotients(columns, {part: (part, ()) for part in columns})
    # The bootstrap works in floats; what is summed is exact.
    values = {
        part: replace(figure, value=float(getattr(exact, part))) for part, figure in found.items()
    }
    return Paid(prices, dict(of_query), exact, values.pop("total"), values)


def _least(run: Recorded, prices: PriceList, most: Sequence[Money]) -> list[Money] | None:
    """The bill with whole prompts cached, of the calls whose cached tokens nobody reported."""
    if run.caching != "unknown" and "cached" not in run.unknown:
        return None
    column = run.ledger["cached_tokens"]
    prompt = run.ledger["prompt_tokens"].to_numpy()
    silent = np.asarray(column.is_null()) if column.null_count else np.ones(len(prompt), bool)
    cached = np.where(silent, prompt, column.fill_null(0).to_numpy())
    generated = run.ledger["generated_tokens"].to_numpy()
    return bill(prices, run.query_of_call, len(most), prompt, cached, generated, run.passages)


def _reused(run: Recorded) -> np.ndarray[Any, np.dtype[np.intp]]:
    """The calls that were answered by an earlier answer; a simulated one has no tokens either."""
    calls = run.ledger
    none = (calls["prompt_tokens"].to_numpy() == 0) & (calls["batch_size"].to_numpy() == 0)
    return np.flatnonzero(none)


def _how_paid(run: Recorded, prices: PriceList, ranged: bool) -> list[str]:
    """Which calls are paid for, where services differ."""
    notes = []
    if ranged:
        notes.append(
            "nobody reported how many prompt tokens were cached: its money is a range, from all of "
            "them cached (least) to none"
        )
    if again := len(_reused(run)):
        notes.append(
            f"{again} answers were reused: nothing was sent, and nothing is paid for them (all "
            "sent: what they would have cost as their first asking did)"
        )
    if run.manifest.model.server is not None:
        notes.append(_of_attempts(run.manifest.again, prices))
    if isinstance(prices.terms, Searches) and prices.terms.document_tokens is not None:
        notes.append(
            "searches: the calls of a query about one document each are one request; the "
            "documents of a call about several are taken as equally long"
        )
    return notes


def _of_attempts(again: Again | None, prices: PriceList) -> str:
    """What is known of requests that brought no reply."""
    said = "each call is paid once, as a service does that charges answers alone"
    if again is None:
        return f"{said}; nobody recorded how many failed or were sent again"
    if not again.calls and not again.failed:
        return f"{said}; no call failed or was sent again"
    failed = f", and {again.failed} got none, of unknown tokens" if again.failed else ""
    # Nobody recorded which documents went together again: searches of those are not known.
    told = isinstance(prices.terms, Tokens)
    figure = " (attempts: if each is charged like its reply)" if told else ""
    return f"{said}; {again.calls} calls were sent again until a reply came{figure}{failed}"


def _attempts(run: Recorded, prices: PriceList, paid: Decimal) -> Decimal | None:
    """A thousand queries' money if repeated requests are charged too; None where none were."""
    again = run.manifest.again
    if again is None or not again.calls or not isinstance(prices.terms, Tokens):
        return None
    prompt, none, made = (
        np.array([count], np.int64) for count in (again.prompt_tokens, 0, again.generated_tokens)
    )
    base = replace(prices, terms=prices.terms.untiered())
    more = bill(base, np.zeros(1, np.intp), 1, prompt, none, made)[0].total
    calls = prices.terms.call * max(again.calls - 1, 0)
    return paid + (more + calls) * THOUSAND / len(run.records)


def _all_sent(run: Recorded, prices: PriceList, queries: int) -> list[Money] | None:
    """The bill with each reused answer asked for as its first asking was; None without any."""
    columns = ["prompt_tokens", "cached_tokens", "generated_tokens"]
    counts = [run.ledger[name].fill_null(0).to_numpy().copy() for name in columns]
    reused = _reused(run)
    if not len(reused):
        return None
    asked = read_ledger(run.folder.ledger_path, ["qid", "task", "docids"]).to_pylist()
    keys = [(row["qid"], row["task"], *row["docids"]) for row in asked]
    first: dict[tuple[str, ...], int] = {}
    for place in np.flatnonzero(counts[0]).tolist():
        first.setdefault(keys[place], place)
    for place in reused.tolist():
        twin = first.get(keys[place])
        if twin is None:  # Other documents with the same text: nobody recorded which.
            return None
        for column in counts:
            column[place] = column[twin]
    prompt, cached, generated = counts
    return bill(prices, run.query_of_call, queries, prompt, cached, generated, run.passages)


def _hours(run: Recorded, terms: Hours, timed: Timed | None) -> tuple[list[Money] | None, str]:
    if timed is not None:
        seconds = [timed.best.total] * len(run.records)
        said = f"its hours are those of {timed.device.name}, {timed.basis or 'by the floor'}"
    elif run.manifest.model.server is not None:
        return None, "its money is unknown: the hours of a server are nobody's here; name --on"
    else:
        seconds = [record.seconds for record in run.records]
        said = "its hours are the seconds that this run took"
        if not any(seconds):
            return None, "its money is unknown: no call was timed; name the accelerator by --on"
    hours = (Decimal(repr(float(each))) / SECONDS_AN_HOUR for each in seconds)
    return [Money(other=terms.hour * each) for each in hours], said
