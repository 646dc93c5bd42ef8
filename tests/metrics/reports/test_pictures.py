"""Pictures: written for what can be drawn, the same bytes each time, names taken as they are."""

from __future__ import annotations

import random
import re
from itertools import combinations
from pathlib import Path

import pytest

from e2r.errors import UsageError
from e2r.metrics import evaluate
from e2r.metrics.reports.pictures import THEMES, write_pictures
from e2r.metrics.reports.pictures.labels import Label, place
from e2r.metrics.reports.pictures.style import new_figure, style


def test_pictures_are_the_same_from_the_same_runs(make_run, tmp_path: Path) -> None:
    make_run(model="$x$ & <b>")
    make_run(method="first_stage", model="no-model", architecture=None, calls={})
    make_run(method="pointwise.qlm", model="日本語")
    table = evaluate(tmp_path / "runs")
    one = {path.name: path.read_bytes() for path in write_pictures(table, tmp_path / "one")}
    two = {path.name: path.read_bytes() for path in write_pictures(table, tmp_path / "two")}
    assert one == two
    kinds = {name.partition("-")[2] for name in one}
    sweeps = [f"{model}-cost-{what}" for model in ("x-b", "model") for what in ("depth", "passage")]
    assert kinds == {
        f"{kind}.{form}"
        for kind in ("quality-cost", "quality-calls", "cost-by-operation", *sweeps)
        for form in ("svg", "png")
    }
    assert all(
        content.startswith((b"<?xml", b"\x89PNG")) and b"<b>" not in content
        for content in one.values()
    )


def test_one_run_has_no_quality_to_compare(make_run, tmp_path: Path) -> None:
    written = write_pictures(evaluate(make_run().path), tmp_path / "out")
    assert {path.suffix for path in written} == {".svg", ".png"}
    assert not any("quality" in path.name for path in written)
    assert any("cost-by-operation" in path.name for path in written)


def test_models_whose_names_look_alike_keep_their_pictures_apart(make_run, tmp_path: Path) -> None:
    make_run(model="a-b")
    make_run(model="a b")
    written = write_pictures(evaluate(tmp_path / "runs"), tmp_path / "out")
    assert len(written) == len(set(written))


def test_a_folder_that_cannot_be_written_is_refused(make_run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot be written"):
        write_pictures(evaluate(make_run().path), tmp_path / "file")


def words(svg: bytes) -> set[str]:
    """Texts of an SVG by matplotlib, which names them in comments beside their outlines."""
    return set(re.findall(r"<!-- (.*?) -->", svg.decode()))


def test_pictures_name_their_axes_and_runs(make_run, tmp_path: Path) -> None:
    make_run(method="first_stage", model="no-model", architecture=None, calls={})
    make_run(method="pointwise.qlm")
    make_run(hash8="beefbeef")
    table = evaluate(tmp_path / "runs")
    written = write_pictures(table, tmp_path / "out")
    svgs = {path.stem.partition("-")[2]: words(path.read_bytes()) for path in written[::2]}
    names = {"pointwise.qlm", "setwise.heapsort"}
    assert svgs["quality-cost"] >= {*names, "nDCG@10", "pointwise"}
    outlined = any(row.on_frontier and row.family != "first_stage" for row in table.rows)
    assert ("outlined: on the frontier" in svgs["quality-cost"]) == outlined
    assert any(text.startswith("BM25 0.") for text in svgs["quality-cost"]), "at the margin"
    assert any(
        re.fullmatch(r"small, BM25 top \d+, 4 judged queries", t) for t in svgs["quality-cost"]
    )
    assert "PetaFLOPs per query, convention ideal (log scale)" in svgs["quality-cost"]
    assert svgs["quality-calls"] >= {*names, "calls per query (log scale)"}
    assert svgs["cost-by-operation"] >= {*names, "mlp.gate_proj", "the rest"}


def test_the_model_is_named_where_runs_differ_in_it(make_run, tmp_path: Path) -> None:
    make_run(method="pointwise.qlm")
    make_run(model="other")
    written = write_pictures(evaluate(tmp_path / "runs"), tmp_path / "out")
    assert words(written[0].read_bytes()) >= {"pointwise.qlm · tiny-llama"}


@pytest.mark.parametrize("seed", range(2))
def test_names_cover_neither_each_other_nor_a_point(seed: int) -> None:
    generator = random.Random(seed)
    points = [(10 ** generator.uniform(-4, -3.7), generator.uniform(0.5, 0.55)) for _ in range(12)]
    points += [(1e-6, 0.4), (1e-3, 0.6)]
    with style(THEMES[0]):
        figure, (axes,) = new_figure(THEMES[0])
        axes.set_xscale("log")
        for x, y in points:
            axes.plot([x], [y], "o", markersize=8)
        labels = [Label("setwise.heapsort", x, y) for x, y in points]
        boxes = place(figure, axes, labels, [(x, y, y) for x, y in points], "#000000")
    assert len(boxes) == len(points)
    assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))
    for x, y in axes.transData.transform(points):
        assert not any(box.contains(x, y) for box in boxes)
