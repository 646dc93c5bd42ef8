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
CPUINFO = Path("/proc/cpuinfo")
BOOST = 1.5
"""A processor's highest clock over its base clock, at most: 3.9 for 2.6 GHz and the like."""
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
    if quick:
        facts = CPUINFO.read_text(encoding="utf-8") if CPUINFO.is_file() else ""
        flops = max(flops, printed(dtype, facts))
    return Peaks(flops, max(moved, read), *(_cpu() if quick else _gpu(device)))


def printed(dtype: str, cpuinfo: str) -> float:
    """FLOP/s that a processor's data sheet allows the threads in use; 0 where nothing tells.

    Two units of the widest vectors a cycle and core (Intel and AMD have at most two), twice as many
    numbers of 16 bits where they are multiplied natively, AMX's tiles, at the highest clock that
    the system names, else at BOOST times the present one.
    """
    facts: dict[str, str] = {}
    for line in cpuinfo.splitlines():
        name, _, value = line.partition(":")
        facts[name.strip()] = value.strip()
    flags = set(facts.get("flags", "").split())
    if not flags or "cpu MHz" not in facts:
        return 0.0
    a_cycle = 64 if "avx512f" in flags else 32 if "fma" in flags else 16
    if dtype == "bfloat16" and "amx_bf16" in flags:
        a_cycle = 2048
    elif dtype != "float32" and {"avx512_bf16", "avx512_fp16"} & flags:
        a_cycle *= 2
    try:
        clock = 1e3 * float((CPUS / "cpu0/cpufreq/cpuinfo_max_freq").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        clock = 1e6 * BOOST * float(facts["cpu MHz"])
    return a_cycle * clock * torch.get_num_threads()


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
