"""Pictures: written for what can be drawn, the same bytes each time, names taken as they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from e2r.errors import UsageError
from e2r.metrics import evaluate
from e2r.metrics.pictures import write_pictures


def test_pictures_are_the_same_from_the_same_runs(make_run, tmp_path: Path) -> None:
    make_run(model="$x$ & <b>")
    make_run(method="first_stage", model="no-model", architecture=None, calls={})
    make_run(method="pointwise.qlm", model="日本語")
    table = evaluate(tmp_path / "runs")
    one = {path.name: path.read_bytes() for path in write_pictures(table, tmp_path / "one")}
    two = {path.name: path.read_bytes() for path in write_pictures(table, tmp_path / "two")}
    assert one == two
    kinds = {name.partition("-")[2] for name in one}
    assert kinds == {
        f"{kind}.{form}"
        for kind in ("quality-cost", "quality-calls", "cost-by-operation")
        for form in ("svg", "png")
    }
    assert all(
        content.startswith((b"<?xml", b"\x89PNG")) and b"<b>" not in content
        for content in one.values()
    )


def test_one_run_has_its_breakdown_alone(make_run, tmp_path: Path) -> None:
    written = write_pictures(evaluate(make_run().path), tmp_path / "out")
    assert {path.suffix for path in written} == {".svg", ".png"}
    assert all("cost-by-operation" in path.name for path in written)


def test_a_folder_that_cannot_be_written_is_refused(make_run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot be written"):
        write_pictures(evaluate(make_run().path), tmp_path / "file")
