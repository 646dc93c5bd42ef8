"""Writes and removes: never through a link, never over what is no regular file, only its own."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import secrets
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePath
from typing import BinaryIO

from e2r.borders.reading import kind_of
from e2r.borders.showing import ReaderLeftError
from e2r.errors import UsageError

_TEMPORARY = re.compile(r"\.[^/]{1,100}\.[0-9a-f]{16}\.tmp")
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


@contextmanager
def named(path: Path) -> Iterator[None]:
    """Give an OSError of a write the file's name, which the system leaves out."""
    try:
        yield
    except OSError as error:
        error.filename = str(path)
        error.filename2 = None
        raise


@contextmanager
def _folder(path: Path, root: Path | None = None) -> Iterator[int]:
    """The folder opened; below `root`, or for its own name alone, a link on the way is refused."""
    if root is None:
        root = path if path.name in ("", "..") else path.parent
    # The name of the root itself is the user's, and may be a link of theirs.
    steps = path.relative_to(root).parts
    handle = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for step in steps:
            handle = _below(handle, step, path)
        yield handle
    finally:
        os.close(handle)


def _below(handle: int, name: str, path: Path) -> int:
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW
    if name == "..":
        raise UsageError(f"{path}: leads out of the folder that it begins in")
    try:
        inner = os.open(name, flags, dir_fd=handle)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR):
            raise UsageError(
                f"{path}: {name!r} on the way is a link or no folder, and nothing is written or "
                "removed through it; take it away"
            ) from None
        raise
    os.close(handle)
    return inner


def make_folder(path: Path, root: Path) -> None:
    """Make a folder below `root`, and what is missing on the way; links below it are refused."""
    with named(path):
        root.mkdir(parents=True, exist_ok=True)
    with named(path), _folder(root, root) as start:
        handle = os.dup(start)
        try:
            for step in path.relative_to(root).parts:
                with suppress(FileExistsError):
                    os.mkdir(step, dir_fd=handle)
                    _flush_folder(handle)
                handle = _below(handle, step, path)
        finally:
            os.close(handle)


@contextmanager
def replacing(
    path: Path, root: Path | None = None, *, durable: bool = True, flush_name: bool = True
) -> Iterator[BinaryIO]:
    """Write a file at once: to a new name that nobody can foresee, flushed to disk, then renamed.

    What can be made again need not be `durable`, and is not waited for; whoever writes several
    files into one folder flushes their names together, by `flush_folder`. A write that fails leaves
    `path` as it was and gives back the room that the rest had taken. Raises UsageError where `path`
    is there and no regular file, or a link is on the way from `root`.
    """
    with named(path), _folder(path.parent, root) as folder:
        _refuse_special(path, folder)
        name = f".{path.name[:100]}.{secrets.token_hex(8)}.tmp"
        handle = os.open(name, _NEW, 0o666, dir_fd=folder)
        try:
            with os.fdopen(handle, "wb") as stream:
                yield stream
                stream.flush()
                if durable:
                    os.fsync(stream.fileno())
            os.replace(name, path.name, src_dir_fd=folder, dst_dir_fd=folder)
            if durable and flush_name:
                _flush_folder(folder)
        except BaseException:
            with suppress(OSError):
                os.unlink(name, dir_fd=folder)
            raise


def flush_folder(path: Path) -> None:
    """Put the names of files that were written into a folder on disk."""
    with named(path), _folder(path) as folder:
        _flush_folder(folder)


def _flush_folder(handle: int) -> None:
    """Put the names in a folder on disk, which a power cut may take back otherwise."""
    with suppress(OSError):
        # Some file systems have no such thing, and lose nothing by it.
        os.fsync(handle)


def _refuse_special(path: Path, folder: int) -> None:
    try:
        mode = os.stat(path.name, dir_fd=folder, follow_symlinks=False).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISREG(mode):
        raise UsageError(f"{path}: is {kind_of(mode)}, which is not written over; take it away")


def write(path: Path, content: bytes, root: Path | None = None, *, durable: bool = True) -> None:
    """Write bytes to a file at once; see `replacing`."""
    with replacing(path, root, durable=durable) as stream:
        stream.write(content)


def write_below(root: Path, name: str | PurePath, content: bytes) -> None:
    """Write a file that can be made again below `root`, whose folders are made where missing."""
    path = root / name
    make_folder(path.parent, root)
    write(path, content, root, durable=False)


