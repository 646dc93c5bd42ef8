"""The sheets of an evaluation: headline, efficiency, work, time and frontier, one line a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import inf
from typing import Any

from e2r.errors import unknown
from e2r.metrics.money import RANGES
from e2r.metrics.naming import methods
from e2r.metrics.reports.tables import UNDEFINED, Sheet, fixed, percent, ranged, short, spread
from e2r.metrics.row import Row
from e2r.metrics.statistics.intervals import Interval
from e2r.money.bill import PARTS

Columns = dict[str, Callable[["Row"], str]]

_RUN: Columns = {
    "dataset": lambda row: row.manifest.dataset.id,
    "model": lambda row: row.label,
}
MONEY = "money/1k"
"""The head of money a thousand queries, and there only where a price list was given."""
_DROP = ("P (money)", "rounds", "calls", "depth", "QPP", "parse failures", "queries")
_NO_FIGURE = Interval(None)


def sheet(rows: tuple[Row, ...], measures: tuple[str, ...], kind: str) -> Sheet:
    """One of SHEETS. Raises UsageError for another word."""
    if kind not in SHEETS:
        raise unknown("sheet of columns", kind, SHEETS)
    columns = SHEETS[kind](measures)
    if all(row.paid is None for row in rows):
        columns.pop(MONEY, None)
    if kind == "money":
        for part in PARTS:
            if not any(row.paid and getattr(row.paid.exact, part) for row in rows):
                del columns[part]
        for name in RANGES:
            if not any(row.paid and getattr(row.paid, name) is not None for row in rows):
                del columns[name.replace("_", " ")]
    lines = [
        [*(cell(row) for cell in _RUN.values()), method, *(cell(row) for cell in columns.values())]
        for row, method in sorted(zip(rows, methods(rows), strict=True), key=_best_first(rows))
    ]
    # Of several measures the first stays, with its cost and its RPP.
    others = [*(f"RPP {name}" for name in reversed(measures[1:])), *reversed(measures[1:])]
    return Sheet([*_RUN, "method", *columns], lines, len(_RUN) + 1, (*_DROP, *others))


def kinds_of(rows: Sequence[Row]) -> tuple[str, ...]:
    """The sheets that have something to say: money, where a price list was given."""
    bought = any(row.paid is not None for row in rows)
    return tuple(kind for kind in SHEETS if bought or kind != "money")


def _best_first(rows: Sequence[Row]) -> Callable[[tuple[Row, str]], tuple[int, float]]:
    """Collections as they come, in each the best by the first measure; what has none is last."""
    datasets = list(dict.fromkeys(row.manifest.dataset.id for row in rows))

    def place(item: tuple[Row, str]) -> tuple[int, float]:
        row = item[0]
        quality = next((found.value for found in row.measures.values()), None)
        return datasets.index(row.manifest.dataset.id), inf if quality is None else -quality

    return place


def flat(row: Row) -> dict[str, Any]:
    """Everything `Row.to_json` says, in one level: `nDCG@10`, `nDCG@10 low`, `RPP nDCG@10` …"""
    plain: dict[str, Any] = {}
    for key, value in row.to_json().items():
        if key in ("measures", "rpp", "work"):
            for name, figure in value.items():
                spread(plain, f"RPP {name}" if key == "rpp" else name, figure)
        elif key == "frontier":
            for cost, found in value.items():
                plain[f"frontier {cost}"] = found and found["on"]
                plain[f"frontier {cost} probability"] = found and found["probability"]
        elif key == "gain_per_petaflop":
            for name in row.measures:
                spread(plain, f"gain/PFLOP {name}", value.get(name, _NO_FIGURE.to_json()))
        elif key in ("qpp", "petaflops"):
            spread(plain, {"qpp": "QPP", "petaflops": "PFLOPs/query"}[key], value)
        elif key == "money":
            plain |= _flat_money(value)
        elif isinstance(value, list):
            plain[key] = "; ".join(value)
        elif key != "petaflops_per_query":
            plain[key] = value
    return plain


def _flat_money(found: Mapping[str, Any]) -> dict[str, Any]:
    """`money`, its interval and its parts, in the list's currency a thousand queries."""
    plain: dict[str, Any] = {}
    spread(plain, "money", found["per_thousand_queries"])
    plain |= {f"money {part}": found[part] for part in (*PARTS, "exact", *RANGES)}
    prices = found["prices"]
    return plain | {f"money {key}": prices[key] for key in ("currency", "list", "source", "dated")}


def _headline(measures: tuple[str, ...]) -> Columns:
    return {
        "depth": lambda row: short(row.manifest.dataset.depth or None),
        "queries": lambda row: f"{len(row.qids)}" + ("" if row.complete else " (incomplete)"),
        **{name: _measure(name) for name in measures},
        "PFLOPs/query": _petaflops,
        MONEY: lambda row: UNDEFINED if row.paid is None else short(row.paid.total.value),
        **{f"RPP {name}": _rpp(name, short_only=True) for name in measures},
        "QPP": lambda row: short(row.qpp.value),
        "calls": lambda row: short(row.work.calls_per_query),
        "rounds": lambda row: short(row.work.rounds_per_query),
        "parse failures": lambda row: short(row.work.parse_failures),
    }


