"""Five places tell the same seconds: estimate, plan, budget, evaluate and the what-if page."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pytest
from click.testing import CliRunner

from e2r.cli.budget import command as budget
from e2r.cli.estimate import command as estimate
from e2r.errors import E2RError
from e2r.flops.architecture import Architecture
from e2r.flops.catalogue import entries
from e2r.flops.hardware import ACCELERATORS, accelerator
from e2r.forecast.clock import Clock, Timed
from e2r.forecast.demand import usages_of
from e2r.forecast.dry_run import COUNTS, DryRun
from e2r.forecast.lengths import Lengths
from e2r.forecast.method import DRAWS, Forecast, forecast
from e2r.metrics.runs.recorded import Recorded
from e2r.metrics.timing import predicted
from e2r.ranking import METHODS, method
from e2r.site import whatif
from e2r.site.call_tables import GRID

SETTINGS = 200
NEAR = 1e-9
USES = ("concurrency", "batch_size", "weight_bits", "price_per_hour")


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


def by_page(settings: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The page's own script, which holds no formula, evaluated by Node."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("needs Node; tests/browser/test_whatif.py compares the page in a browser")
    script = (Path(whatif.__file__).parent / "assets" / "whatif-price.js").read_text()
    program = (
        f"const window = {{}};\n{script}\n"
        "const {data, settings} = JSON.parse(require('fs').readFileSync(0));\n"
        "const models = new Map(data.coefficients.models.map((model) => [model.name, model]));\n"
        "const found = settings.map((setting) => window.e2rPrice.price(\n"
        "  data, models.get(setting.model), data.coefficients.units, setting));\n"
        "console.log(JSON.stringify(found, (_, it) => typeof it === 'bigint' ? String(it) : it));"
    )
    asking = json.dumps({"data": whatif.settings(), "settings": settings})
    done = subprocess.run(
        [node, "-e", program], input=asking, capture_output=True, text=True, check=True
    )
    return cast(list[dict[str, Any]], json.loads(done.stdout))


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
                key = f"{word}_{theirs}" + ("_queries" if ours == "price_per_million" else "")
                assert page[word][ours] == pytest.approx(told[key], rel=NEAR), (key, setting)
                assert afforded[key] == pytest.approx(told[key], rel=NEAR), (key, setting)
            assert afforded[f"{word}_seconds_per_query"] == pytest.approx(seconds, rel=NEAR)
        assert page["held"] == pytest.approx(told["memory_bytes"], rel=NEAR, abs=1), setting
        priced, alone = by_library(setting), clock_of(setting, 1)
        wanted = alone.time(priced.demand(Architecture.load(setting["model"])))
        if setting["concurrency"] == 1 and setting["first_stage"] == "none":
            assert wanted.floor.total == pytest.approx(told["floor_seconds_per_query"], rel=NEAR)
        for found in (by_plan(setting, priced, alone), by_evaluate(setting, priced, alone)):
            assert found.floor.total == pytest.approx(wanted.floor.total, rel=NEAR), setting
            assert found.best.total == pytest.approx(wanted.best.total, rel=NEAR), setting
