"""The committed leaderboard is the one that the committed runs give, byte for byte."""

from __future__ import annotations

from pathlib import Path

import pytest

from e2r.site.build import build

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.slow


def files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_the_board_is_rebuilt_byte_for_byte(tmp_path: Path, shared_data: Path) -> None:
    names = ("trec-dl-2019", "trec-dl-2020")
    qrels = [f"{name}={shared_data / name / 'qrels.txt'}" for name in names]
    rankings = [str(shared_data / "published")]
    notes: list[str] = []
    board = tmp_path / "board"
    told = {"qrels": qrels, "rankings": rankings, "project": "../README.md", "note": notes.append}
    built = build(ROOT / "runs", board, **told).parent
    assert notes == []
    committed, rebuilt = files(ROOT / "leaderboard"), files(built)
    assert committed.keys() == rebuilt.keys()
    changed = [name for name in committed if committed[name] != rebuilt[name]]
    assert not changed, "run `make leaderboard` and commit what it writes"


def test_every_committed_run_is_on_the_board() -> None:
    board = (ROOT / "leaderboard" / "index.html").read_text(encoding="utf-8")
    rows = [*(ROOT / "runs").rglob("manifest.json"), *(ROOT / "runs").rglob("priced.json")]
    assert rows
    for row in rows:
        assert row.parent.name in board