def append(path: Path, content: bytes, *, durable: bool = True) -> None:
    """Add bytes to a regular file, all of them or none, whichever processes do the same.

    `durable` bytes are on disk when this returns. Raises UsageError for any other kind of file.
    """
    with named(path), _folder(path.parent) as folder:
        _refuse_special(path, folder)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        handle = os.open(path.name, flags, 0o666, dir_fd=folder)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            size = os.fstat(handle).st_size
            left = memoryview(content)
            try:
                while left:
                    left = left[os.write(handle, left) :]
            except OSError:
                # A full disk took a part: half a row is worse than none.
                os.ftruncate(handle, size)
                raise
            if durable:
                os.fsync(handle)
        finally:
            os.close(handle)


def lock_file(path: Path) -> BinaryIO:
    """A regular file to hold a lock on, made where there is none and never cut."""
    with named(path), _folder(path.parent) as folder:
        _refuse_special(path, folder)
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
        return os.fdopen(os.open(path.name, flags, 0o666, dir_fd=folder), "rb+", buffering=0)


def remove_own(
    folder: Path,
    names: re.Pattern[str],
    kept: frozenset[str] = frozenset(),
    tell: Callable[[int, int], None] = lambda done, count: None,
) -> None:
    """Remove the regular files of a folder whose whole names fit, and temporary ones of ours.

    Whatever else lies there stays. A folder that is a link is refused, one that is missing is fine.
    `tell` hears how many of how many names have been looked at.
    """
    try:
        with _folder(folder) as handle:
            held = os.listdir(handle)
            for number, name in enumerate(held):
                tell(number, len(held))
                own = names.fullmatch(name) or _TEMPORARY.fullmatch(name)
                if name not in kept and own and _is_regular(name, handle):
                    os.unlink(name, dir_fd=handle)
    except FileNotFoundError:
        return


def remove_folder_if_empty(folder: Path) -> None:
    """Remove a folder in which nothing is left."""
    with suppress(FileNotFoundError), _folder(folder.parent) as handle:
        try:
            os.rmdir(folder.name, dir_fd=handle)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.ENOTDIR, errno.ENOENT):
                raise


def remove_file(path: Path, root: Path) -> None:
    """Remove a regular file below `root`, if it is there; a link on the way is refused."""
    with suppress(FileNotFoundError), _folder(path.parent, root) as handle:
        if _is_regular(path.name, handle):
            os.unlink(path.name, dir_fd=handle)


def move(path: Path, name: str) -> None:
    """Give a regular file another name in its folder, over what has it; a missing one is fine."""
    with named(path), suppress(FileNotFoundError), _folder(path.parent) as handle:
        if _is_regular(path.name, handle):
            os.replace(path.name, name, src_dir_fd=handle, dst_dir_fd=handle)


def _is_regular(name: str, folder: int) -> bool:
    return stat.S_ISREG(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode)


@contextmanager
def output(path: Path) -> Iterator[BinaryIO]:
    """A file that the user named as an output: replaced at once, or written into if it is special.

    A FIFO, a terminal or /dev/stdout is written into as it stands. Raises UsageError for a folder,
    a missing folder, a link to a regular file, and a file that may not be written.
    """
    where = path.parent
    if not where.is_dir():
        raise UsageError(f"{path}: there is no folder {where}; make it first")
    try:
        mode = path.lstat().st_mode
        if stat.S_ISLNK(mode):
            mode = path.stat().st_mode
            own = path.parent.as_posix() in ("/dev", "/dev/fd", "/proc/self/fd")
            if stat.S_ISREG(mode) and not own:
                raise UsageError(f"{path}: is a link; name the file itself")
            mode = mode if not stat.S_ISREG(mode) else stat.S_IFCHR
    except FileNotFoundError:
        if path.is_symlink():
            raise UsageError(f"{path}: is a link to nothing; name another file") from None
        with _told(path), replacing(path, where) as stream:
            yield stream
        return
    except OSError as error:
        raise UsageError(f"{path}: cannot be written ({error.strerror})") from None
    if stat.S_ISDIR(mode):
        raise UsageError(f"{path}: is a folder; name a file")
    if stat.S_ISREG(mode):
        if not mode & 0o222 or not os.access(path, os.W_OK):
            raise UsageError(f"{path}: is read-only; name another file")
        with _told(path), replacing(path, where) as stream:
            yield stream
        return
    with _told(path), _special(path) as stream:
        yield stream


def _special(path: Path) -> BinaryIO:
    """A FIFO, device or open descriptor for writing; a FIFO that nobody reads is refused."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_NOCTTY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        if error.errno == errno.ENXIO:
            raise UsageError(f"{path}: nobody reads this FIFO; start its reader first") from None
        raise
    os.set_blocking(handle, True)
    return os.fdopen(handle, "wb")


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            raise ReaderLeftError from None
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO):
            raise
        raise UsageError(f"{path}: cannot be written ({error.strerror})") from None
