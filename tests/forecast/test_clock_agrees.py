"""Five places tell the same seconds: estimate, plan, budget, evaluate and the what-if page.

Its money too, to the last digit shown, and where hosting is cheaper than an offer.
"""

from __future__ import annotations

import json
import random
import shutil
import subprocess
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pytest
from click.testing import CliRunner

from e2r.cli.budget import command as budget
from e2r.cli.estimate import command as estimate
from e2r.cli.hosting import versus_lines
from e2r.cli.money import fixed
from e2r.cli.qualities import Both
from e2r.errors import E2RError, UsageError
from e2r.flops.architecture import Architecture
from e2r.flops.catalogue import entries
from e2r.flops.hardware import ACCELERATORS, accelerator
from e2r.forecast.capacity import Service
from e2r.forecast.clock import Clock, Timed
from e2r.forecast.demand import usages_of
from e2r.forecast.dry_run import COUNTS, DryRun
from e2r.forecast.lengths import Lengths
from e2r.forecast.method import DRAWS, Forecast, forecast
from e2r.forecast.money import BY_THE_HOUR, versus
from e2r.metrics.runs.recorded import Recorded
from e2r.metrics.timing import predicted
from e2r.money.prices import Hours
from e2r.money.words import price_list
from e2r.ranking import METHODS, method
from e2r.site import whatif
from e2r.site.call_tables import GRID

SETTINGS = 200
NEAR = 1e-9
USES = ("concurrency", "batch_size", "weight_bits", "price_per_hour")


KNOWN = (
    None,
    {"dataset": "dl19", "own": 0.6, "offered": 0.7},
    {"dataset": "dl19", "own": 0.7123, "offered": 0.7},
)
"""What a board knows of both qualities."""


def drawn(count: int) -> list[dict[str, Any]]:
    """Settings that every place can be asked for; the device holds the model, and the pass too."""
    generator = random.Random(17)
    # The page refuses by name the one method whose encoder reads each passage for itself.
    names = sorted(set(METHODS) - {"first_stage", "listwise.fid"})
    found: list[dict[str, Any]] = []
    while len(found) < count:
        setting = {
            **whatif.START,
            "model": generator.choice(list(entries())),
            "method": generator.choice(names),
            "depth": generator.choice(GRID["depth"]),
            "k": generator.choice((1, 5, 10)),
            "set_size": generator.choice((3, 5)),
            "on": generator.choice(list(ACCELERATORS)),
            "query_tokens": generator.randint(1, 100),
            "passage_tokens": generator.randint(8, 400),
            "utilization": generator.randint(5, 100),
            "concurrency": generator.choice((1, 1, 4, 32)),
            "batch_size": generator.choice((1, 8, 16, 64)),
            "weight_bits": generator.choice((4, 8, 16)),
            "price_per_hour": generator.choice((0.5, 2, 8)),
            "first_stage": generator.choice(("none", "none", *whatif.KINDS)),
            "documents": generator.randint(1000, 10**7),
            "visited": generator.randint(1, 10**5),
            "posting_share": generator.randint(1, 100),
            "qps": generator.choice((1, 7, 100, 9999)),
            "price": price_word(generator),
            "versus": price_word(generator),
            "known": generator.choice(KNOWN),
        }
        # Budget tries set sizes; the other parameters are a method's own.
        own = method(setting["method"]).parameters
        setting |= {name: value for name, value in own.items() if name != "set_size"}
        try:
            priced = by_library(setting)
        except E2RError:
            continue
        arch = Architecture.load(setting["model"])
        held = clock_of(setting, setting["concurrency"]).memory(priced.demand(arch))
        if held <= accelerator(setting["on"]).memory and "reasoning" not in setting["method"]:
            found.append(setting)
    return found


