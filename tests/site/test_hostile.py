"""Runs from strangers: their text stays text, their paths stay inside, their lies are refused."""

from __future__ import annotations

import json

import pytest

from e2r.cli import main
from e2r.errors import DataError
from e2r.metrics import evaluate
from tests.site.hostile_run import ASKED, HOSTILE, write_evil
from tests.site.reading import Tags, build, data, site


@pytest.fixture
def hostile(make_run, tmp_path):
    """The folder of runs that holds a hostile one."""
    write_evil(make_run(**ASKED))
    return tmp_path / "runs"


def test_hostile_text_stays_text_everywhere(hostile, tmp_path) -> None:
    out = tmp_path / "out"
    build(hostile, out)
    own = {"index.html": 8, "what-if.html": 8}
    for name, content in site(out).items():
        text = content.decode()
        if name.endswith(".html"):
            page = Tags(text)
            scripts = [attributes for tag, attributes in page.tags if tag == "script"]
            assert len(scripts) == own.get(name, 0), name
            assert all("src" in attributes for attributes in scripts), name
            assert not any(key.startswith("on") for _, found in page.tags for key in found), name
            assert not {"svg", "b", "i"} & {tag for tag, _ in page.tags if name != "about.html"}
            if name == "index.html" or name.startswith("runs/"):
                assert HOSTILE in page.text, name
        elif name.endswith(".svg"):
            assert "<script" not in text
            assert "onload=x>" not in text.replace("&gt;", "")
    assert all(path.resolve().is_relative_to(out.resolve()) for path in out.rglob("*"))


def test_hostile_text_in_the_data_scripts_is_a_string_and_nothing_else(hostile, tmp_path) -> None:
    out = build(hostile, tmp_path / "out").parent
    for name in ("board-data.js", "pairs-data.js"):
        text = (out / name).read_text(encoding="ascii")
        assert text.startswith("window.e2r")
        assert text.count("\n") == 1
    [row] = [row for row in data(out / "board-data.js")["rows"] if row["place"]]
    assert row["label"] == row["method"] == row["dataset"] == HOSTILE
    assert row["page"].startswith("runs/")
    assert set(row["page"].removeprefix("runs/")) <= set("abcdefghijklmnopqrstuvwxyz0123456789-.")


def test_every_page_has_the_same_strict_policy(hostile, tmp_path) -> None:
    build(hostile, tmp_path / "out")
    policies = set()
    for path in (tmp_path / "out").rglob("*.html"):
        tags = Tags(path.read_text()).tags
        policies.add(next(a["content"] for _, a in tags if a.get("http-equiv")))
        assert not any("style" in attributes for _, attributes in tags)
    [policy] = policies
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules["default-src"] == "'none'"
    assert rules["script-src"] == rules["style-src"] == rules["img-src"] == "'self' file:"
    assert rules["base-uri"] == rules["form-action"] == "'none'"


def test_a_huge_name_is_shown_and_makes_no_huge_file_name(make_run, tmp_path) -> None:
    folder = make_run()
    manifest = folder.manifest()
    name = "n" * 3_000
    folder.write_manifest(
        manifest.model_copy(update={"model": manifest.model.model_copy(update={"name": name})})
    )
    build(tmp_path / "runs", tmp_path / "out")
    out = tmp_path / "out"
    assert max(len(path.name) for path in out.rglob("*")) < 120
    for name in ("index.html", "board-data.js"):
        text = (out / name).read_text()
        assert "n" * 300 in text
        assert "n" * 301 not in text


def test_a_huge_specification_is_cut(make_run, tmp_path) -> None:
    folder = make_run()
    spec = folder.spec_path.read_text() + "#" * 60_000
    folder.spec_path.write_text(spec)
    from e2r.borders.reading import sha256_of

    manifest = folder.manifest()
    files = {**manifest.files, "spec.toml": sha256_of(folder.spec_path)}
    folder.write_manifest(manifest.model_copy(update={"files": files}))
    build(tmp_path / "runs", tmp_path / "out")
    [page] = (tmp_path / "out" / "runs").glob("*.html")
    assert page.stat().st_size < 100_000


def test_a_folder_that_leads_elsewhere_is_not_followed(make_run, tmp_path) -> None:
    make_run()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "manifest.json").write_text("{}")
    (tmp_path / "runs" / "trick").symlink_to(elsewhere, target_is_directory=True)
    build(tmp_path / "runs", tmp_path / "out")
    assert len(list((tmp_path / "out" / "runs").iterdir())) == 1


def test_a_result_that_speaks_of_another_ledger_is_refused(make_run, tmp_path) -> None:
    folder = make_run()
    evaluate(folder.path, save=True)
    (tmp_path / "small.qrels").unlink()
    kept = json.loads(folder.result_path.read_text())
    kept["inputs"]["ledger.parquet"] = "0" * 64
    folder.result_path.write_text(json.dumps(kept))
    notes: list[str] = []
    with pytest.raises(DataError, match="none of the runs"):
        build(tmp_path / "runs", tmp_path / "out", note=notes.append)
    assert "result.json belongs to other files" in notes[0]
    assert not (tmp_path / "out").exists()


def test_a_result_that_lies_is_not_believed_where_the_judgments_are_at_hand(make_run, tmp_path):
    folder = make_run()
    evaluate(folder.path, "nDCG@10 AP", save=True)
    kept = json.loads(folder.result_path.read_text())
    kept["measures"] = {name: dict.fromkeys(of, 1.0) for name, of in kept["measures"].items()}
    folder.result_path.write_text(json.dumps(kept))
    found = data(build(tmp_path / "runs", tmp_path / "out").parent / "board-data.js")
    [wanted] = evaluate(folder.path, "nDCG@10 AP").rows
    [row] = [row for row in found["rows"] if row["place"]]
    for name, span in zip(found["measures"], row["quality"], strict=True):
        assert span[0] == pytest.approx(wanted.measures[name].value, rel=1e-5) != 1.0


def test_a_result_cannot_flood_the_board_with_measures(make_run, tmp_path) -> None:
    folder = make_run()
    evaluate(folder.path, save=True)
    kept = json.loads(folder.result_path.read_text())
    values = kept["measures"]["nDCG@10"]
    names = [f"P@{number}" for number in range(1, 300)] + [HOSTILE, "x" * 9000]
    kept["measures"] |= dict.fromkeys(names, values)
    folder.result_path.write_text(json.dumps(kept))
    found = data(build(tmp_path / "runs", tmp_path / "out").parent / "board-data.js")
    assert len(found["measures"]) <= 9
    assert HOSTILE not in found["measures"]


def test_a_ledger_that_was_changed_is_refused(make_run, tmp_path) -> None:
    folder = make_run()
    other = make_run(hash8="beefbeef", calls={"q1": [(91, 1, 1)]})
    folder.ledger_path.write_bytes(other.ledger_path.read_bytes())
    notes: list[str] = []
    build(tmp_path / "runs", tmp_path / "out", note=notes.append)
    assert len(notes) == 1
    assert "changed since the run finished" in notes[0]
    assert len(list((tmp_path / "out" / "runs").iterdir())) == 1


def test_the_gate_refuses_what_the_board_would_only_escape(hostile, capsys) -> None:
    with pytest.raises(SystemExit) as left:
        main(["validate", str(hostile)])
    assert left.value.code == 3
    said = capsys.readouterr().out
    assert "etc/passwd" in said
