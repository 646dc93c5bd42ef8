"""A named accelerator's peaks, and the roofline of one call: seconds, joules and money.

A bound, not a prediction: no kernel reaches both peaks, and launch overhead is not in it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from math import ceil
from time import perf_counter

from e2r.errors import DataError, unknown
from e2r.flops.architecture import Architecture
from e2r.flops.conventions import Convention
from e2r.flops.estimate import by_unit, estimate, evaluate
from e2r.flops.traffic import resident, traffic
from e2r.flops.work import Usage


@dataclass(frozen=True)
class Accelerator:
    """Peaks of a device: dense 16-bit FLOP/s, memory bytes/s, memory bytes, board watts.

    `watts` is None where the vendor publishes none; `source` says where the figures stand.
    """

    name: str
    flops: float
    bandwidth: float
    memory: float
    watts: float | None
    source: str


ACCELERATORS: Mapping[str, Accelerator] = {
    device.name: device
    for device in (
        Accelerator("A100", 312e12, 2.039e12, 80e9, 400, "NVIDIA A100 80GB SXM datasheet, 2021"),
        Accelerator("H100", 989.4e12, 3.35e12, 80e9, 700, "NVIDIA H100 SXM datasheet, 2023"),
        Accelerator("H200", 989.4e12, 4.8e12, 141e9, 700, "NVIDIA H200 SXM datasheet, 2024"),
        Accelerator("L4", 121e12, 0.3e12, 24e9, 72, "NVIDIA L4 datasheet, 2023 (half of sparse)"),
        Accelerator(
            "RTX4090", 165.2e12, 1.008e12, 24e9, 450, "NVIDIA Ada whitepaper, 2022, FP32 accumulate"
        ),
        Accelerator(
            "MI300X", 1307.4e12, 5.3e12, 192e9, 750, "AMD Instinct MI300X data sheet, 2023"
        ),
        Accelerator("TPUv5e", 197e12, 0.819e12, 16e9, None, "Google Cloud TPU v5e documentation"),
    )
}
"""Named accelerators; a CPU joins them by `measure_cpu`."""


@dataclass(frozen=True)
class Phase:
    """FLOPs and bytes of one phase of a call, and the least seconds they take."""

    flops: int
    bytes: int
    seconds: float
    bound: str

    @property
    def intensity(self) -> float:
        """FLOPs for each byte moved."""
        return self.flops / self.bytes if self.bytes else 0.0


@dataclass(frozen=True)
class Roofline:
    """A call on an accelerator: prefill (encoders included) and decode apart.

    Seconds, joules and price are of one call of a batch that shares its weight reads. `joules` is
    None where the device's watts are unknown, `price` where no hourly price was given. Bytes of
    `peak_memory` are those of the whole batch.
    """

    accelerator: Accelerator
    prefill: Phase
    decode: Phase
    peak_memory: int
    joules: float | None
    price: float | None

    @property
    def seconds(self) -> float:
        """Least seconds of a call."""
        return self.prefill.seconds + self.decode.seconds

    @property
    def fits(self) -> bool:
        """Whether weights, cache and activations fit into the device's memory."""
        return self.peak_memory <= self.accelerator.memory


def accelerator(name: str) -> Accelerator:
    """A named accelerator; UsageError with the nearest names for an unknown one."""
    if name not in ACCELERATORS:
        raise unknown("accelerator", name, ACCELERATORS)
    return ACCELERATORS[name]


