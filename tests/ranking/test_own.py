"""A method of the user's own: the documented example from forecast to board; who may run it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

import e2r
from e2r.borders.own_code import is_own, label_of, own_code
from e2r.cli import cli
from e2r.errors import DataError, UsageError
from e2r.metrics.evaluation import evaluate
from e2r.ranking import METHODS, method, named, own
from e2r.ranking.plan import drive
from e2r.records.folder import RunFolder
from tests.ranking.answering import by_relevance, shuffled

PAGE = Path(e2r.__file__).parents[1] / "docs" / "own-methods.md"
RUN = "run --dataset demo --model random:1 --depth 9 --limit 3 --k 2 --method ./mine.py:plan"


@pytest.fixture(autouse=True)
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The page's example as ./mine.py, on a machine where nothing was typed before."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(own, "LOADED", {})
    [example] = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len([line for line in example.splitlines() if line.strip()]) <= 20
    path = tmp_path / "mine.py"
    path.write_text(example)
    return path


def said(words: str) -> str:
    done = CliRunner().invoke(cli, words.split())
    assert done.exit_code == 0, (done.output, done.exception)
    return done.output


def refused(words: str) -> str:
    done = CliRunner().invoke(cli, words.split())
    assert isinstance(done.exception, UsageError), done.output
    return f"{done.output}{done.exception}"


def test_it_ranks(mine: Path) -> None:
    found, relevance = named("./mine.py:plan", None), shuffled(30)
    driven = drive(found.plan(30, 5), by_relevance(relevance))
    assert driven.result[:5] == sorted(range(30), key=lambda i: -relevance[i])[:5]
    assert found.name == label_of("mine.py:plan", own_code("./mine.py:plan", None).sha256)
    assert re.fullmatch(r"own\.mine-[0-9a-f]{8}", found.name)
    assert (found.parameters, found.reads) == ({"group": 4}, "setwise.heapsort")
    assert found.under("mended") is found


def test_it_runs_is_resumed_and_stands_on_the_board(mine: Path) -> None:
    said(RUN)
    [place] = Path("runs").rglob("manifest.json")
    folder = RunFolder(place.parent)
    label = label_of("mine.py:plan", own_code("./mine.py:plan", None).sha256)
    manifest = folder.manifest()
    assert (manifest.status, manifest.method) == ("complete", label)
    assert manifest.identity["source"].startswith(label[-8:])
    assert folder.path.name.startswith(label)
    said(f"run {folder.spec_path} --resume")
    [row] = evaluate([str(folder.path)]).rows
    assert row.manifest.method == label
    said(f"validate {folder.path}")
    said("leaderboard --runs runs --out board")
    assert label in (Path("board") / "index.html").read_text(encoding="utf-8") + "".join(
        page.read_text(encoding="utf-8") for page in Path("board").rglob("*.js*")
    )


def test_it_is_forecast_and_planned(mine: Path) -> None:
    words = "estimate Qwen/Qwen3-4B --method ./mine.py:plan --depth 20 --k 1 --json"
    assert '"calls_per_query": 7.0' in said(words)
    assert '"calls_per_query": 5.0' in said(f"{words} --parameter group=5")
    said("budget --petaflops 1 --models Qwen/Qwen3-4B --methods ./mine.py:plan --depths 20")
    assert "unknown parameter" in refused(f"{words} --parameter size=5")


def test_a_spec_alone_never_runs_it(mine: Path) -> None:
    said(RUN)
    [spec] = Path("runs").rglob("spec.toml")
    said(f"run {spec} --resume")
    mine.write_text(mine.read_text() + "print('hello')\n")
    own.LOADED.clear()
    told = refused(f"run {spec} --resume")
    assert "not typed here as it now is" in told
    assert "hello" not in told
    said("trust --forget all")
    own.LOADED.clear()
    assert "not typed" in refused(f"run {spec} --resume")
    with pytest.raises(UsageError, match="type it by --method"):
        method(f"{mine}:plan")


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("def plan(n, k):\n    return []\n", "no generator"),
        ("def plan(n, k, size):\n    yield []\n", "size needs a whole number"),
        ("def plan(k, n):\n    yield []\n", "begins with n and k"),
        ("def plan(n, k):\n    yield 1 / 0\n", "line 2: ZeroDivisionError"),
        ("def plan(n, k:\n", "SyntaxError"),
        ("def plan(n, k):\n    return list(range(n))\n    yield\n", "asks nothing"),
        ("def plan(n, k):\n    yield []\n", "empty round"),
        ("def plan(n, k):\n    yield [1]\n", "tasks of one kind"),
        ("from e2r.ranking.plan import Score\ndef plan(n, k):\n    yield [Score(n)]\n", "of 20"),
        ("READS = 'no.such'\ndef plan(n, k):\n    yield []\n", "READS"),
    ],
)
def test_faults_are_told_with_their_place(mine: Path, text: str, match: str) -> None:
    mine.write_text(text)
    with pytest.raises(DataError, match=match):
        named("./mine.py:plan", None)


def test_a_ranking_that_is_none_is_told(mine: Path) -> None:
    mine.write_text(
        "from e2r.ranking.plan import Score\n"
        "def plan(n, k):\n    yield [Score(0)]\n    return [0] * n\n"
    )
    found = named("./mine.py:plan", None)
    with pytest.raises(DataError, match=r"each of range\(3\) once"):
        drive(found.plan(3, 1), by_relevance([1.0, 2.0, 3.0]))


def test_no_word_of_ours_is_taken_for_a_file() -> None:
    assert not any(is_own(name) for name in METHODS)
    assert is_own("/a b/mine.py:plan")
    assert not is_own("mine.py")
    assert not is_own("setwise.heapsort:20")


PACKAGE = """
import mine


def answerer(word, spec, stages):
    from e2r.models.simulated.random import Random

    return Random(int(word))
"""
POINTS = """[e2r.methods]
acme.knockout = mine:plan
[e2r.models]
acme = acme_models:answerer
"""


def test_an_installed_package_brings_methods_and_answerers(
    mine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from e2r.models import outside

    (mine.parent / "acme_models.py").write_text(PACKAGE)
    folder = mine.parent / "acme-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1.0\n")
    (folder / "entry_points.txt").write_text(POINTS)
    monkeypatch.syspath_prepend(str(mine.parent))
    for cached in (own.installed, outside.installed):
        cached.cache_clear()
    try:
        words = RUN.replace("random:1", "acme:1").replace("./mine.py:plan", "acme.knockout")
        said(words)
        [place] = Path("runs").rglob("manifest.json")
        manifest = RunFolder(place.parent).manifest()
        assert (manifest.method, manifest.model.id) == ("acme.knockout", "random:1")
        assert len(manifest.identity["source"]) == 64
        assert method("acme.knockout").source.startswith("acme 1.0, sha256")
        assert "acme.knockout" in said("list methods --json")
        said(f"validate {place.parent}")
    finally:
        monkeypatch.undo()
        own.installed.cache_clear()
        outside.installed.cache_clear()
