"""RPP and QPP: two ways of dividing, and no figure where nothing was spent."""

from __future__ import annotations

import json

import numpy as np
import pytest

from e2r.metrics.efficiency import figures

VALUES = {"nDCG@10": [0.2, 0.8, 0.5]}
FLOPS = [10**15, 4 * 10**15, 10**15]


def test_both_ways_by_hand() -> None:
    found = figures(VALUES, FLOPS)
    assert found.petaflops.value == pytest.approx(2.0)
    assert found.qpp.value == pytest.approx(0.5)
    assert found.rpp["nDCG@10"].ratio.value == pytest.approx(0.5 / 2.0)
    assert found.rpp["nDCG@10"].mean_of_ratios.value == pytest.approx((0.2 + 0.2 + 0.5) / 3)


def test_qpp_interval_mirrors_the_cost_interval() -> None:
    generator = np.random.default_rng(3)
    flops = [int(amount) for amount in generator.integers(1e12, 1e15, 50)]
    found = figures({"AP": list(generator.random(50))}, flops)
    assert found.qpp.low == pytest.approx(1 / found.petaflops.high, rel=0.02)
    assert found.qpp.high == pytest.approx(1 / found.petaflops.low, rel=0.02)


def test_no_flops_is_undefined_with_a_sentence() -> None:
    found = figures(VALUES, [0, 0, 0])
    assert found.petaflops.value == 0
    for figure in (found.qpp, found.rpp["nDCG@10"].ratio, found.rpp["nDCG@10"].mean_of_ratios):
        assert (figure.value, figure.low, figure.high) == (None, None, None)
        assert "undefined" in figure.note
    json.dumps(found.rpp["nDCG@10"].to_json(), allow_nan=False)


def test_one_free_query_leaves_the_headline_and_takes_the_mean_of_ratios() -> None:
    found = figures(VALUES, [0, 10**15, 10**15])
    assert found.rpp["nDCG@10"].ratio.value == pytest.approx(0.5 / (2 / 3))
    assert found.rpp["nDCG@10"].mean_of_ratios.value is None
    assert found.rpp["nDCG@10"].mean_of_ratios.note == "undefined: 1 of 3 queries cost no FLOPs"


def test_no_price_is_no_figure_but_quality_stays() -> None:
    found = figures(VALUES, None)
    assert found.measures["nDCG@10"].value == pytest.approx(0.5)
    assert found.petaflops.value is found.qpp.value is None
