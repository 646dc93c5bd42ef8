"""A named accelerator's peaks, the weights that a pass has to read, and the memory a batch holds.

What follows from them in seconds, joules and money is told by the clock alone (`forecast/clock`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import perf_counter

from e2r.errors import UsageError, unknown
from e2r.flops.architecture import Architecture
from e2r.flops.estimate import by_unit, evaluate
from e2r.flops.traffic import resident, traffic
from e2r.flops.work import Usage


@dataclass(frozen=True)
class Accelerator:
    """Peaks of a device: dense 16-bit FLOP/s, memory bytes/s, memory bytes, board watts.

    `watts` is None where the vendor publishes none; `source` says where the figures stand. `cache`
    is how many bytes the chip itself can keep from one pass to the next: caches, shared memory and
    registers. What is kept there need not be read from memory again, so that a floor leaves it out.
    """

    name: str
    flops: float
    bandwidth: float
    memory: float
    watts: float | None
    source: str
    cache: float


ACCELERATORS: Mapping[str, Accelerator] = {
    device.name: device
    for device in (
        Accelerator(
            "A100", 312e12, 2.039e12, 80e9, 400, "NVIDIA A100 80GB SXM datasheet, 2021", 88e6
        ),
        Accelerator("H100", 989.4e12, 3.35e12, 80e9, 700, "NVIDIA H100 SXM datasheet, 2023", 118e6),
        Accelerator("H200", 989.4e12, 4.8e12, 141e9, 700, "NVIDIA H200 SXM datasheet, 2024", 118e6),
        Accelerator(
            "L4", 121e12, 0.3e12, 24e9, 72, "NVIDIA L4 datasheet, 2023 (half of sparse)", 71e6
        ),
        Accelerator(
            "RTX4090",
            165.2e12,
            1.008e12,
            24e9,
            450,
            "NVIDIA Ada whitepaper, 2022, FP32 accumulate",
            121e6,
        ),
        Accelerator(
            "MI300X", 1307.4e12, 5.3e12, 192e9, 750, "AMD Instinct MI300X data sheet, 2023", 473e6
        ),
        Accelerator(
            "TPUv5e", 197e12, 0.819e12, 16e9, None, "Google Cloud TPU v5e documentation", 135e6
        ),
    )
}
"""Named accelerators; a machine of one's own joins them by `e2r calibrate`."""


def accelerator(name: str) -> Accelerator:
    """A named accelerator; UsageError with the nearest names for an unknown one."""
    if name not in ACCELERATORS:
        raise UsageError(f"{unknown('accelerator', name, ACCELERATORS)}; see e2r list accelerators")
    return ACCELERATORS[name]


def least_weight_bytes(architecture: Architecture) -> tuple[int, int, int]:
    """Bytes of weights that no pass can do without: (first without head, first, each further).

    Of routed experts a pass reads those of one token at least, since all its tokens may choose the
    same; of an embedding, one row. The first pass of a call that reads no head leaves it out. An
    encoder is read once a call; a model that only scores has no further pass, and reads 0.
    """
    weights = by_unit(op for op in traffic(architecture) if op.name == "weights")

    def read(generated: int, head: int) -> int:
        usage = Usage(1, generated, head_positions=head)
        return int(evaluate(weights, usage.variables(architecture.mode, architecture.generates)))

    further = read(2, 1) - read(1, 1) if architecture.generates else 0
    return read(1, 0), read(1, 1), further


def peak_memory(architecture: Architecture, usage: Usage, batch_size: int = 1) -> int:
    """Bytes held at the end of a batch: weights once, cache and activations for each call."""
    weights = next(op for op in resident(architecture) if op.name == "weights")
    return weights.coefficient + batch_size * call_memory(architecture, usage)


def call_memory(architecture: Architecture, usage: Usage) -> int:
    """Bytes of cache and activations at the end of the largest of some calls."""
    variables = usage.variables(architecture.mode, architecture.generates)
    own = by_unit(op for op in resident(architecture) if op.name != "weights")
    held = evaluate(own, variables)
    return int(held if isinstance(held, int) else held.max())


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
        0.0,
    )


def _timed(work: Callable[[], object]) -> float:
    start = perf_counter()
    work()
    return perf_counter() - start
