"""`e2r leaderboard` on the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from e2r.cli import main


def call(*words: str) -> int:
    with pytest.raises(SystemExit) as left:
        main(["leaderboard", *words])
    return left.value.code


def qrels(folder: Path) -> tuple[str, str]:
    return "--qrels", f"small={folder / 'small.qrels'}"


def test_the_pages_path_is_printed(make_run, tmp_path, capsys) -> None:
    make_run()
    out = tmp_path / "out"
    assert call("--runs", str(tmp_path / "runs"), "--out", str(out), *qrels(tmp_path)) == 0
    assert capsys.readouterr().out == f"{out / 'index.html'}\n"


def test_no_runs_is_bad_input(tmp_path, capsys) -> None:
    assert call("--runs", str(tmp_path), "--out", str(tmp_path / "out")) == 3
    assert "holds no run folder" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_the_papers_rows_can_be_left_out(make_run, tmp_path, capsys) -> None:
    make_run()
    out = tmp_path / "out"
    assert (
        call("--runs", str(tmp_path / "runs"), "--out", str(out), "--no-paper", *qrels(tmp_path))
        == 0
    )
    assert "published" not in (out / "index.html").read_text()
    assert not (out / "published.html").exists()
