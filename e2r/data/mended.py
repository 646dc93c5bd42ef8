"""Candidates with the texts that ir_datasets gives MS MARCO: its broken encodings mended."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import redirect_stderr
from dataclasses import dataclass, replace

from e2r.data.collection import CandidateList, Topics
from e2r.errors import MissingError


@dataclass(frozen=True)
class Mended:
    """Topics whose passages read as for whoever takes the collection from ir_datasets."""

    topics: Topics

    def __len__(self) -> int:
        return len(self.topics)

    def __iter__(self) -> Iterator[CandidateList]:
        """Raises MissingError where ir_datasets is not installed."""
        for topic in self.topics:
            texts = mended([candidate.text for candidate in topic.candidates])
            pairs = zip(topic.candidates, texts, strict=True)
            yield replace(topic, candidates=tuple(one._replace(text=text) for one, text in pairs))


def mended(texts: list[str]) -> list[str]:
    """Texts after ir_datasets' own repair, which is of lines: breaks in a text become spaces."""
    try:
        from ir_datasets.datasets.msmarco_passage import FixEncoding
    except ImportError as error:
        raise MissingError(
            f"--mend-encodings needs {error.name}; run: pip install 'e2r[data]'"
        ) from error
    lines = "".join(f"{' '.join(text.splitlines())}\n" for text in texts)
    # The library tells of each repair on stderr, and here there is one a query.
    with redirect_stderr(io.StringIO()):
        return [line.decode().removesuffix("\n") for line in FixEncoding(_Stream(lines.encode()))]


class _Stream:
    """Bytes in the form in which ir_datasets takes a source."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def stream(self) -> io.BytesIO:
        return io.BytesIO(self._content)
