"""Nothing is written or removed through a link, over a special file, or that is another's."""

from __future__ import annotations

import ast
import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

import e2r
from e2r.borders.writing import append, lock_file, make_folder, output, write, write_below
from e2r.cli import cli
from e2r.errors import E2RError, UsageError

RUN = "run --dataset demo --limit 2 --depth 3 --model oracle --method pointwise.yes_no"
# The index of a search lies in the user's own cache, and the tables of calls in the package.
MAY_WRITE = {"borders/writing.py", "data/bm25/index.py", "site/call_tables.py"}
WRITES = {"write_text", "write_bytes", "unlink", "rmtree", "rename", "touch", "symlink_to", "rmdir"}


def files_under(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    """A folder of somebody's files, which no test may change."""
    folder = tmp_path / "victim"
    (folder / "inner").mkdir(parents=True)
    for name in ("file", "inner/aaaaaaaaaaaaaaaa.parquet", "manifest.json", "x.html"):
        (folder / name).write_text("precious")
    return folder


@pytest.fixture
def run_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    assert CliRunner().invoke(cli, RUN.split()).exit_code == 0
    [spec] = Path("runs").rglob("spec.toml")
    return spec.parent.resolve()


def test_one_module_writes_and_removes() -> None:
    package = Path(e2r.__file__).parent
    for path in package.rglob("*.py"):
        name = path.relative_to(package).as_posix()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            called = getattr(node, "func", None)
            opens = isinstance(called, ast.Attribute | ast.Name) and (
                (called.attr if isinstance(called, ast.Attribute) else called.id) == "open"
            )
            modes = [
                word.value
                for word in (node.args if opens and isinstance(node, ast.Call) else ())
                if isinstance(word, ast.Constant) and isinstance(word.value, str)
            ]
            writes = isinstance(called, ast.Attribute) and called.attr in WRITES
            writes = writes or any(set(mode) & set("wax+") and len(mode) < 4 for mode in modes)
            assert not writes or name in MAY_WRITE, f"{name} writes at {ast.unparse(node)}"


NAMES = (
    "result.json",
    "manifest.json",
    "per_query.jsonl",
    "ledger.parquet",
    "spec.toml",
    "run.trec.gz",
    "ir-metadata.yml",
    ".lock",
    "parts",
)


@pytest.mark.parametrize("name", [*NAMES, *(f".{name}.tmp" for name in NAMES)])
@pytest.mark.parametrize("words", ["evaluate {0}", "run {0}/spec.toml --resume", "validate {0}"])
def test_links_in_a_run_folder_lead_nowhere(
    run_folder: Path, victim: Path, name: str, words: str
) -> None:
    before = files_under(victim)
    link = run_folder / name
    kept = link.read_bytes() if link.is_file() else b""
    for status in ("complete", "started"):
        manifest = (run_folder / "manifest.json").resolve()
        text = manifest.read_text() if manifest.is_file() else ""
        if manifest.is_relative_to(run_folder) and text:
            manifest.write_text(text.replace('"status": "complete"', f'"status": "{status}"'))
        for target in ("inner", "file"):
            # The link shows what was there, so that only the link itself can be refused.
            link.unlink(missing_ok=True)
            if target == "file":
                (victim / "file").write_bytes(kept or b"precious")
                before = files_under(victim)
            link.symlink_to(victim / target)
            result = CliRunner().invoke(cli, words.format(run_folder).split())
            assert result.exception is None or isinstance(result.exception, SystemExit | E2RError)
            assert files_under(victim) == before


@pytest.mark.parametrize("level", [0, 1, 2])
def test_a_run_is_not_written_through_a_link_on_its_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, victim: Path, level: int
) -> None:
    monkeypatch.chdir(tmp_path)
    assert CliRunner().invoke(cli, [*RUN.split(), "--runs", "first"]).exit_code == 0
    [spec] = Path("first").rglob("spec.toml")
    parts = spec.parent.relative_to("first").parts
    place = Path("runs").joinpath(*parts[: level + 1])
    place.parent.mkdir(parents=True)
    place.symlink_to(victim)
    before = files_under(victim)
    with pytest.raises(UsageError, match="link"):
        CliRunner().invoke(cli, RUN.split(), catch_exceptions=False)
    assert files_under(victim) == before
    # The folder of all runs is the user's to choose, a link as well.
    Path("mine").symlink_to("first")
    again = CliRunner().invoke(cli, [*RUN.split(), "--runs", "mine", "--resume"])
    assert again.exit_code == 0, again.output


