"""Speed and memory of the estimator, as ratios against what a user would run instead.

Run: python benchmarks/flops.py [--json]. Every figure is measured in this one run: the same
machine and load for both sides of a ratio. Each limit is checked; the exit code is 1 above one.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

MODEL = "meta-llama/Llama-3.1-8B-Instruct"
CALLS = 1_000_000


@dataclass(frozen=True)
class Row:
    """One measurement: its value, the limit it has to keep, and what it is compared with."""

    name: str
    value: float
    limit: float
    at_least: bool = False
    detail: str = ""

    @property
    def kept(self) -> bool:
        return self.value >= self.limit if self.at_least else self.value <= self.limit


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    rows = [cold_start(), *one_call(), *many_calls(), whole_method()]
    if arguments.json:
        print(json.dumps([{**asdict(row), "kept": row.kept} for row in rows], indent=2))
    else:
        for row in rows:
            sign = "≥" if row.at_least else "≤"
            mark = "" if row.kept else "  ✗"
            print(f"{row.name:<44} {row.value:>12.4g} {sign} {row.limit:<8g} {row.detail}{mark}")
    return 0 if all(row.kept for row in rows) else 1


def cold_start(repeats: int = 9) -> Row:
    """`e2r estimate` from nothing, against importing NumPy from nothing, alternating."""
    command = "import sys; from e2r.cli import main; main(sys.argv[1:])"
    words = ["estimate", MODEL, "--prompt-tokens", "400", "--json"]
    ours, numpy = [], []
    for _ in range(repeats):
        numpy.append(seconds([sys.executable, "-c", "import numpy"]))
        ours.append(seconds([sys.executable, "-c", command, *words]))
    ratio = median(ours) / median(numpy)
    detail = f"{median(ours):.3f} s against {median(numpy):.3f} s"
    return Row("cold estimate / cold import numpy", ratio, 2.5, detail=detail)


def one_call() -> list[Row]:
    """One priced call in process, against FlopCounterMode on the meta device."""
    from e2r.flops.architecture import Architecture
    from e2r.flops.estimate import estimate
    from e2r.flops.work import Usage

    arch = Architecture.load(MODEL)
    rounds = []
    for start in range(0, 5000, 1000):
        rounds.append(
            timed(
                lambda start=start: [
                    estimate(arch, Usage(300 + i, 3), "torch").flops
                    for i in range(start, start + 1000)
                ]
            )
            / 1000
        )
    ours = median(rounds)
    counter = flop_counter(arch.config)
    return [
        Row("one call, microseconds", ours * 1e6, 100),
        Row(
            "FlopCounterMode on meta / one call",
            counter / ours,
            1000,
            at_least=True,
            detail=f"{counter:.2f} s for Llama-3.1-8B, 400 tokens",
        ),
    ]


def flop_counter(facts: Any) -> float:
    """Seconds that torch's counter takes for the same call, model building not included."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode
    from transformers import AutoModelForCausalLM, LlamaConfig

    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(LlamaConfig(**facts), attn_implementation="eager")
        ids = torch.zeros(1, 400, dtype=torch.long)

    def count() -> None:
        with torch.no_grad(), FlopCounterMode(display=False):
            model(input_ids=ids, logits_to_keep=1)

    return min(timed(count) for _ in range(3))


def many_calls() -> list[Row]:
    """A million distinct usages, in a process of its own so that its peak memory is its own."""
    script = (
        "import time, resource, numpy\n"
        "from e2r.flops.architecture import Architecture\n"
        "from e2r.flops.estimate import estimate\n"
        "from e2r.flops.work import Usage\n"
        f"arch = Architecture.load({MODEL!r})\n"
        f"prompt = numpy.arange(1, {CALLS} + 1) % 8000 + 1\n"
        f"generated = numpy.arange({CALLS}) // 8000\n"
        "start = time.perf_counter()\n"
        "total = estimate(arch, Usage(prompt, generated)).total\n"
        "took = time.perf_counter() - start\n"
        "print(took, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    took, memory = (float(part) for part in done.stdout.split())
    return [
        Row("a million calls, seconds", took, 0.5),
        Row("a million calls, peak MB of the process", memory, 500),
    ]


def whole_method() -> Row:
    """A what-if of a whole method, its plan simulated from nothing."""
    from e2r.flops.architecture import Architecture
    from e2r.forecast.method import forecast, simulate

    arch = Architecture.load(MODEL)

    def price() -> None:
        simulate.cache_clear()
        forecast(arch, "setwise.heapsort", depth=100, k=10)

    return Row("what-if of setwise.heapsort, seconds", timed(price), 1)


def seconds(words: list[str]) -> float:
    return timed(lambda: subprocess.run(words, capture_output=True, check=True))


def timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


if __name__ == "__main__":
    sys.exit(main())
