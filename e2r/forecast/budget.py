"""What fits in a budget: models, methods and depths, cheapest first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import product

from e2r.errors import UsageError
from e2r.flops.architecture import Architecture
from e2r.flops.hardware import Accelerator, peak_memory
from e2r.flops.work import Usage
from e2r.forecast.lengths import TEXTS, Lengths, thinks
from e2r.forecast.method import Forecast, forecast
from e2r.ranking import METHODS
from e2r.ranking import method as find


@dataclass(frozen=True)
class Grid:
    """What to try: every combination that a method and a model allow.

    Without `methods`, each model is tried with those that it is made for (`made_for`).
    `answer_tokens` is the length of a thought, without which methods that think are refused.
    """

    models: Sequence[str]
    methods: Sequence[str] | None = None
    depths: Sequence[int] = (20, 100)
    set_sizes: Sequence[int] = (3,)
    passage_tokens: Sequence[int] = (75,)
    k: int = 10
    query_tokens: int = 9
    answer_tokens: int | None = None


@dataclass(frozen=True)
class Option:
    """One way to rerank, with its price. `seconds` are the roofline's, None without a device."""

    model: str
    method: str
    depth: int
    k: int
    set_size: int | None
    passage_tokens: int
    forecast: Forecast
    seconds: float | None = None

    @property
    def petaflops(self) -> float:
        """PetaFLOPs per query."""
        return self.forecast.petaflops


@dataclass(frozen=True)
class Found:
    """Options within the budget, cheapest first, and how many combinations were weighed."""

    options: tuple[Option, ...]
    weighed: int
    refused: tuple[str, ...] = field(default=())


def search(
    grid: Grid,
    *,
    petaflops: float | None = None,
    milliseconds: float | None = None,
    device: Accelerator | None = None,
    convention: str = "ideal",
) -> Found:
    """Weigh the grid against PetaFLOPs per query, or milliseconds per query on a device.

    Milliseconds are those of `Forecast.seconds`. Models that the device cannot hold are left out.
    Raises UsageError without a budget, or for milliseconds without a device.
    """
    if petaflops is None and milliseconds is None:
        raise UsageError("give a budget: PetaFLOPs per query, or milliseconds on an accelerator")
    if milliseconds is not None and device is None:
        raise UsageError("milliseconds need an accelerator; name one, such as H100")
    options: list[Option] = []
    refused: list[str] = []
    weighed = 0
    for name in grid.models:
        arch = Architecture.load(name)
        if device is not None and peak_memory(arch, Usage(1)) > device.memory:
            refused.append(f"{name}: does not fit into {device.name}")
            continue
        if grid.answer_tokens is None:
            refused += [
                f"{name}: {method} thinks at a length that is open; give --answer-tokens"
                for method in _methods(name, grid)
                if thinks(find(method).prompted_as)
            ]
        for option in _options(name, arch, grid, device, convention):
            weighed += 1
            cheap = petaflops is None or option.petaflops <= petaflops
            quick = milliseconds is None or (option.seconds or 0) * 1000 <= milliseconds
            if cheap and quick:
                options.append(option)
    options.sort(key=lambda option: (option.forecast.flops, option.model, option.method))
    return Found(tuple(options), weighed, tuple(refused))


PRICED = {*TEXTS, "pointwise.cross_encoder"}
"""Methods whose prompts have known lengths."""


def made_for(model: str) -> list[str]:
    """The methods with known prompts that a model of this name can be expected to answer.

    A checkpoint trained for some methods (its name says so) is used with those alone; methods
    that need such training are not tried on others.
    """
    known = [name for name in METHODS if name in PRICED or name.partition(".")[0] in TEXTS]
    word = model.lower()
    trained = [name for name in known if any(own.lower() in word for own in find(name).trained)]
    return trained or [name for name in known if not find(name).trained]


def _methods(name: str, grid: Grid) -> Sequence[str]:
    """The methods that are tried with a model."""
    return made_for(name) if grid.methods is None else grid.methods


def _options(
    name: str, arch: Architecture, grid: Grid, device: Accelerator | None, convention: str
) -> Iterable[Option]:
    for method in _methods(name, grid):
        sizes = grid.set_sizes if method.startswith("setwise.") else (None,)
        for depth, size, passage in product(grid.depths, sizes, grid.passage_tokens):
            try:
                priced = forecast(
                    arch,
                    method,
                    depth=depth,
                    k=min(grid.k, depth),
                    parameters={} if size is None else {"set_size": size},
                    lengths=Lengths(grid.query_tokens, passage, answer=grid.answer_tokens),
                    convention=convention,
                )
            except UsageError:
                # A model that does not generate cannot be asked setwise.
                continue
            seconds = None if device is None else priced.seconds(arch, device)
            yield Option(name, method, depth, min(grid.k, depth), size, passage, priced, seconds)
