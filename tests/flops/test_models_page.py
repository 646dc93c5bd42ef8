"""docs/models.md says which models are priced, as they are."""

from __future__ import annotations

import re

import pytest

transformers = pytest.importorskip("transformers")
pytest.importorskip("torch")

from tests.flops.models_page import PAGE, page  # noqa: E402


def test_the_page_names_what_is_priced_and_what_is_refused() -> None:
    written = PAGE.read_text(encoding="utf-8")
    [version] = re.findall(r"text model types of transformers (\S+)", written)
    if not transformers.__version__.startswith(f"{version}."):
        pytest.skip(f"the page lists the model types of transformers {version}")
    assert written == page(), "run: python -m tests.flops.models_page"


def test_the_floor_of_the_requirement_is_the_versions_that_are_equal() -> None:
    written = PAGE.read_text(encoding="utf-8")
    required = (PAGE.parents[1] / "pyproject.toml").read_text(encoding="utf-8")
    [floor] = re.findall(r'"transformers>=([\d.]+)"', required)
    assert f"`pyproject.toml` asks\nfor {floor}." in written
