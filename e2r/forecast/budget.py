"""What fits in a budget: models, methods and depths, cheapest first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import product

from e2r.errors import DataError, UsageError
from e2r.flops.architecture import Architecture
from e2r.flops.first_stage import Stage
from e2r.forecast.clock import Clock, Timed
from e2r.forecast.lengths import TEXTS, Lengths, thinks
from e2r.forecast.method import PETA, Forecast, forecast
from e2r.forecast.money import money_of
from e2r.money.bill import Money
from e2r.money.prices import MILLION, THOUSAND, PriceList
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
    """One way to rerank, with its price. `timed` is the clock's and `paid` a query's money by
    a price list, None without one."""

    model: str
    method: str
    depth: int
    k: int
    set_size: int | None
    passage_tokens: int
    forecast: Forecast
    timed: Timed | None = None
    first_stage_flops: int = 0
    paid: Money | None = None

    @property
    def petaflops(self) -> float:
        """PetaFLOPs per query, of the whole pipeline."""
        return self.forecast.petaflops + self.first_stage_flops / PETA

    @property
    def milliseconds(self) -> float | None:
        """The latency of a query: the expected one, else the floor's. None without a device."""
        if self.timed is None:
            return None
        return 1000 * (self.timed.told("latency") or 0.0)

    @property
    def price_per_million(self) -> float | None:
        """Money of a million queries: by the price list, else by the hour; None without either."""
        if self.paid is not None:
            return float(self.paid.total * MILLION)
        return None if self.timed is None else self.timed.told("price_per_million")

    @property
    def money_per_thousand(self) -> float | None:
        """The same of a thousand queries."""
        if self.paid is not None:
            return float(self.paid.total * THOUSAND)
        return None if self.price_per_million is None else self.price_per_million / THOUSAND


@dataclass(frozen=True)
class Found:
    """Options within the budget, cheapest first, and how many combinations were weighed.

    `refused` says what was left out and why.
    """

    options: tuple[Option, ...]
    weighed: int
    refused: tuple[str, ...] = field(default=())

    def __repr__(self) -> str:
        cheapest = f", cheapest {self.options[0].model}" if self.options else ""
        return f"<Found {len(self.options)} of {self.weighed} options{cheapest}>"


def search(
    grid: Grid,
    *,
    petaflops: float | None = None,
    milliseconds: float | None = None,
    price_per_million: float | None = None,
    clock: Clock | None = None,
    first_stage: Sequence[Stage] = (),
    convention: str = "ideal",
    prices: PriceList | None = None,
) -> Found:
    """Weigh the grid against PetaFLOPs, milliseconds and money per query, on a device's clock.

    Milliseconds and money are the expected ones where something tells them, else the floor's.
    Models that the device cannot hold are left out. Raises UsageError without a budget, for seconds
    without a device, for money without a price list or the price of an hour, and for a method
    that nobody knows.
    """
    if petaflops is None and milliseconds is None and price_per_million is None:
        raise UsageError("give a budget: PetaFLOPs per query, or milliseconds on an accelerator")
    if clock is None and milliseconds is not None:
        raise UsageError("milliseconds need an accelerator; name one, such as H100")
    hourly = clock is not None and clock.price_per_hour is not None
    if price_per_million is not None and prices is None and not hourly:
        raise UsageError(
            "money needs a price list (--price), or an accelerator and the price of its hour "
            "(--price-per-hour)"
        )
    for name, most in (
        ("petaflops", petaflops),
        ("milliseconds", milliseconds),
        ("price", price_per_million),
    ):
        if most is not None and not most > 0:
            raise UsageError(f"a budget of {most} {name} leaves nothing; give more than 0")
    for name in grid.methods or ():
        find(name)
    added = sum(stage.flops for stage in first_stage)
    options: list[Option] = []
    refused: list[str] = []
    weighed = 0
    for name in grid.models:
        arch = Architecture.load(name)
        if clock is not None:
            weights = arch.parameters.total * clock.weight_bits / 8
            try:
                clock.refuse_unfit(name, weights)
            except DataError as error:
                refused.append(str(error))
                continue
        if grid.answer_tokens is None:
            refused += [
                f"{name}: {method} thinks at a length that is open; give --answer-tokens"
                for method in _methods(name, grid)
                if thinks(find(method).prompted_as)
            ]
        crowded = 0
        for priced in _options(name, arch, grid, convention):
            weighed += 1
            option = replace(priced, first_stage_flops=added)
            if clock is not None:
                asked = priced.forecast.demand(arch)
                if clock.memory(asked) > clock.device.memory:
                    crowded += 1
                    continue
                option = replace(option, timed=clock.time(asked, first_stage))
            timed = option.timed
            if prices is not None:
                lengths = Lengths(grid.query_tokens, option.passage_tokens)
                bought = money_of(option.forecast, prices, option.depth, lengths, timed)
                option = replace(option, paid=bought)
            limits: tuple[tuple[float | None, float | None], ...] = (
                (option.petaflops, petaflops),
                (option.milliseconds, milliseconds),
                (option.price_per_million, price_per_million),
            )
            if all(most is None or (found is not None and found <= most) for found, most in limits):
                options.append(option)
        if crowded and clock is not None:
            refused.append(
                f"{name}: {crowded} combinations need more memory than {clock.device.name} has "
                f"with {clock.batch_size} calls a pass; a smaller --batch-size needs less"
            )
    options.sort(key=lambda option: (option.petaflops, option.model, option.method))
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


def _options(name: str, arch: Architecture, grid: Grid, convention: str) -> Iterable[Option]:
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
            yield Option(name, method, depth, min(grid.k, depth), size, passage, priced)
