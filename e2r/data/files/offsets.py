"""Places in a large file by id, at 20 bytes an id, so that any part is read without the others."""

from __future__ import annotations

from array import array
from collections.abc import Sequence

import numpy as np

Place = tuple[int, int]
"""Offset and length, in bytes."""


class Offsets:
    """Byte ranges by id, added one by one, then sealed and asked.

    Only a hash of each id is kept, so that whoever reads a range must compare the id in it: the
    places of an id may be joined by those of another. An id may have several places.
    """

    def __init__(self) -> None:
        self._hashes, self._starts, self._lengths = array("q"), array("q"), array("I")
        self.ids = np.empty(0, dtype=np.int64)
        self.starts = np.empty(0, dtype=np.int64)
        self.lengths = np.empty(0, dtype=np.uint32)

    def add(self, name: str, start: int, length: int) -> None:
        """Note a place of an id."""
        self._hashes.append(hash(name))
        self._starts.append(start)
        self._lengths.append(length)

    def seal(self) -> None:
        """Make the places ready for being asked."""
        hashes = np.frombuffer(self._hashes, dtype=np.int64)
        order = np.argsort(hashes, kind="stable")
        # One array after the other, so that no more than one is there twice.
        self.ids = hashes[order]
        self._hashes = array("q")
        self.starts = np.frombuffer(self._starts, dtype=np.int64)[order]
        self._starts = array("q")
        self.lengths = np.frombuffer(self._lengths, dtype=np.uint32)[order]
        self._lengths = array("I")

    def __len__(self) -> int:
        """How many places there are."""
        return len(self.ids)

    def of(self, names: Sequence[str]) -> list[list[Place]]:
        """The places of each id, in the order in which they were added; none for an unknown id."""
        wanted = np.fromiter((hash(name) for name in names), dtype=np.int64, count=len(names))
        begin = np.searchsorted(self.ids, wanted, side="left")
        end = np.searchsorted(self.ids, wanted, side="right")
        if (end - begin == 1).all():
            starts, lengths = self.starts[begin].tolist(), self.lengths[begin].tolist()
            return [[place] for place in zip(starts, lengths, strict=True)]
        first, last = begin.tolist(), end.tolist()
        return [
            list(zip(self.starts[i:j].tolist(), self.lengths[i:j].tolist(), strict=True))
            for i, j in zip(first, last, strict=True)
        ]

    def repeated(self) -> set[int]:
        """The hashes that have more than one place."""
        return set(self.ids[1:][self.ids[1:] == self.ids[:-1]].tolist())

    def distinct(self) -> int:
        """How many different hashes there are."""
        return int(np.count_nonzero(self.ids[1:] != self.ids[:-1])) + bool(len(self.ids))