def price_word(generator: random.Random) -> str:
    """A list by the token, the search or the hour, with odd digits."""

    def money(most: int) -> str:
        amount = Decimal(generator.randrange(1, most)) / 10 ** generator.choice((1, 3, 6))
        return generator.choice((str(amount), f"{amount:e}", f"0{amount:f}", f" {amount}E-9"))

    return generator.choice(
        (
            f"in={money(999)},out={money(9999)}",
            f"in={money(999)},out={money(9999)},cached={money(99)},call={money(9)},currency=EUR",
            f"search={money(9999)}",
            f"search={money(9999)},documents={generator.randrange(1, 200)}",
            f"search={money(9999)},documents=100,document-tokens={generator.randrange(9, 500)}",
            f"hour={money(9999)}",
        )
    )


def by_library(setting: dict[str, Any]) -> Forecast:
    return forecast(
        Architecture.load(setting["model"]),
        setting["method"],
        depth=setting["depth"],
        k=min(setting["k"], setting["depth"]),
        parameters={name: setting[name] for name in method(setting["method"]).parameters},
        lengths=Lengths(setting["query_tokens"], setting["passage_tokens"], answer=500),
    )


def clock_of(setting: dict[str, Any], concurrency: int) -> Clock:
    return Clock(
        accelerator(setting["on"]),
        utilization=setting["utilization"] / 100,
        batch_size=setting["batch_size"],
        concurrency=concurrency,
        weight_bits=setting["weight_bits"],
        price_per_hour=setting["price_per_hour"],
    )


def device_words(setting: dict[str, Any]) -> list[str]:
    words = ["--on", setting["on"], "--utilization", str(setting["utilization"] / 100)]
    for name in USES:
        words += [f"--{name.replace('_', '-')}", str(setting[name])]
    if (kind := setting["first_stage"]) != "none":
        words += ["--first-stage", kind]
        for name in ("documents", *whatif.KINDS[kind].wants):
            if name in setting:
                value = setting[name] / 100 if name == "posting_share" else setting[name]
                words += [f"--{name.replace('_', '-')}", str(value)]
    return words


def by_estimate(setting: dict[str, Any]) -> dict[str, Any]:
    words = [setting["model"], "--method", setting["method"], "--json", *device_words(setting)]
    words += ["--price", setting["price"]]
    if setting["price"].startswith("hour="):
        place = words.index("--price-per-hour")
        del words[place : place + 2]
    for name in ("depth", "k", "query_tokens", "passage_tokens"):
        value = min(setting["k"], setting["depth"]) if name == "k" else setting[name]
        words += [f"--{name.replace('_', '-')}", str(value)]
    if "set_size" in method(setting["method"]).parameters:
        words += ["--set-size", str(setting["set_size"])]
    return asked(estimate, words)


def by_budget(setting: dict[str, Any]) -> dict[str, Any]:
    words = ["--petaflops", "1e9", "--models", setting["model"], "--methods", setting["method"]]
    words += ["--depths", str(setting["depth"]), "--set-sizes", str(setting["set_size"])]
    words += ["--k", str(setting["k"]), "--query-tokens", str(setting["query_tokens"])]
    words += ["--passage-tokens", str(setting["passage_tokens"]), "--json"]
    [option] = asked(budget, [*words, *device_words(setting)])["options"]
    return cast(dict[str, Any], option)


def asked(command: Any, words: list[str]) -> dict[str, Any]:
    done = CliRunner().invoke(command, words)
    assert done.exit_code == 0, (done.output, words, done.exception)
    return cast(dict[str, Any], json.loads(done.stdout))


def counts(setting: dict[str, Any], priced: Forecast) -> dict[str, Any]:
    """The calls of all draws of the forecast, one by one."""
    arch = Architecture.load(setting["model"])
    kinds = usages_of(arch, priced.usages)
    times = [round(weight * DRAWS) for weight in priced.weights]
    return {
        name: np.repeat(
            np.broadcast_to(0 if (of := getattr(kinds, name)) is None else of, len(times)), times
        )
        for name in COUNTS
    }


def by_plan(setting: dict[str, Any], priced: Forecast, clock: Clock) -> Timed:
    arch = Architecture.load(setting["model"])
    dry = DryRun("random", DRAWS, round(priced.rounds * DRAWS), counts(setting, priced))
    return clock.time(dry.demand(arch))


