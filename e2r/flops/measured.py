"""The LLM calls that the paper's authors profiled: tokens, FLOPs and seconds of each."""

from __future__ import annotations

import io
import zlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from e2r.borders.reading import text_stream
from e2r.errors import DataError, MissingError
from e2r.flops.architecture import Architecture
from e2r.flops.work import Usage

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

COLUMNS = ("query", "input_tokens", "output_tokens", "flops", "seconds")
"""The header of their files (github.com/zhiyuanpeng/EER-FLOPs)."""
DECODER_PROMPT = 3
"""Flan-T5 calls were started from `<pad> Passage`, three tokens that output_tokens includes."""


@dataclass(frozen=True, eq=False)
class Measured:
    """One file of profiled calls; arrays have one entry a call.

    `flops` is what the profiler reported. `generated` counts new tokens alone, `decoder_prompt` the
    tokens that an encoder-decoder's answer was started from (0 for other models).
    """

    name: str
    model: str
    dataset: str
    method: str
    queries: NDArray[np.int64]
    prompt: NDArray[np.int64]
    generated: NDArray[np.int64]
    decoder_prompt: int
    flops: NDArray[np.int64]
    seconds: NDArray[np.float64]

    @property
    def architecture(self) -> Architecture:
        """The model's architecture, by its name in the catalogue."""
        return _load(self.model)

    @property
    def usage(self) -> Usage:
        """The calls as the estimator takes them; an answer is read from one position at a time."""
        return Usage(
            self.prompt,
            self.generated,
            decoder_prompt_tokens=self.decoder_prompt or None,
            head="last",
        )


def read_all(data: Path) -> list[Measured]:
    """Every `paper/measured/*.csv.gz` under `data`. Raises MissingError where there is none."""
    folder = data / "paper" / "measured"
    paths = sorted(folder.glob("*.csv.gz"))
    if not paths:
        raise MissingError(f"{folder}: no *.csv.gz of profiled calls; give their folder by --data")
    return [read(path) for path in paths]


def read(path: Path) -> Measured:
    """Read one file, named `MODEL.DATASET.METHOD.csv.gz`.

    Raises DataError for another name, other columns and anything but counts and seconds.
    """
    import numpy as np

    parts = path.name.removesuffix(".gz").removesuffix(".csv").rsplit(".", 2)
    if len(parts) != 3:
        raise DataError(
            f"{path}: the model of profiled calls is read from the file's name, which has to be "
            "MODEL.DATASET.METHOD.csv.gz"
        )
    model, dataset, method = parts
    try:
        with io.TextIOWrapper(text_stream(path), encoding="utf-8") as lines:
            header = tuple(lines.readline().strip().split(","))
            if header != COLUMNS:
                raise DataError(f"{path}: the columns have to be {', '.join(COLUMNS)}")
            rows = [line for line in lines if line.strip()]
        table = np.loadtxt(rows, delimiter=",", ndmin=2) if rows else np.empty((0, 0))
    except (OSError, EOFError, zlib.error, ValueError) as error:
        raise DataError(f"{path}: cannot be read as profiled calls ({error})") from None
    if table.shape[1:] != (len(COLUMNS),) or not len(table):
        raise DataError(f"{path}: no call in it")
    counts = table[:, :4].astype(np.int64)
    if not np.isfinite(table).all() or (counts != table[:, :4]).any() or (table < 0).any():
        raise DataError(f"{path}: tokens and FLOPs have to be whole numbers, none below 0")
    pairs = _load(model).mode == "decoder"
    output = counts[:, 2]
    if pairs and (output < DECODER_PROMPT).any():
        raise DataError(
            f"{path}: output_tokens has to hold the {DECODER_PROMPT} tokens that answers start from"
        )
    return Measured(
        name=path.name,
        model=model,
        dataset=dataset,
        method=method.replace("-", ".", 1),
        queries=counts[:, 0],
        prompt=counts[:, 1],
        generated=output - DECODER_PROMPT if pairs else output,
        decoder_prompt=DECODER_PROMPT if pairs else 0,
        flops=counts[:, 3],
        seconds=table[:, 4],
    )


@cache
def _load(name: str) -> Architecture:
    return Architecture.load(name)
