"""The site: ranks only equals, shows hostile text as text, and is rebuilt byte for byte."""

from __future__ import annotations

import csv
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from e2r.errors import DataError, UsageError
from e2r.metrics import evaluate
from e2r.site import build
from e2r.site.board import make_board

RERANKED = {"q1": ("a", "c", "b", "d"), "q2": ("b", "d", "a", "c"), "q3": ("c", "e"), "q4": ("b",)}
HOSTILE = "<script>alert(1)</script>\"'&{{7*7}}$x$--><svg onload=x>"


class Tags(HTMLParser):
    """Every tag of a page with its attributes, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture
def runs(make_run, tmp_path: Path) -> Path:
    """BM25, two rerankers, the oracle, a partial run, and a run on another dataset."""
    make_run(method="first_stage", model="no-model", architecture=None, calls={})
    make_run(method="setwise.heapsort", rankings=RERANKED)
    make_run(method="pointwise.yes_no", calls={"q1": [(9000, 1, 1)]})
    make_run(method="setwise.heapsort", model="oracle", architecture=None, rankings=RERANKED)
    make_run(method="listwise.generation", failed=("q2",))
    make_run(method="pointwise.qlm", dataset="other")
    return tmp_path / "runs"


def site(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_runs_rank_only_against_equals(runs) -> None:
    board = make_board(evaluate(runs), runs)
    assert [group.dataset for group in board.groups] == ["other", "small"]
    small = board.groups[1]
    found = {(entry.label, entry.row.manifest.method): entry for entry in small.entries}
    assert found["tiny-llama", "setwise.heapsort"].rank == 1
    assert found["BM25", "first_stage"].rank == 2
    assert found["tiny-llama", "pointwise.yes_no"].rank == 2
    assert found["oracle", "setwise.heapsort"].rank is None
    assert [entry.label for entry in small.best_for_budget] == ["BM25", "tiny-llama"]
    assert [entry.row.manifest.method for entry in board.incomplete] == ["listwise.generation"]
    assert board.incomplete[0].rank is None
    assert not board.incomplete[0].on_frontier


def test_same_runs_with_other_queries_depth_or_candidates_are_other_groups(make_run, tmp_path):
    make_run()
    make_run(hash8="00000001", depth=2)
    make_run(hash8="00000002", rankings={"q1": ("a",), "q2": ("b",)}, calls={})
    board = make_board(evaluate(tmp_path / "runs"), tmp_path / "runs")
    assert len(board.groups) == 3


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
    assert sum(tag == "table" for tag, _ in page.tags) == 2
    assert sum(tag == "caption" for tag, _ in page.tags) == 2
    assert sum(attributes.get("scope") == "row" for _, attributes in page.tags) == 6
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
                assert not re.match(r"[a-z]+:|//", target), (name, tag, target)
                assert ((out / name).parent / target).is_file(), (name, tag, target)


def test_hostile_text_stays_text_everywhere(make_run, tmp_path) -> None:
    asked = {"model": "evil", "revision": HOSTILE, "notes": (HOSTILE,), "command": ("e2r", HOSTILE)}
    folder = make_run(**asked, failed=())
    manifest = folder.manifest()
    changed = manifest.model_copy(
        update={
            "method": HOSTILE,
            "run": "../../../../etc/passwd",
            "finished": HOSTILE,
            "model": manifest.model.model_copy(update={"id": HOSTILE, "name": HOSTILE}),
            "dataset": manifest.dataset.model_copy(update={"id": HOSTILE, "first_stage": HOSTILE}),
        }
    )
    folder.write_manifest(changed)
    out = tmp_path / "out"
    build(tmp_path / "runs", out)
    for name, content in site(out).items():
        text = content.decode()
        if name.endswith(".html"):
            page = Tags(text)
            scripts = [attributes for tag, attributes in page.tags if tag == "script"]
            assert len(scripts) == (name == "index.html"), name
            assert not any("onload" in attributes for _, attributes in page.tags), name
            assert name == "about.html" or HOSTILE in page.text or HOSTILE in str(page.tags), name
        elif name.endswith(".svg"):
            assert "<script" not in text
            assert "onload=x>" not in text.replace("&gt;", "")
    assert all(path.resolve().is_relative_to(out.resolve()) for path in out.rglob("*"))


def test_a_huge_name_is_shown_and_makes_no_huge_file_name(make_run, tmp_path) -> None:
    folder = make_run()
    manifest = folder.manifest()
    name = "n" * 50_000
    folder.write_manifest(
        manifest.model_copy(update={"model": manifest.model.model_copy(update={"name": name})})
    )
    build(tmp_path / "runs", tmp_path / "out")
    assert max(len(path.name) for path in (tmp_path / "out").rglob("*")) < 120


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


def test_downloads_say_what_evaluate_says(runs, tmp_path) -> None:
    build(runs, tmp_path / "out")
    board = json.loads((tmp_path / "out" / "board.json").read_text())
    rows = {Path(row["run"]): row for row in evaluate(runs).to_json()}
    listed = [run for group in board["groups"] for run in group["runs"]] + board["incomplete"]
    assert len(listed) == len(rows) == 6
    for run in listed:
        wanted = rows[runs / run["run"]]
        for part, value in wanted["rpp"]["nDCG@10"].items():
            close = None if value is None else pytest.approx(value, rel=1e-5)
            assert run["rpp"]["nDCG@10"][part] == close
        assert run["calls_per_query"] == wanted["calls_per_query"]
    lines = list(csv.DictReader(io.StringIO((tmp_path / "out" / "board.csv").read_text())))
    assert [line["run"] for line in lines] == [run["run"] for run in listed]


def test_no_cell_of_the_csv_is_a_formula(make_run, tmp_path) -> None:
    make_run(dataset="=1+1")
    build(tmp_path / "runs", tmp_path / "out")
    text = (tmp_path / "out" / "board.csv").read_text()
    assert "'=1+1" in text


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


def test_a_measure_and_a_convention_can_be_chosen(runs, tmp_path) -> None:
    page = build(runs, tmp_path / "out", measures="AP RR", convention="torch").read_text()
    assert "convention <strong>torch</strong>" in page
    assert '<th scope="col" data-kind="number" data-first="descending">AP</th>' in page
