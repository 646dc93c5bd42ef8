"""How often 95 % intervals of few queries hold the truth: BCa, as reported, and bootstrap-t.

The recorded runs' per-query values stand for all queries there are: samples are drawn from them,
and an interval is right where it holds the figure of all. The studentised one divides each
resample's deviation by its own standard error, for a ratio by the delta method (Efron & Tibshirani,
An Introduction to the Bootstrap, 1993, ch. 12.5).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from e2r.metrics import evaluate
from e2r.metrics.cost import PETA
from e2r.metrics.statistics.intervals import CONFIDENCE, Floats, intervals, resampled_means

MEASURE = "nDCG@10"
SIZES = (5, 10, 15, 20, 43)


def populations(places: list[str]) -> list[Floats]:
    """Quality and PetaFLOPs of each query, shape (queries, 2), of every run that has both."""
    found = []
    for row in evaluate(places, MEASURE, note=lambda text: None).rows:
        spent = row.cost.per_query
        if spent and all(spent[qid] for qid in row.qids) and row.family != "first_stage":
            values = row.scores.values[MEASURE]
            found.append(np.array([[values[qid], spent[qid] / PETA] for qid in row.qids]))
    return found


def studentised(above: Floats, below: Floats) -> tuple[float, float]:
    """The bootstrap-t interval of mean(above) / mean(below)."""
    columns = np.column_stack([above, below, above**2, above * below, below**2])

    def figure(means: Floats) -> tuple[Floats, Floats]:
        top, bottom, top2, both, bottom2 = np.moveaxis(means, -1, 0)
        ratio = top / bottom
        spread = np.maximum(top2 - 2 * ratio * both + ratio**2 * bottom2, 0)
        return ratio, np.sqrt(spread / (len(above) - 1)) / bottom

    value, error = figure(columns.mean(axis=0))
    ratios, errors = figure(resampled_means(columns))
    apart = errors > 1e-9 * error
    deviations = (ratios[apart] - value) / errors[apart]
    low, high = np.quantile(deviations, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(value - high * error), float(value - low * error)


def main() -> None:
    """Print coverage and median width (over the figure), by figure and number of queries."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", default="runs")
    parser.add_argument("--samples", type=int, default=300)
    given = parser.parse_args()
    places = sorted(str(path.parent) for path in Path(given.runs).rglob("ledger.parquet"))
    drawn = populations(places)
    print(f"{len(drawn)} runs, {given.samples} samples of each")
    print("queries  figure    BCa holds  width  bootstrap-t holds  width")
    generator = np.random.default_rng(1)
    for size in SIZES:
        held: dict[str, list[list[bool]]] = {MEASURE: [], "RPP": []}
        width: dict[str, list[list[float]]] = {MEASURE: [], "RPP": []}
        for population in drawn:
            truth = {
                MEASURE: population[:, 0].mean(),
                "RPP": population[:, 0].mean() / population[:, 1].mean(),
            }
            for _ in range(given.samples):
                sample = population[generator.integers(0, len(population), size)]
                reported = intervals(
                    sample,
                    {MEASURE: lambda m: m[..., 0], "RPP": lambda m: m[..., 0] / m[..., 1]},
                )
                belows = {MEASURE: np.ones(size), "RPP": sample[:, 1]}
                for name, below in belows.items():
                    ours = reported[name]
                    bca = (ours.value, ours.value) if ours.low is None else (ours.low, ours.high)
                    both = (bca, studentised(sample[:, 0], below))
                    held[name].append([low <= truth[name] <= high for low, high in both])
                    width[name].append([(high - low) / truth[name] for low, high in both])
        for name in held:
            (share, share_t), (wide, wide_t) = np.mean(held[name], 0), np.median(width[name], 0)
            print(
                f"{size:7}  {name:<8}  {share:9.1%}  {wide:5.2f}  {share_t:17.1%}  {wide_t:5.2f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
