"""The committed call tables are what the plans do today, and hold a row for every setting."""

from __future__ import annotations

from itertools import product

import pytest

from e2r.ranking import METHODS, method
from e2r.ranking.method import Method
from e2r.site import call_tables

NAMES = sorted(set(METHODS) - {"first_stage"})


@pytest.fixture(scope="module")
def tables() -> dict:
    return call_tables.read()


@pytest.mark.parametrize("name", NAMES)
def test_a_sample_is_simulated_anew(name, tables) -> None:
    found = method(name)
    table = tables["tables"][tables["methods"][name]["table"]]
    axes = call_tables.axes_of(found)
    compared = 0
    for settings, row in call_tables.simulated(found, every=1 if found.exact else 17):
        named = dict(zip(axes, settings, strict=True))
        key = ",".join(str(named[axis]) for axis in table["axes"])
        assert table["rows"][key] == row, "run python -m e2r.site.call_tables, make leaderboard"
        compared += 1
    assert compared >= 3


def test_every_method_and_setting_has_a_row(tables) -> None:
    assert tables["methods"].keys() == set(NAMES)
    assert tables["grid"] == {axis: list(values) for axis, values in call_tables.GRID.items()}
    for name in NAMES:
        defaults = tables["methods"][name]["defaults"]
        assert defaults == method(name).parameters
        table = tables["tables"][tables["methods"][name]["table"]]
        wanted = {
            ",".join(map(str, at))
            for at in product(*(call_tables.GRID[axis] for axis in table["axes"]))
            if not _refused(method(name), dict(zip(table["axes"], at, strict=True)))
        }
        assert table["rows"].keys() == wanted


def _refused(asked: Method, settings: dict[str, int]) -> bool:
    """Whether the step leaves passages out, or a prompt has too few labels."""
    window = settings.get("window", 10**9)
    return max(settings.get("step", 0), settings.get("pivot", 0)) > window or any(
        settings.get(name, 0) > most for name, most in asked.most.items()
    )
