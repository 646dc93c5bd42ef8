"""One run against another: difference, tests, cost ratio, and one sentence that weighs them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from e2r.metrics.reports.tables import short, spread
from e2r.metrics.row import Row
from e2r.metrics.statistics.intervals import Interval, intervals
from e2r.metrics.statistics.significance import Paired

ALPHA = 0.05
SURE = 0.95


@dataclass(frozen=True)
class Chances:
    """Shares of bootstrap resamples of the queries; None where a run has no price.

    `dominates`: the run is at least as good at no more cost. `dominated`: the baseline is.
    `better_at_equal_cost` is of the difference at equal cost, None where that is.
    """

    better: float
    cheaper: float | None
    better_and_cheaper: float | None
    dominates: float | None
    dominated: float | None
    better_at_equal_cost: float | None


@dataclass(frozen=True)
class Contrast:
    """A run against the baseline in one measure, over the queries that both have.

    `difference` is run − baseline. `p` is the randomisation test's p-value after Holm's correction
    over all contrasts of the comparison, `p_t` the t test's likewise. `cost_ratio` is the run's
    mean FLOPs over the baseline's. `gain_per_petaflop` is the difference divided by the PetaFLOPs
    that the run spends per query beyond the baseline; None where it spends no more.
    `at_equal_cost` is the difference where the dearer of the two reranks only as large a share of
    the queries as the cheaper one's cost pays for, and leaves the others as the first stage
    ranked them; None where no first stage is at hand. `money_ratio` is the run's mean money over
    the baseline's, None where no price list was given.
    """

    run: Row
    baseline: Row
    measure: str
    queries: int
    difference: Interval
    tests: Paired
    p: float
    p_t: float | None
    cost_ratio: Interval
    gain_per_petaflop: Interval
    at_equal_cost: Interval
    chances: Chances
    notes: tuple[str, ...]
    money_ratio: Interval | None = None

    def __repr__(self) -> str:
        return f"<Contrast in {self.measure}: {self.run!r}>"

    @property
    def verdict(self) -> str:
        """One sentence: which is better and at what cost, which is the better buy, how surely."""
        by = f"{abs(self.tests.difference):.4f} {self.measure}"
        p = f"p {p_value(self.p)}" if self.p < 0.0001 else f"p = {p_value(self.p)}"
        if self.p >= ALPHA:
            said = f"no difference in {self.measure} is shown ({p})"
        else:
            said = f"{'better' if self.tests.difference > 0 else 'worse'} by {by} ({p})"
        ratio = self.cost_ratio.value
        if ratio is not None:
            said += f" at {short(ratio, 3)} times the FLOPs"
        money = None if self.money_ratio is None else self.money_ratio.value
        if money is not None:
            said += f"{' and' if ratio is not None else ' at'} {short(money, 3)} times the money"
        return "; ".join([said, *self._weighed(), *self._at_equal_cost()])

    def _weighed(self) -> list[str]:
        run, baseline = self.chances.dominates, self.chances.dominated
        if run is None or baseline is None:
            return []
        if min(run, baseline) >= SURE:
            return ["both are equally good at equal cost"]
        for name, chance in (("it is", run), ("the baseline is", baseline)):
            if chance >= SURE:
                return [
                    f"{name} the better buy: at least as good at no more cost "
                    f"with probability {chance:.3f}"
                ]
        return [
            "neither is surely at least as good at no more cost "
            f"(it is with probability {run:.3f}, the baseline with {baseline:.3f})"
        ]

    def _at_equal_cost(self) -> list[str]:
        found, chance = self.at_equal_cost, self.chances.better_at_equal_cost
        if found.value is None or chance is None:
            return []
        word = "better" if found.value > 0 else "worse"
        sure = chance if found.value > 0 else 1 - chance
        span = "" if found.low is None else f" [{found.low:.4f}, {found.high:.4f}]"
        return [
            f"at equal cost the difference is {found.value:.4f}{span}: "
            f"{word} with probability {sure:.3f}"
        ]

    def to_json(self) -> dict[str, Any]:
        """The contrast as `e2r compare --json` prints it."""
        chances = self.chances
        return {
            "run": str(self.run.path),
            "baseline": str(self.baseline.path),
            "model": self.run.manifest.model.name,
            "method": self.run.manifest.method,
            "measure": self.measure,
            "queries": self.queries,
            "difference": self.difference.to_json(),
            "p_randomisation": self.tests.p_randomisation,
            "p_randomisation_holm": self.p,
            "p_t": self.tests.p_t,
            "p_t_holm": self.p_t,
            "effect_size": self.tests.effect,
            "wins": self.tests.wins,
            "ties": self.tests.ties,
            "losses": self.tests.losses,
            "cost_ratio": self.cost_ratio.to_json(),
            **({"money_ratio": self.money_ratio.to_json()} if self.money_ratio else {}),
            "gain_per_petaflop": self.gain_per_petaflop.to_json(),
            "at_equal_cost": self.at_equal_cost.to_json(),
            "probability": {
                "better": chances.better,
                "cheaper": chances.cheaper,
                "better_and_cheaper": chances.better_and_cheaper,
                "as_good_at_no_more_cost": chances.dominates,
                "baseline_as_good_at_no_more_cost": chances.dominated,
                "better_at_equal_cost": chances.better_at_equal_cost,
            },
            "verdict": self.verdict,
            "notes": list(self.notes),
        }

    def flat(self) -> dict[str, Any]:
        """The same in one level: `difference`, `difference low`, `probability better` …"""
        plain: dict[str, Any] = {}
        for key, value in self.to_json().items():
            if key == "probability":
                plain |= {f"probability {name}": chance for name, chance in value.items()}
            elif isinstance(value, dict):
                spread(plain, key, value)
            else:
                plain[key] = "; ".join(value) if isinstance(value, list) else value
        return plain


def money_ratio(row: Row, base: Row, qids: Sequence[str]) -> Interval | None:
    """The run's mean money over the baseline's, over some queries; None without both bills."""
    if row.paid is None or base.paid is None:
        return None
    sample = np.array(
        [
            [float(side.paid.per_query[qid].total) for side in (row, base) if side.paid]
            for qid in qids
        ]
    )
    if not sample[:, 1].any():
        return Interval(None, note="the baseline costs no money")
    return intervals(sample, {"ratio": lambda means: means[..., 0] / means[..., 1]})["ratio"]


def p_value(value: float) -> str:
    """A p-value with four decimals; never 0, which no test can show."""
    return "< 0.0001" if value < 0.0001 else f"{value:.4f}"