def by_evaluate(setting: dict[str, Any], priced: Forecast, clock: Clock) -> Timed:
    arch = Architecture.load(setting["model"])
    of = counts(setting, priced)
    calls = len(of["prompt_tokens"])
    table = pa.table({**of, "batch_size": np.full(calls, setting["batch_size"])})
    rounds = [round(priced.rounds * DRAWS), *[0] * (DRAWS - 1)]
    run = SimpleNamespace(
        shares=(),
        unknown=frozenset(),
        ledger=table,
        records=[SimpleNamespace(rounds=count) for count in rounds],
        manifest=SimpleNamespace(
            latency_mode="one_query_at_a_time",
            model=SimpleNamespace(architecture=arch.config, dtype="float32"),
        ),
    )
    found = predicted(cast(Recorded, run), clock).timed
    assert found is not None
    return found


PAGE = """
const { data, settings } = JSON.parse(require("fs").readFileSync(0));
const { list, told, thousand, versus, lines, fixed, oneCurrency } = window.e2rMoney;
const models = new Map(data.coefficients.models.map((model) => [model.name, model]));
const found = settings.map((setting) => {
  const prices = list(data.money, setting.price);
  const offer = list(data.money, setting.versus);
  const hour = prices.kind === "hour" ? Number(setting.price.slice(5)) : setting.price_per_hour;
  const asked = { ...setting, price_per_hour: hour };
  const { units } = data.coefficients;
  const priced = window.e2rPrice.price(data, models.get(setting.model), units, asked);
  const paid = thousand(prices, priced, asked);
  let held;
  try {
    oneCurrency([prices, offer]);
    const against = versus(data.money, offer, hour, priced, asked);
    held = lines(data.money, against, setting.qps, setting.on, setting.known);
  } catch (error) {
    held = error.message;
  }
  const total = [`${paid.total.c}e${paid.total.e}`, fixed(paid.total, 6)];
  return { ...priced, told: told(prices), total, offered: held };
});
console.log(JSON.stringify(found, (_, it) => (typeof it === "bigint" ? String(it) : it)));
"""


