"""How the conventions and the paper's calculator agree with the calls its authors profiled."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from e2r.flops.conventions import CONVENTIONS
from e2r.flops.estimate import estimate
from e2r.flops.measured import Measured
from e2r.flops.work import Usage

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

ALL = "all models"


@dataclass(frozen=True)
class Spread:
    """Median and range of a figure over calls."""

    median: float
    low: float
    high: float


@dataclass(frozen=True)
class ProfiledFile:
    """One file of profiled calls: how many, and how many agree to the integer."""

    name: str
    model: str
    calls: int
    exact: int
    worst: int


@dataclass(frozen=True)
class Agreement:
    """The profiled calls of one model, or of all of them.

    `errors` holds estimated over measured FLOPs, minus 1, by convention. `seconds_r` and
    `prompt_r` are Pearson's r of measured FLOPs with seconds and with prompt tokens.
    `flops_per_second` is what the calls achieved.
    """

    model: str
    calls: int
    errors: Mapping[str, Spread]
    seconds_r: float
    prompt_r: float
    flops_per_second: Spread


def profile(files: Iterable[Measured]) -> list[ProfiledFile]:
    """Each file's calls, priced under the deepspeed convention and compared exactly."""
    return [_profiled(file) for file in files]


def agreements(files: Sequence[Measured]) -> list[Agreement]:
    """One entry a model, in the order of the files, and one for all of them together."""
    models: dict[str, list[Measured]] = {}
    for file in files:
        models.setdefault(file.model, []).append(file)
    return [*(_agreement(name, group) for name, group in models.items()), _agreement(ALL, files)]


def estimated(file: Measured, convention: str) -> NDArray[Any]:
    """FLOPs of each call of a file under a convention.

    The paper's calculator is given what its tables call Out: output_tokens, the tokens that an
    answer starts from included.
    """
    import numpy

    usage = file.usage
    if convention == "paper":
        usage = Usage(file.prompt, file.generated + file.decoder_prompt)
    flops: NDArray[Any] = numpy.asarray(estimate(file.architecture, usage, convention).flops)
    return flops


def _profiled(file: Measured) -> ProfiledFile:
    import numpy

    difference = numpy.abs(estimated(file, "deepspeed") - file.flops)
    return ProfiledFile(
        file.name,
        file.model,
        len(file.flops),
        int((difference == 0).sum()),
        int(difference.max()),
    )


def _agreement(name: str, files: Sequence[Measured]) -> Agreement:
    import numpy

    flops = numpy.concatenate([file.flops for file in files]).astype(float)
    seconds = numpy.concatenate([file.seconds for file in files])
    prompt = numpy.concatenate([file.prompt for file in files])
    errors = {
        convention: _spread(
            numpy.concatenate([estimated(file, convention) for file in files]) / flops - 1
        )
        for convention in CONVENTIONS
    }
    return Agreement(
        name,
        len(flops),
        errors,
        _pearson(flops, seconds),
        _pearson(flops, prompt),
        _spread(flops / seconds),
    )


def _spread(values: NDArray[np.float64]) -> Spread:
    import numpy

    return Spread(float(numpy.median(values)), float(values.min()), float(values.max()))


def _pearson(one: NDArray[Any], other: NDArray[Any]) -> float:
    import numpy

    return float(numpy.corrcoef(one, other)[0, 1])