def test_a_run_removes_only_its_own_parts(run_folder: Path) -> None:
    parts = run_folder / "parts"
    parts.mkdir()
    for name in ("theirs.txt", "aaaaaaaaaaaaaaaa.parquet", f".x.{'0' * 16}.tmp"):
        (parts / name).write_text("x")
    (parts / "folder").mkdir()
    result = CliRunner().invoke(cli, ["run", str(run_folder / "spec.toml"), "--resume"])
    assert result.exit_code == 0, result.output
    assert sorted(path.name for path in parts.iterdir()) == ["folder", "theirs.txt"]


def build(tmp_path: Path) -> int:
    words = ["leaderboard", "--runs", str(tmp_path / "runs"), "--out", str(tmp_path / "site")]
    return CliRunner().invoke(cli, [*words, "--no-paper"]).exit_code


@pytest.mark.parametrize("name", ["runs", "index.html", "site.json", "board.csv"])
def test_a_site_is_not_written_through_links(
    run_folder: Path, tmp_path: Path, victim: Path, name: str
) -> None:
    assert build(tmp_path) == 0
    site = tmp_path / "site"
    place = site / name
    target = victim if place.is_dir() else victim / "file"
    if target == victim:
        for page in place.iterdir():
            (victim / page.name).write_text("precious")
    place.rename(tmp_path / "before")
    place.symlink_to(target)
    before = files_under(victim)
    assert build(tmp_path) in (1, 2, 3)
    assert files_under(victim) == before


def test_a_site_removes_only_what_a_build_makes(run_folder: Path, tmp_path: Path) -> None:
    assert build(tmp_path) == 0
    site = tmp_path / "site"
    for name in ("thesis.tex", "runs/thesis.tex", "notes/x.html"):
        (site / name).parent.mkdir(exist_ok=True)
        (site / name).write_text("precious")
    marker = site / "site.json"
    text = marker.read_text().replace(
        '"files": [', '"files": ["thesis.tex", "runs/thesis.tex", "notes/x.html",'
    )
    marker.write_text(text)
    assert build(tmp_path) == 0
    assert (site / "thesis.tex").exists()
    assert (site / "runs" / "thesis.tex").exists()
    assert (site / "notes" / "x.html").exists()


def price(out: Path) -> int:
    calls = Path("calls.csv")
    calls.write_text("prompt_tokens,generated_tokens\n5,1\n")
    words = ["estimate", "Qwen/Qwen2.5-7B-Instruct", "--usage", str(calls), "--out", str(out)]
    try:
        return CliRunner().invoke(cli, words, catch_exceptions=False).exit_code
    except UsageError:
        return 2


def test_an_output_is_never_put_in_the_place_of_a_special_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    fifo, folder, kept = tmp_path / "fifo", tmp_path / "folder", tmp_path / "kept.csv"
    os.mkfifo(fifo)
    folder.mkdir()
    kept.write_text("precious")
    kept.chmod(0o444)
    link = tmp_path / "link.csv"
    link.symlink_to(kept)
    dangling = tmp_path / "dangling.csv"
    dangling.symlink_to(tmp_path / "nowhere")
    for path in (fifo, folder, kept, link, dangling, kept / "x", tmp_path / "no" / "x"):
        assert price(path) == 2, path
    assert stat.S_ISFIFO(fifo.stat().st_mode)
    assert kept.read_text() == "precious"
    assert not (tmp_path / "nowhere").exists()
    heard: list[str] = []
    reader = threading.Thread(target=lambda: heard.append(fifo.read_text()))
    reader.start()
    while price(fifo) == 2:  # until the reader has opened its end
        pass
    reader.join()
    assert heard[0].startswith("prompt_tokens,generated_tokens,flops\n5,1,")
    assert stat.S_ISFIFO(fifo.stat().st_mode)
    assert price(Path("/dev/null")) == 0
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)


def test_a_write_that_fails_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write(path, b"before")

    def fail() -> None:
        with output(path) as stream:
            stream.write(b"half")
            raise ValueError("stopped")

    with pytest.raises(ValueError, match="stopped"):
        fail()
    assert files_under(tmp_path) == {"file": b"before"}


@pytest.mark.parametrize(
    "act",
    [
        lambda place: write(place / "link" / "x", b"", place),
        lambda place: write(place / "link" / "x", b""),
        lambda place: write(place / "file", b""),
        lambda place: append(place / "file", b"x"),
        lambda place: lock_file(place / "file"),
        lambda place: make_folder(place / "link" / "x", place),
        lambda place: write_below(place, "link/x", b""),
        lambda place: write_below(place, "inner/../../x", b""),
    ],
)
def test_every_way_to_write_refuses_links(
    tmp_path: Path, victim: Path, act: Callable[[Path], object]
) -> None:
    place = tmp_path / "place"
    (place / "inner").mkdir(parents=True)
    (place / "link").symlink_to(victim)
    (place / "file").symlink_to(victim / "file")
    before = files_under(victim)
    with pytest.raises(UsageError):
        act(place)
    assert files_under(victim) == before
    assert not (tmp_path / "x").exists()
