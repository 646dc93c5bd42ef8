"""Whose call is it? The query whose text stands in the prompt."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from e2r.borders.reading import shortened


class Topics:
    """Finds which of some queries, {qid: text}, a prompt holds."""

    def __init__(self, queries: Mapping[str, str]) -> None:
        self._queries = {qid: plain(text) for qid, text in queries.items() if plain(text).strip()}
        self._tokenizers: dict[str, Any] = {}

    def of(self, module: Any, ids: Any, note: Callable[[str], None]) -> Sequence[str]:
        """The query of each row of token ids, or an empty word where none or several are there."""
        source = getattr(module.config, "_name_or_path", "")
        if source not in self._tokenizers:
            self._tokenizers[source] = _tokenizer(source, note)
        tokenizer = self._tokenizers[source]
        if tokenizer is None:
            return [""] * ids.shape[0]
        return [
            self.asked(tokenizer.decode(row, skip_special_tokens=True), note)
            for row in ids.tolist()
        ]

    def asked(self, prompt: str, note: Callable[[str], None]) -> str:
        """The query that a prompt asks about; where none or several are there, a note says so."""
        qid = self.find(prompt)
        if not qid:
            note("calls in whose prompt no single topic was found; they belong to no query")
        return qid

    def find(self, prompt: str) -> str:
        """The one query whose text stands in a prompt, or an empty word.

        Of queries that stand inside another that is there too, the longest one is meant. Where
        several different ones are there nobody knows which was asked.
        """
        text = plain(prompt)
        there = {qid: query for qid, query in self._queries.items() if query in text}
        longest = [
            qid
            for qid, query in there.items()
            if not any(query in other and query != other for other in there.values())
        ]
        return longest[0] if len(longest) == 1 else ""


def plain(text: str) -> str:
    """Letters and digits in lower case, one space between words and at both ends."""
    kept = "".join(sign if sign.isalnum() else " " for sign in text.casefold())
    return f" {' '.join(kept.split())} "


def _tokenizer(source: str, note: Callable[[str], None]) -> Any:
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(source)
    except Exception as error:
        note(f"no tokenizer for {source!r} ({shortened(error)}); its calls belong to no query")
        return None
