"""`e2r list methods` and `e2r list models` are tables that one can read, and lose no name."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from e2r.cli import cli
from e2r.flops.catalogue import entries
from e2r.ranking import METHODS


def listed(kind: str, *more: str) -> str:
    done = CliRunner().invoke(cli, ["list", kind, *more])
    assert done.exit_code == 0, done.output
    return done.output


@pytest.mark.parametrize("kind", ["methods", "models"])
def test_it_fits_eighty_columns(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert max(map(len, listed(kind).splitlines())) <= 80


def test_methods_say_calls_rounds_needs_and_source() -> None:
    lines = listed("methods").splitlines()
    rows = {line.split()[0]: line.split()[1:] for line in lines if line.startswith("  ")}
    assert set(METHODS) <= rows.keys()
    assert rows["pointwise.yes_no"] == ["100", "1", "label", "logits"]
    assert rows["partition.tdpart"] == ["7", "3", "text"]
    assert rows["tournament.jointrank"] == ["20", "1", "text"]
    assert rows["listwise.fid"] == ["9", "9", "priced", "only"]
    assert "      Parry et al., arXiv 2405.14589 (TDPart)" in lines


def test_models_say_type_weights_context_and_what_they_are_made_for() -> None:
    lines = listed("models").splitlines()
    names = {line.split()[0] for line in lines if line.startswith("  ")}
    assert {name.partition("/")[2] for name in entries()} <= names
    place = next(i for i, line in enumerate(lines) if line.startswith("  Qwen3-Reranker-4B "))
    assert lines[place].split() == ["Qwen3-Reranker-4B", "qwen3", "4.02B", "3.63B", "40,960"]
    assert lines[place + 1] == "      made for pointwise.qwen3"


def test_json_holds_what_it_held() -> None:
    methods = json.loads(listed("methods", "--json"))
    assert [row["name"] for row in methods] == list(METHODS)
    assert {"summary", "calls", "rounds", "parameters", "source"} <= methods[0].keys()
    models = json.loads(listed("models", "--json"))
    assert [row["name"] for row in models] == list(entries())
    assert models[0].keys() == {"name", "source", "revision", "confirmed"}