def roofline(
    architecture: Architecture,
    usage: Usage,
    device: Accelerator,
    *,
    convention: str | Convention = "ideal",
    batch_size: int = 1,
    price_per_hour: float | None = None,
) -> Roofline:
    """Seconds, energy and price of a call whose counts are ints.

    Each phase takes the longer of its arithmetic at peak FLOP/s and its traffic at peak bandwidth
    (Williams et al., 2009). Raises DataError for arrays and for a batch size below 1.
    """
    if batch_size < 1:
        raise DataError(f"batch_size is {batch_size}; a batch holds at least one call")
    first = replace(usage, generated_tokens=min(_int(usage.generated_tokens), 1))
    prefill = _amounts(architecture, first, convention, batch_size)
    whole = _amounts(architecture, usage, convention, batch_size)
    decode = whole[0] - prefill[0], whole[1] - prefill[1]
    before = _phase(*prefill, device, batch_size)
    after = _phase(*decode, device, batch_size)
    seconds = before.seconds + after.seconds
    return Roofline(
        device,
        before,
        after,
        peak_memory=peak_memory(architecture, usage, batch_size),
        joules=None if device.watts is None else device.watts * seconds,
        price=None if price_per_hour is None else price_per_hour / 3600 * seconds,
    )


def weight_bytes(architecture: Architecture) -> tuple[int, int]:
    """Bytes of weights that a call's first pass reads, and each further one (see `traffic`).

    A first pass is taken to be long enough to meet all experts. An encoder is read once a call; a
    model that only scores has no further pass, and reads 0.
    """
    tokens = max(ceil(term.total / term.copies) for _, term in architecture.terms())
    weights = by_unit(op for op in traffic(architecture) if op.name == "weights")

    def read(generated: int) -> int:
        variables = Usage(tokens, generated).variables(architecture.mode, architecture.generates)
        return int(evaluate(weights, variables))

    return read(1), read(2) - read(1) if architecture.generates else 0


def peak_memory(architecture: Architecture, usage: Usage, batch_size: int = 1) -> int:
    """Bytes held at the end of a batch: weights once, cache and activations for each call."""
    variables = usage.variables(architecture.mode, architecture.generates)
    held = resident(architecture)
    shared = [op for op in held if op.name == "weights"]
    own = [op for op in held if op.name != "weights"]
    weights, rest = (int(evaluate(by_unit(ops), variables)) for ops in (shared, own))
    return weights + batch_size * rest


def measure_cpu(size: int = 1536, repeats: int = 3) -> Accelerator:
    """This machine's CPU: the best of a few 32-bit matrix products and of a few memory copies.

    Takes about a second. Memory and watts are not measured.
    """
    import numpy

    generator = numpy.random.default_rng(0)
    left = generator.random((size, size), dtype=numpy.float32)
    right = generator.random((size, size), dtype=numpy.float32)
    product = min(_timed(lambda: left @ right) for _ in range(repeats))
    block = numpy.ones(1 << 26, dtype=numpy.uint8)
    copy = min(_timed(block.copy) for _ in range(repeats))
    return Accelerator(
        "cpu",
        2 * size**3 / product,
        2 * block.nbytes / copy,
        float("inf"),
        None,
        "measured here: NumPy matrix product in 32 bits, and memory copy",
    )


def _timed(work: Callable[[], object]) -> float:
    start = perf_counter()
    work()
    return perf_counter() - start


def _amounts(
    architecture: Architecture, usage: Usage, convention: str | Convention, batch_size: int
) -> tuple[int, int]:
    cost = estimate(architecture, usage, convention)
    moved = traffic(architecture)
    shared = [op for op in moved if op.name == "weights"]
    own = [op for op in moved if op.name != "weights"]
    weights, rest = (int(evaluate(by_unit(ops), cost.variables)) for ops in (shared, own))
    return batch_size * _int(cost.flops), weights + batch_size * rest


def _phase(flops: int, moved: int, device: Accelerator, batch_size: int) -> Phase:
    arithmetic, memory = flops / device.flops, moved / device.bandwidth
    bound = "compute" if arithmetic >= memory else "memory"
    return Phase(
        flops // batch_size, moved // batch_size, max(arithmetic, memory) / batch_size, bound
    )


def _int(value: object) -> int:
    if not isinstance(value, int):
        raise DataError("a roofline is drawn for one call; give counts as ints, not arrays")
    return value
