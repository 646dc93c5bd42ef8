"""docs/spec.md says every field of a spec, and nothing else."""

from __future__ import annotations

from pathlib import Path

from e2r.cli.fields import fields, markdown
from e2r.records.spec import Spec

PAGE = Path(__file__).parents[2] / "docs" / "spec.md"


def test_every_field_has_a_type_and_a_meaning() -> None:
    rows = fields()
    names = [row["field"] for row in rows]
    assert len(names) == len(set(names))
    for name in Spec.model_fields:
        assert any(field == name or field.startswith(f"{name}.") for field in names)
    for row in rows:
        assert row["type"]
        assert len(row["meaning"].split()) > 1, row


def test_a_field_s_default_is_the_model_s() -> None:
    rows = {row["field"]: row for row in fields()}
    assert rows["data.depth"]["default"] == "`100`"
    assert rows["model.source"]["default"] == "must be given"
    assert rows["execution.reuse"]["default"] == "`false`"


def test_the_page_is_as_the_models_are_now() -> None:
    assert PAGE.read_text(encoding="utf-8") == markdown(), "e2r list fields --markdown > that file"
