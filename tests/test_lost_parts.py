"""Parts of a run that vanish, break or are taken away: a run is complete only with every call."""

from __future__ import annotations

import errno
import gc
import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from e2r.borders.writing import write
from e2r.data.stream import Joined
from e2r.engines.progress import Silent
from e2r.errors import IncompleteError
from e2r.models.simulated.random import Random
from e2r.records.folder import RunFolder
from e2r.records.ledger import read_ledger
from e2r.records.query import QueryRecord
from e2r.records.spec import Spec
from e2r.runner import run
from tests.small_collection import write_collection

QUERIES = 6


@pytest.fixture
def asked(tmp_path: Path) -> Spec:
    place = write_collection(tmp_path / "small", queries=QUERIES)
    tables: dict[str, Any] = {
        "data": {
            "dataset": f"beir:{place}",
            "candidates": str(place / "first.run"),
            "depth": 6,
        },
        "model": {"source": "random:7"},
        "method": {"name": "setwise.heapsort", "k": 3},
    }
    return Spec.of(tables, "the test")


@pytest.fixture(autouse=True)
def one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was counted is all there is on disk, so that a peer finds what a test speaks of."""
    monkeypatch.setattr("e2r.records.commits.AHEAD", 0)


class Peer(Silent):
    """Does something to the run's folder when a query of a number has finished."""

    def __init__(self, act: Callable[[Path], None], after: int) -> None:
        self._act, self._after = act, after
        self.notes: list[str] = []
        self.finished: list[str] = []

    def started(self, folder: Path, *rest: Any) -> None:
        self.folder = folder

    def note(self, text: str) -> None:
        self.notes.append(text)

    def query_finished(self, record: QueryRecord) -> None:
        self.finished.append(record.qid)
        if len(self.finished) == self._after:
            self._act(self.folder)


def a_part(folder: Path) -> Path:
    return sorted((folder / "parts").iterdir())[0]


def empty(folder: Path) -> None:
    a_part(folder).write_bytes(b"")


def garble(folder: Path) -> None:
    part = a_part(folder)
    content = bytearray(part.read_bytes())
    content[8:400] = b"\xff" * 392
    part.write_bytes(content)


def swap(folder: Path) -> None:
    first, second = sorted((folder / "parts").iterdir())[:2]
    shutil.copy(first, second)


def remove(folder: Path) -> None:
    a_part(folder).unlink()


def remove_all(folder: Path) -> None:
    shutil.rmtree(folder / "parts")
    (folder / "parts").mkdir()


def cut_lines(folder: Path) -> None:
    path = folder / "per_query.jsonl"
    path.write_text("".join(path.read_text().splitlines(True)[1:]))


def remove_lines(folder: Path) -> None:
    (folder / "per_query.jsonl").unlink()


def answers(folder: RunFolder) -> tuple[list[dict[str, Any]], bytes]:
    """What every undisturbed run of the spec says: its ledger without the clock, its ranking."""
    table = read_ledger(folder.ledger_path)
    return (
        table.drop_columns(["seconds", "batch_size", "padded_tokens"]).to_pylist(),
        folder.run_path.read_bytes(),
    )


LOSSES = [empty, garble, swap, remove, remove_all, cut_lines, remove_lines]


@pytest.mark.parametrize("act", LOSSES)
def test_a_run_that_lost_calls_is_not_complete_and_asks_them_again(
    asked: Spec, tmp_path: Path, act: Callable[[Path], None]
) -> None:
    peer = Peer(act, QUERIES)
    with pytest.raises(IncompleteError, match=r"of 6 queries have lost their calls.*--resume"):
        run(asked, tmp_path / "runs", progress=peer)
    folder = RunFolder(peer.folder)
    assert folder.manifest().status == "started"
    again = run(asked, tmp_path / "runs", resume=True)
    assert again.manifest().status == "complete"
    assert answers(again) == answers(run(asked, tmp_path / "whole"))
    assert not (folder.path / "parts").exists()


