"""The best a device does: its matrix products, its memory's speed, what its chip can keep."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

import torch
from torch import nn

from e2r.models.network import onednn

TRIALS = 6
REGISTERS = 4 * 65536
"""Bytes of a multiprocessor's registers (NVIDIA, compute capability 3.5 and later)."""
CPUS = Path("/sys/devices/system/cpu")


class Peaks(NamedTuple):
    """FLOP/s, bytes a second, bytes of memory and bytes that the chip itself can keep."""

    flops: float
    bandwidth: float
    memory: float
    cache: float


def measured(device: str, dtype: str) -> Peaks:
    """The best of a few trials, which take about a second."""
    number = getattr(torch, dtype)
    quick = device == "cpu"
    size, block = (2048, 1 << 27) if quick else (8192, 1 << 30)
    with torch.inference_mode():
        rows = torch.rand(size, size).to(number).to(device)
        layer = nn.Linear(size, size, bias=False).to(number).eval()
        product: Any = layer.to(device)
        if quick and onednn.computes(number):
            product = onednn.Packed(layer)
        flops = 2 * size**3 / _best(lambda: product(rows), device)
        copied = torch.ones(block // 4, dtype=torch.float32, device=device)
        target = torch.empty_like(copied)
        moved = 2 * block / _best(lambda: target.copy_(copied), device)
        read = block / _best(copied.sum, device)
    return Peaks(flops, max(moved, read), *(_cpu() if quick else _gpu(device)))


def _best(work: Callable[[], object], device: str) -> float:
    best = float("inf")
    for _ in range(TRIALS):
        began = perf_counter()
        work()
        if device != "cpu":
            torch.cuda.synchronize(device)
        best = min(best, perf_counter() - began)
    return best


def _gpu(device: str) -> tuple[float, float]:
    facts = torch.cuda.get_device_properties(device)
    kept = facts.shared_memory_per_multiprocessor + REGISTERS
    return float(facts.total_memory), float(
        facts.L2_cache_size + kept * facts.multi_processor_count
    )


def _cpu() -> tuple[float, float]:
    """Memory, and the caches of the processors that this process may use, each counted once."""
    memory = float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    caches: dict[tuple[str, str, str], float] = {}
    for cpu in os.sched_getaffinity(0):
        for place in (CPUS / f"cpu{cpu}" / "cache").glob("index*"):
            try:
                level, kind, shared, size = (
                    (place / name).read_text(encoding="utf-8").strip()
                    for name in ("level", "type", "shared_cpu_list", "size")
                )
            except OSError:
                continue
            if kind != "Instruction" and size.endswith("K"):
                caches[level, kind, shared] = int(size[:-1]) * 1024
    return memory, max(1.0, sum(caches.values()))
