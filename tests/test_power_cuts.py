"""Kills and power cuts between any two file operations: what is left goes on to the same end."""

from __future__ import annotations

import os
import random
import shutil
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from e2r.records.folder import RunFolder
from e2r.records.ledger import read_ledger
from e2r.records.spec import Spec
from e2r.runner import run
from tests.small_collection import write_collection

MOMENTS = 12
"""Ends drawn for each kind; a run of four queries has some sixty operations to choose from."""
OPERATIONS = ("fsync", "replace", "unlink", "rmdir", "mkdir", "write")


class EndedError(BaseException):
    """The process or the machine is gone; nothing may catch it for good."""


class Disk:
    """A strict file system below a folder: of what no fsync has asked for, nothing need be left.

    A file's bytes are safe once it is flushed, a folder's names once the folder is. The operation
    whose number is `last` is not done: what the disk holds then is copied by `end`.
    """

    def __init__(self, root: Path, last: int | None, end: Callable[[Disk], None]) -> None:
        self.root, self.last, self._end = root, last, end
        self.operations = 0
        self.bytes: dict[int, bytes] = {}
        self.names: dict[int, dict[str, int]] = {root.stat().st_ino: {}}

    def hook(self, patch: pytest.MonkeyPatch) -> None:
        """Stand before the operations that change a disk."""
        for name in OPERATIONS:
            patch.setattr(os, name, self._counted(name, getattr(os, name)))

    def _counted(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def operation(*given: Any, **named: Any) -> Any:
            if self._ours(name, given, named):
                self.operations += 1
                if self.operations == self.last:
                    self._end(self)
                    raise EndedError
                if name == "fsync":
                    return self._flush(given[0])
            return real(*given, **named)

        return operation

    def _ours(self, name: str, given: tuple[Any, ...], named: dict[str, Any]) -> bool:
        """Whether an operation is one below the root; the writer names folders by descriptors."""
        handle = given[0] if name in ("fsync", "write") else named.get("dir_fd")
        handle = named.get("src_dir_fd", handle)
        if not isinstance(handle, int):
            return False
        return Path(f"/proc/self/fd/{handle}").readlink().is_relative_to(self.root)

    def _flush(self, handle: int) -> None:
        status = os.fstat(handle)
        path = Path(f"/proc/self/fd/{handle}").readlink()
        if stat.S_ISDIR(status.st_mode):
            self.names[status.st_ino] = {item.name: item.stat().st_ino for item in path.iterdir()}
        else:
            self.bytes[status.st_ino] = path.read_bytes()

    def after_a_cut(self, place: Path, chance: random.Random | None) -> None:
        """Write what a power cut leaves: what was flushed, and by `chance` some of the rest."""
        inodes = {path.stat().st_ino: path for path in (self.root, *self.root.rglob("*"))}

        def leave(inode: int, path: Path) -> None:
            now = inodes.get(inode)
            if inode in self.names or (now is not None and now.is_dir()):
                path.mkdir()
                names = dict(self.names.get(inode, {}))
                held = {} if now is None else {p.name: p.stat().st_ino for p in now.iterdir()}
                for name in sorted({*names, *held}):
                    if chance and names.get(name) != held.get(name) and chance.random() < 0.5:
                        names.pop(name, None)
                        names |= {name: held[name]} if name in held else {}
                for name, inner in names.items():
                    leave(inner, path / name)
                return
            content = self.bytes.get(inode, b"")
            if chance and now is not None and chance.random() < 0.5:
                whole = now.read_bytes()
                content = whole[: chance.randint(min(len(content), len(whole)), len(whole))]
            path.write_bytes(content)

        leave(self.root.stat().st_ino, place)


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Spec:
    place = write_collection(tmp_path_factory.mktemp("small") / "small", queries=4)
    tables: dict[str, Any] = {
        "data": {"dataset": f"beir:{place}", "candidates": str(place / "first.run"), "depth": 5},
        "model": {"source": "random:7"},
        "method": {"name": "setwise.heapsort", "k": 2},
    }
    return Spec.of(tables, "the test")


def outcome(folder: RunFolder) -> tuple[Any, bytes]:
    """Ledger without the clock's and the batches' columns, and the ranking's bytes."""
    table = read_ledger(folder.ledger_path)
    kept = table.drop_columns(["seconds", "batch_size", "padded_tokens"])
    return kept.to_pylist(), folder.run_path.read_bytes()


def ended(asked: Spec, root: Path, last: int | None, end: Callable[[Disk], None]) -> Disk:
    """A run on a disk that ends at an operation, or comes through where `last` is None."""
    root.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        disk = Disk(root, last, end)
        disk.hook(patch)
        if last is None:
            run(asked, root)
        else:
            # Which queries share a flush is the clock's affair: there may be fewer operations.
            with suppress(EndedError):
                run(asked, root, resume=True)
    return disk


@pytest.mark.parametrize("kind", ["killed", "all that was not flushed is lost", "some of it is"])
def test_a_run_that_ends_between_two_operations_goes_on_to_the_same_end(
    asked: Spec, tmp_path: Path, kind: str
) -> None:
    """At seeded moments of the first session; the second comes through."""
    undisturbed = outcome(run(asked, tmp_path / "whole"))
    operations = ended(asked, tmp_path / "counted", None, lambda disk: None).operations
    assert operations > 50
    generator = random.Random(kind)
    reached = set()
    for number, last in enumerate(generator.sample(range(1, operations + 1), MOMENTS)):
        root, left = tmp_path / f"disk-{number}", tmp_path / f"left-{number}"

        def end(disk: Disk, left: Path = left) -> None:
            if kind == "killed":
                shutil.copytree(disk.root, left)
            else:
                disk.after_a_cut(left, generator if kind.startswith("some") else None)

        if ended(asked, root, last, end).operations < last:
            shutil.copytree(root, left)
        reached.add(len(list(left.rglob("*.parquet"))))
        folder = run(asked, left, resume=True)
        assert folder.manifest().status == "complete", last
        assert outcome(folder) == undisturbed, f"after operation {last} of {operations}"
        folder.verify_files()
    assert len(reached) > 2, "the moments lie before, among and after the parts"
