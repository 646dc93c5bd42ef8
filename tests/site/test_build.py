"""The site is rebuilt byte for byte, loads nothing from elsewhere, and touches nothing else."""

from __future__ import annotations

import json
import re

import pytest

from e2r.errors import DataError, UsageError
from e2r.metrics.reports.pictures import THEMES
from e2r.site.pages import library
from tests.site.reading import Tags, build, site

PAPER = "https://arxiv.org/abs/2507.06223v2"


def test_built_twice_the_site_is_the_same_and_holds_no_path_or_time(runs, tmp_path) -> None:
    build(runs, tmp_path / "one")
    build(runs, tmp_path / "elsewhere" / "two")
    one, two = site(tmp_path / "one"), site(tmp_path / "elsewhere" / "two")
    assert one == two
    for name, content in one.items():
        if not name.startswith("runs/"):  # a run's page quotes its spec
            assert str(tmp_path).encode() not in content, name
    assert {"index.html", "about.html", "style.css", "board.json", "board.csv"} <= one.keys()
    assert sum(name.startswith("runs/") for name in one) == 6
    assert sum(name.startswith("charts/") for name in one) == 2


def test_table_is_whole_and_semantic_without_scripts(runs, tmp_path) -> None:
    page = Tags(build(runs, tmp_path / "out").read_text())
    assert sum(tag == "table" for tag, _ in page.tags) == 3
    assert sum(tag == "caption" for tag, _ in page.tags) == 3
    assert sum(attributes.get("scope") == "row" for _, attributes in page.tags) == 6 + 106
    assert "convention ideal" in re.sub(r"\s+", " ", page.text)
    assert page.text.count("on the frontier") >= 2
    policy = next(a["content"] for _, a in page.tags if a.get("http-equiv"))
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


def test_nothing_is_loaded_from_elsewhere_and_every_link_leads_somewhere(runs, tmp_path) -> None:
    out = tmp_path / "leaderboard"
    build(runs, out)
    for name, content in site(out).items():
        if not name.endswith(".html"):
            continue
        for tag, attributes in Tags(content.decode()).tags:
            for key in ("href", "src", "srcset"):
                target = attributes.get(key)
                if target is None or target.startswith("#"):
                    continue
                if tag == "a" and name == "published.html" and target == PAPER:
                    continue
                assert not re.match(r"[a-z]+:|//", target), (name, tag, target)
                path = (out / name).parent / target.partition("#")[0]
                assert path.is_file(), (name, tag, target)


def test_a_folder_that_is_not_ours_is_left_alone(runs, tmp_path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "precious.txt").write_text("mine")
    with pytest.raises(UsageError, match="no site of ours"):
        build(runs, out)
    assert site(out) == {"precious.txt": b"mine"}
    with pytest.raises(UsageError, match="is a file"):
        build(runs, out / "precious.txt")


def test_a_build_replaces_what_it_owns_and_keeps_the_rest(make_run, tmp_path) -> None:
    gone = make_run()
    make_run(hash8="beefbeef")
    out = tmp_path / "out"
    build(tmp_path / "runs", out)
    (out / "CNAME").write_text("example.org")
    before = site(out)
    gone.manifest_path.unlink()
    build(tmp_path / "runs", out)
    after = site(out)
    assert after["CNAME"] == b"example.org"
    assert sum(name.startswith("runs/") for name in after) == 1
    assert after.keys() < before.keys()


def test_a_marker_that_points_outside_is_refused(runs, tmp_path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (tmp_path / "precious.txt").write_text("mine")
    (out / "site.json").write_text(json.dumps({"files": ["../precious.txt"]}))
    with pytest.raises(DataError, match="outside"):
        build(runs, out)
    (out / "site.json").write_text("{")
    with pytest.raises(DataError, match=r"site\.json"):
        build(runs, out)
    assert (tmp_path / "precious.txt").exists()


@pytest.mark.parametrize("files", ["javascript:alert(1)", "//evil.example", "/etc", "file:///etc"])
def test_links_to_files_lead_to_relative_places_or_web_addresses(runs, tmp_path, files) -> None:
    with pytest.raises(UsageError, match="--files"):
        build(runs, tmp_path / "out", files=files)


def test_links_to_files_may_lead_to_a_web_address(runs, tmp_path) -> None:
    build(runs, tmp_path / "out", files="https://example.org/runs/")
    page = next((tmp_path / "out" / "runs").glob("*.html")).read_text()
    assert 'href="https://example.org/runs/' in page


def test_a_board_of_runs_without_cost_has_no_chart(make_run, tmp_path) -> None:
    make_run(architecture=None, model="oracle")
    build(tmp_path / "runs", tmp_path / "out")
    assert not (tmp_path / "out" / "charts").exists()
    assert "undefined" in (tmp_path / "out" / "index.html").read_text()


def test_a_group_without_a_choice_has_no_heading_of_its_own(make_run, tmp_path) -> None:
    make_run(dataset="lonely")
    make_run(dataset="pair", method="first_stage", model="no-model", architecture=None, calls={})
    make_run(dataset="pair", rankings={"q1": ("a", "c"), "q2": ("b",), "q3": ("c",), "q4": ("b",)})
    text = build(tmp_path / "runs", tmp_path / "out").read_text()
    headings = re.findall(r"<h2 id=\"g-[^>]*>(.*?) <small>", text)
    assert headings == ["pair", "TREC DL 2019", "TREC DL 2020", "TREC-COVID", "Robust04"]
    assert "lonely" in text


def test_the_dark_picture_is_the_light_one_in_other_colours(runs, tmp_path) -> None:
    charts = build(runs, tmp_path / "out").parent / "charts"
    light, dark = (next(charts.glob(f"*-{name}.svg")).read_text() for name in ("light", "dark"))
    first, second = THEMES
    for part in ("ink", "faint", "paper"):
        assert getattr(first, part) in light
        assert getattr(first, part) not in dark
        light = light.replace(getattr(first, part), getattr(second, part))
    assert light == dark


def test_a_measure_and_a_convention_can_be_chosen(runs, tmp_path) -> None:
    page = build(runs, tmp_path / "out", measures="AP RR", convention="torch").read_text()
    assert ">torch</strong>" in page
    assert '<span data-shows="measure">AP</span>' in page


def test_before_its_data_the_page_weighs_less_than_three_megabytes(runs, tmp_path) -> None:
    out = build(runs, tmp_path / "out").parent
    data = {"board-data.js", "pairs-data.js"}
    loaded = [path for path in out.iterdir() if path.suffix in (".js", ".css", ".svg")]
    weight = sum(path.stat().st_size for path in loaded if path.name not in data)
    assert weight + (out / "index.html").stat().st_size < 3_000_000


def test_the_chart_library_brings_its_interpreter_and_is_always_the_same() -> None:
    # Without the interpreter, charts would need a policy that allows code made from text.
    assert "expressionInterpreter" in library()
    library.cache_clear()
    first = library()
    library.cache_clear()
    assert library() == first