def _efficiency(measures: tuple[str, ...]) -> Columns:
    return {
        "PFLOPs/query": lambda row: ranged(row.petaflops),
        "first stage": lambda row: short(row.first_stage_petaflops),
        **{f"RPP {name}": _rpp(name) for name in measures},
        **{f"mean of ratios {name}": _mean_of_ratios(name) for name in measures},
        "QPP": lambda row: ranged(row.qpp),
        **{f"gain/PFLOP {name}": _gain(name) for name in measures},
    }


def _work(measures: tuple[str, ...]) -> Columns:
    return {
        "calls": _count("calls_per_query"),
        "rounds": _count("rounds_per_query"),
        "prompt tokens": _count("prompt_tokens_per_query"),
        "cached": _count("cached_tokens_per_query"),
        "generated": _count("generated_tokens_per_query"),
        "parse failures": _share("parse_failure_rate"),
        "truncated": _share("truncation_rate"),
        "padding": _share("padding"),
        "seconds": _count("seconds_per_query"),
        "p50": lambda row: short(row.latency["p50"]),
        "p95": lambda row: short(row.latency["p95"]),
        "timed": lambda row: row.latency_mode or UNDEFINED,
        "FLOP/s": _count("achieved_flops_per_second"),
    }


def _time(measures: tuple[str, ...]) -> Columns:
    return {
        "floor": lambda row: short(_predicted(row, "floor")),
        "measured": lambda row: short(row.work.seconds_per_query),
        "expected": lambda row: short(_predicted(row, "expected")),
        "off by": _off,
        "J/query": lambda row: short(row.joules_per_query),
        "timed": lambda row: (row.latency_mode or UNDEFINED).partition("_")[0],
    }


def _frontier(measures: tuple[str, ...]) -> Columns:
    columns: Columns = {measures[0]: _measure(measures[0])}
    values: Mapping[str, Callable[[Row], str]] = {
        "petaflops": lambda row: ranged(row.petaflops),
        "seconds": _count("seconds_per_query"),
        "rounds": _count("rounds_per_query"),
    }
    for cost in values:
        columns |= {cost: values[cost], f"on ({cost})": _on(cost), f"P ({cost})": _probable(cost)}
    return columns


def _money(measures: tuple[str, ...]) -> Columns:
    def part(name: str) -> Callable[[Row], str]:
        return lambda row: UNDEFINED if row.paid is None else short(row.paid.parts[name].value)

    def otherwise(name: str) -> Callable[[Row], str]:
        def text(row: Row) -> str:
            found = None if row.paid is None else getattr(row.paid, name)
            return UNDEFINED if found is None else short(float(found))

        return text

    return {
        measures[0]: lambda row: short(row.measures[measures[0]].value),
        "PFLOPs/query": _petaflops,
        MONEY: lambda row: UNDEFINED if row.paid is None else ranged(row.paid.total),
        **{name: part(name) for name in PARTS},
        **{name.replace("_", " "): otherwise(name) for name in RANGES},
        "on (money)": _on("money"),
        "P (money)": _probable("money"),
    }


SHEETS: Mapping[str, Callable[[tuple[str, ...]], Columns]] = {
    "headline": _headline,
    "efficiency": _efficiency,
    "work": _work,
    "time": _time,
    "frontier": _frontier,
    "money": _money,
}


def _measure(name: str) -> Callable[[Row], str]:
    return lambda row: fixed(row.measures[name])


def _petaflops(row: Row) -> str:
    """A model whose architecture nobody knows computes no fewer FLOPs for that."""
    return "unknown" if row.cost.per_query is None else short(row.petaflops.value)


def _rpp(name: str, *, short_only: bool = False) -> Callable[[Row], str]:
    if short_only:
        return lambda row: short(row.rpp[name].ratio.value)
    return lambda row: ranged(row.rpp[name].ratio)


def _mean_of_ratios(name: str) -> Callable[[Row], str]:
    return lambda row: ranged(row.rpp[name].mean_of_ratios)


def _gain(name: str) -> Callable[[Row], str]:
    return lambda row: ranged(row.standing.gain_per_petaflop.get(name, _NO_FIGURE))


def _predicted(row: Row, word: str) -> float | None:
    """Seconds of a query by the clock; None where none was asked."""
    seconds = None if row.timed is None else getattr(row.timed, word)
    return None if seconds is None else float(seconds.total)


def _off(row: Row) -> str:
    """How far the expected seconds lie from the measured ones."""
    expected, measured = _predicted(row, "expected"), row.work.seconds_per_query
    return UNDEFINED if expected is None or not measured else f"{expected / measured - 1:+.0%}"


def _count(name: str) -> Callable[[Row], str]:
    return lambda row: ranged(row.work.figures[name])


def _share(name: str) -> Callable[[Row], str]:
    return lambda row: percent(row.work.figures[name])


def _on(cost: str) -> Callable[[Row], str]:
    def text(row: Row) -> str:
        found = row.standing.frontiers.get(cost)
        return UNDEFINED if found is None else "yes" if found.on else "no"

    return text


def _probable(cost: str) -> Callable[[Row], str]:
    def text(row: Row) -> str:
        found = row.standing.frontiers.get(cost)
        return UNDEFINED if found is None else f"{found.probability:.3f}"

    return text