def by_page(settings: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The page's own script, which holds no formula, evaluated by Node."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("needs Node; tests/browser/test_whatif.py compares the page in a browser")
    assets = Path(whatif.__file__).parent / "assets"
    names = ("format.js", "whatif-price.js", "whatif-money.js")
    scripts = "\n".join((assets / name).read_text() for name in names)
    program = f"const window = {{}};\n{scripts}\n{PAGE}"
    asking = json.dumps({"data": whatif.settings(), "settings": settings})
    done = subprocess.run(
        [node, "-e", program], input=asking, capture_output=True, text=True, check=True
    )
    return cast(list[dict[str, Any]], json.loads(done.stdout))


def money_agrees(setting: dict[str, Any], page: dict[str, Any], told: dict[str, Any]) -> None:
    """The bill a thousand queries and each line of an offer, as the commands write them."""
    exact, shown = page["total"]
    prices, offer = price_list(setting["price"]), price_list(setting["versus"])
    assert page["told"] == prices.told()
    if isinstance(prices.terms, Hours):
        # By seconds, which are floats: the page's own may differ in their last bits.
        assert float(exact) == pytest.approx(float(told["exact"]), rel=NEAR)
    else:
        assert (Decimal(exact), shown) == (Decimal(told["exact"]), fixed(Decimal(told["exact"]), 6))
    clock = clock_of(setting, setting["concurrency"])
    if isinstance(prices.terms, Hours):
        clock = replace(clock, price_per_hour=float(prices.terms.hour))
    if prices.currency != offer.currency:
        assert "cannot be compared" in page["offered"]
        return
    if isinstance(offer.terms, Hours):
        assert page["offered"].endswith(BY_THE_HOUR)
        return
    timed = SimpleNamespace(
        best=SimpleNamespace(total=page["expected"]["seconds"]),
        price_per_hour=clock.price_per_hour,
        device=clock.device,
        basis="",
    )
    lengths = Lengths(setting["query_tokens"], setting["passage_tokens"])
    held = versus(offer, by_library(setting), setting["depth"], lengths, cast(Timed, timed))
    service = cast(Service, SimpleNamespace(timed=timed))
    known = setting["known"] and Both(**setting["known"])
    lines = versus_lines([held], Decimal(setting["qps"]), service, [known])
    said = [" ".join(line.split()) for line in lines[1:-1]]
    wanted = [" ".join(f"{label} {text}".split()) for label, text in page["offered"]]
    assert said[-len(wanted) :] == wanted, setting


def test_bad_price_lists_are_told_alike() -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("needs Node")
    words = ["in=-1,out=2", "in=1", "out=1", "0.15", "in=1,out=nan", "in=1,out=1e99", "hour="]
    words += ["in=-0,out=1", "in=٣,out=1", "in=1_0,out=1", "in = x,out=1"]
    words += [
        "search=1,in=2,out=3",
        "search=1,documents=0",
        "hour=1,documents=2",
        "in=1,in=2,out=1",
    ]
    words += ["in=1,out=1,currency=a b", "search=1,document_tokens=1.5", "", "in=1;out=2"]
    script = Path(whatif.__file__).parent / "assets" / "whatif-money.js"
    program = (
        f"const window = {{}};\n{script.read_text()}\n"
        "const { rules, words } = JSON.parse(require('fs').readFileSync(0));\n"
        "const said = (word) => { try { window.e2rMoney.list(rules, word); return null; }\n"
        "  catch (error) { return error.message; } };\n"
        "console.log(JSON.stringify(words.map(said)));"
    )
    asking = json.dumps({"rules": whatif.settings()["money"], "words": words})
    done = subprocess.run(
        [node, "-e", program], input=asking, capture_output=True, text=True, check=True
    )
    for word, said in zip(words, json.loads(done.stdout), strict=True):
        with pytest.raises(UsageError) as refused:
            price_list(word)
        assert str(refused.value).removeprefix(f"--price {word!r}: ") == said


def test_five_places_agree_on_200_settings() -> None:
    settings = drawn(SETTINGS)
    pages = by_page([{**it, "k": min(it["k"], it["depth"])} for it in settings])
    for setting, page in zip(settings, pages, strict=True):
        told = by_estimate(setting)
        afforded = by_budget(setting)
        for word in ("floor", "expected"):
            seconds = told[f"{word}_seconds_per_query"]
            assert seconds > 0
            assert page[word]["seconds"] == pytest.approx(seconds, rel=NEAR), setting
            for ours, theirs in (("latency", "latency_seconds"), ("price_per_million",) * 2):
                if theirs == "price_per_million" and setting["price"].startswith("hour="):
                    continue  # The list's hour is dearer than the setting's.
                key = f"{word}_{theirs}" + ("_queries" if ours == "price_per_million" else "")
                assert page[word][ours] == pytest.approx(told[key], rel=NEAR), (key, setting)
                assert afforded[key] == pytest.approx(told[key], rel=NEAR), (key, setting)
            assert afforded[f"{word}_seconds_per_query"] == pytest.approx(seconds, rel=NEAR)
        assert page["held"] == pytest.approx(told["memory_bytes"], rel=NEAR, abs=1), setting
        money_agrees(setting, page, told["money"])
        priced, alone = by_library(setting), clock_of(setting, 1)
        wanted = alone.time(priced.demand(Architecture.load(setting["model"])))
        if setting["concurrency"] == 1 and setting["first_stage"] == "none":
            assert wanted.floor.total == pytest.approx(told["floor_seconds_per_query"], rel=NEAR)
        for found in (by_plan(setting, priced, alone), by_evaluate(setting, priced, alone)):
            assert found.floor.total == pytest.approx(wanted.floor.total, rel=NEAR), setting
            assert found.best.total == pytest.approx(wanted.best.total, rel=NEAR), setting
