"""Rows that others published: quality and token counts are their facts, the cost follows."""

from __future__ import annotations

import hashlib
import tomllib
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

from e2r.errors import DataError
from e2r.flops.architecture import Architecture
from e2r.flops.conventions import CONVENTIONS
from e2r.flops.estimate import priced
from e2r.metrics.cost import PETA

FACTS = Path(__file__).parent / "facts" / "paper.toml"
CONVENTION = "paper"
"""What published rows are priced by: means of token counts say nothing under the others."""


@dataclass(frozen=True)
class Published:
    """One row of a published table; `printed` is its cost as printed, all per query.

    `quality` is a mean over queries of the table's measure. `petaflops` are what the paper's
    equations give for its token counts, which agrees with `printed` to its rounding.
    """

    id: str
    dataset: str
    model: str
    method: str
    quality: float
    calls: float
    prompt_tokens: float
    generated_tokens: float
    printed: float
    petaflops: float
    parameters: int

    @property
    def family(self) -> str:
        """The first word of the method's name."""
        return self.method.partition(".")[0]

    @property
    def label(self) -> str:
        """The model's name without its owner."""
        return self.model.rpartition("/")[2]

    @property
    def rpp(self) -> float:
        """Quality per PetaFLOP."""
        return self.quality / self.petaflops

    @property
    def qpp(self) -> float:
        """Queries per PetaFLOP."""
        return 1 / self.petaflops


@dataclass(frozen=True)
class Publication:
    """A published table: where it stands, what all of its rows share, and the rows."""

    source: str
    address: str
    measure: str
    first_stage: str
    depth: int
    rows: tuple[Published, ...]


def published(path: Path = FACTS) -> Publication:
    """The paper's 106 rows (arXiv 2507.06223v2, Tables 2 and 3), from the facts kept with the code.

    Raises DataError where the file does not have its form.
    """
    try:
        facts = tomllib.loads(path.read_text(encoding="utf-8"), parse_float=Fraction)
        rows = [
            _row(model, method, dataset, *figures)
            for model, methods in facts["rows"].items()
            for method, datasets in methods.items()
            for dataset, figures in datasets.items()
        ]
        shared: dict[str, Any] = {name: facts[name] for name in _SHARED}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path}: not a table of published rows ({error})") from None
    return Publication(**shared, rows=tuple(rows))


_SHARED = ("source", "address", "measure", "first_stage", "depth")


def _row(
    model: str,
    method: str,
    dataset: str,
    quality: Fraction,
    calls: Fraction,
    prompt: Fraction,
    output: Fraction,
    printed: Fraction,
) -> Published:
    architecture = _load(model)
    amounts = {"prompt_tokens": prompt, "generated_tokens": output}
    operations = priced(architecture, CONVENTIONS[CONVENTION])
    flops: Any = sum(op.coefficient * op.unit.evaluate(amounts) for op in operations)
    name = f"{dataset}/{model}/{method}"
    return Published(
        id=f"p{hashlib.sha256(name.encode()).hexdigest()[:7]}",
        dataset=dataset,
        model=model,
        method=method,
        quality=float(quality),
        calls=float(calls),
        prompt_tokens=float(prompt),
        generated_tokens=float(output),
        printed=float(printed),
        petaflops=float(flops * calls / PETA),
        parameters=architecture.parameters.total,
    )


@cache
def _load(name: str) -> Architecture:
    return Architecture.load(name)