@pytest.mark.parametrize("act", [empty, garble, swap])
def test_a_part_that_cannot_be_read_is_moved_aside_and_asked_again(
    asked: Spec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, act: Callable[[Path], None]
) -> None:
    """A crash leaves four queries, one of which cannot be read; the resume says so and ends."""

    def crash(folder: Path) -> None:
        act(folder)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(asked, tmp_path / "runs", progress=Peer(crash, 4))
    seen: list[str] = []
    peer = Peer(lambda folder: seen.extend(p.name for p in (folder / "parts").iterdir()), 1)
    again = run(asked, tmp_path / "runs", resume=True, progress=peer)
    assert sum(name.endswith(".unreadable") for name in seen) == 1
    [note] = [text for text in peer.notes if "asked again" in text]
    assert note in again.manifest().notes
    assert len(peer.finished) == 3
    assert again.manifest().status == "complete"
    assert answers(again) == answers(run(asked, tmp_path / "whole"))


@pytest.mark.parametrize("gone", ["folder", "parts", "right"])
def test_a_folder_that_is_taken_away_is_incomplete_and_no_bug(
    asked: Spec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gone: str
) -> None:
    def act(folder: Path) -> None:
        if gone != "right":
            shutil.rmtree(folder if gone == "folder" else folder / "parts")
            return

        # Root may write anywhere, so that a mode would not show what another user sees.
        def denied(path: Path, *_: Any, **__: Any) -> None:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

        monkeypatch.setattr("e2r.records.ledger.replacing", denied)

    monkeypatch.setattr(Random, "batch_size", 1, raising=False)
    with pytest.raises(IncompleteError, match=r"cannot be written|have lost their calls"):
        run(asked, tmp_path / "runs", progress=Peer(act, 2))
    monkeypatch.undo()
    again = run(asked, tmp_path / "runs", resume=True)
    assert again.manifest().status == "complete"
    assert answers(again) == answers(run(asked, tmp_path / "whole"))


def test_a_name_is_on_disk_before_the_write_is_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A strict file system keeps a rename only once the folder itself is flushed."""
    done: list[str] = []
    replace, fsync = os.replace, os.fsync

    def noted_replace(*words: Any, **more: Any) -> None:
        replace(*words, **more)
        done.append("renamed")

    def noted_fsync(handle: int) -> None:
        fsync(handle)
        done.append("folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "file")

    monkeypatch.setattr(os, "replace", noted_replace)
    monkeypatch.setattr(os, "fsync", noted_fsync)
    write(tmp_path / "part", b"calls")
    assert done == ["file", "renamed", "folder"]


def test_reading_and_merging_of_parts_are_told(asked: Spec, tmp_path: Path) -> None:
    """Each part is told of when it is read again and when it is merged, and how many there are."""

    class Hears(Silent):
        def __init__(self) -> None:
            self.heard: list[tuple[str, int, int]] = []

        def working(self, text: str, done: int, count: int) -> None:
            self.heard.append((text, done, count))

    class Leaves(Silent):
        def query_finished(self, record: QueryRecord) -> None:
            if record.qid == "q3":
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(asked, tmp_path / "runs", progress=Leaves())
    hears = Hears()
    run(asked, tmp_path / "runs", resume=True, progress=hears)
    read = [heard for heard in hears.heard if heard[0].startswith("reading")]
    merged = [heard for heard in hears.heard if heard[0].startswith("putting")]
    assert read == [("reading the parts that are there", n, len(read)) for n in range(len(read))]
    assert 1 <= len(read) < QUERIES
    assert merged == [("putting the parts together", n, QUERIES) for n in range(QUERIES)]


def test_the_end_of_a_run_holds_one_query_at_a_time(asked: Spec, tmp_path: Path) -> None:
    """The rankings of all queries are never in memory together: the merge reads line by line."""
    held: list[int] = []

    class Watch(Silent):
        def working(self, text: str, done: int, count: int) -> None:
            if not text.startswith("putting"):
                return
            gc.collect()
            # By type alone: asking some libraries' stand-ins what they are imports them.
            held.append(sum(type(thing) is QueryRecord for thing in gc.get_objects()))

    run(asked, tmp_path / "runs", progress=Watch())
    assert len(held) == QUERIES
    assert max(held) - held[0] <= 1


def test_texts_are_read_once_to_check_and_once_to_rank(
    asked: Spec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    passes: list[int] = []
    topics = Joined.topics

    def counted(self: Joined, *given: Any, **named: Any) -> Any:
        passes.append(1)
        return topics(self, *given, **named)

    monkeypatch.setattr(Joined, "topics", counted)
    run(asked, tmp_path / "runs")
    assert len(passes) == 2
