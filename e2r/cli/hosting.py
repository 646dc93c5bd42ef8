"""Buy or host: offers held against one's own accelerators, as `e2r capacity --versus` says them."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from e2r.cli.money import fixed, folded
from e2r.cli.options import note
from e2r.errors import UsageError

if TYPE_CHECKING:
    from e2r.cli.qualities import Both
    from e2r.forecast.capacity import Asked, Service
    from e2r.forecast.money import Versus
    from e2r.money.bill import Money
    from e2r.money.prices import PriceList


def bought_of(service: Service, prices: PriceList | None, asked: Asked) -> Money | None:
    """Money a thousand queries by the list of --price; None without one."""
    from e2r.forecast.money import money_of
    from e2r.money.bill import thousand

    if prices is None:
        return None
    paid = money_of(service.forecast, prices, asked.depth, asked.lengths, service.timed)
    return thousand(paid, 1)


def offers_of(
    service: Service, prices: PriceList | None, words: Sequence[str], asked: Asked
) -> list[Versus]:
    """The offers of --versus, in one currency with --price."""
    from e2r.forecast.money import versus
    from e2r.money.prices import one_currency
    from e2r.money.words import price_list

    try:
        lists = [price_list(offered(word)[1]) for word in words]
    except UsageError as error:
        raise UsageError(str(error).replace("--price", "--versus", 1)) from None
    one_currency([*lists, *([prices] if prices else [])])
    return [
        versus(each, service.forecast, asked.depth, asked.lengths, service.timed) for each in lists
    ]


def offered(word: str) -> tuple[str | None, str]:
    """The model, where one is named, and the list of `[MODEL@]LIST`."""
    model, at, rest = word.partition("@")
    named = at and "=" not in model and ":" not in model
    return (model, rest) if named else (None, word)


def known_both(words: Sequence[str], board: str | None, asked: Asked) -> list[Both | None]:
    """What a board knows of each offer's quality and one's own; None where it does not."""
    from e2r.cli.qualities import BOARD_FILE, both

    own = asked.model.rpartition("/")[2], asked.method, asked.depth
    models = [offered(word)[0] for word in words]
    found = [None if model is None else both(board, own, model) for model in models]
    for model, known in zip(models, found, strict=True):
        if model is not None and known is None:
            note(
                f"no collection of {board or BOARD_FILE} has nDCG@10 of both {model} and {own[0]}, "
                f"{own[1]}, depth {own[2]}: their quality is not told; --board FILE names another"
            )
    return found


def _quality_lines(known: Both, own: Decimal, bought: Decimal, currency: str) -> list[str]:
    """Both qualities, and what a point (0.01) more of nDCG@10 costs a month."""
    more = Decimal(repr(known.own)) - Decimal(repr(known.offered))
    said = f"{known.own:.4f} own, {known.offered:.4f} bought"
    lines = [f"  {f'nDCG@10 on {known.dataset}'[:34]:<34}{said}"]
    dearer = own - bought
    if more and dearer and (more > 0) == (dearer > 0):
        point = abs(dearer) / abs(more) / 100
        lines.append(f"  {'a point (0.01) more, a month':<34}{currency} {fixed(point, 2)}")
    elif more and dearer:
        lines.append(f"  {'a point more':<34}the better one is the cheaper one")
    return lines


def versus_lines(
    offers: Sequence[Versus], qps: Decimal, service: Service, known: Sequence[Both | None]
) -> list[str]:
    """Which to take at a traffic, from which one owning is cheaper, and with what quality."""
    lines = []
    for each, quality in zip(offers, known, strict=True):
        own, bought, name = each.own_month(qps), each.bought_month(qps), each.offer.currency
        device = service.timed.device.name
        few = f"{each.accelerators(qps):,} {device}"
        lines += [
            "",
            *folded(f"versus {each.offer.told()}"),
            f"  {'a thousand queries bought':<34}{name} {fixed(each.bought * 1000, 4)}",
            f"  {'own, never idle':<34}{name} {fixed(each.at_full_load * 1000, 4)}",
            f"  {f'a month at {float(qps):g} a second, bought':<33} {name} {fixed(bought, 2)}",
            f"  {f'own, {few}'[:34]:<34}{name} {fixed(own, 2)}",
        ]
        if quality is not None:
            lines += _quality_lines(quality, own, bought, name)
        if each.first is None or each.always is None:
            lines.append(f"  {'at any traffic':<34}buy")
            continue
        lines.append(f"  {'own is cheaper from':<34}{_traffic(each, each.first, device)}")
        if each.always > each.first:
            lines.append(f"  {'and at any traffic from':<34}{_traffic(each, each.always, device)}")
        lines.append(f"  {'at this traffic':<34}{'host' if own < bought else 'buy'}")
    if offers:
        basis = service.timed.basis or "the floor, which no run reaches: give --utilization"
        lines.append(f"  own by {basis}; a month is 730 hours; accelerators are whole")
    return lines


def _traffic(each: Versus, qps: Decimal, device: str) -> str:
    from e2r.forecast.money import SECONDS_A_MONTH
    from e2r.metrics.reports.tables import short

    month = fixed(qps * SECONDS_A_MONTH, 0)
    return f"{short(float(qps))} a second, {month} a month, {each.accelerators(qps):,} {device}"


def draw(offers: Sequence[Versus], qps: float, path: Path) -> None:
    """Write the picture of the offers. Raises UsageError without one."""
    if not offers:
        raise UsageError("--picture draws offers: name one by --versus, as in search=2.00")
    from e2r.metrics.reports.pictures.hosting import write_hosting

    note(f"wrote {write_hosting(offers, qps, path)}")
