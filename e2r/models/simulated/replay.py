"""Replay: answers every task as a recorded run did, with that run's token counts."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from e2r.borders.reading import sha256_of
from e2r.errors import DataError
from e2r.models.answerer import Answered, Question
from e2r.prompts.request import Reply
from e2r.records.folder import RunFolder
from e2r.records.ledger import decode_answer, read_ledger
from e2r.records.manifest import ModelRecord

_Key = tuple[str, str, tuple[str, ...]]


class Replay:
    """The ledger of a finished run as an answerer."""

    batch_size = 1
    device = "none"

    def __init__(self, path: Path) -> None:
        folder = RunFolder(path)
        self._path = path
        self._record = folder.manifest().model
        self._ledger_sha256 = sha256_of(folder.ledger_path)
        rows = read_ledger(folder.ledger_path).to_pylist()
        # The same question may be asked again, by a later pass or stage: answers come in turn.
        self._rows: dict[_Key, deque[dict[str, Any]]] = {}
        for row in rows:
            key = (row["qid"], row["task"], tuple(row["docids"]))
            self._rows.setdefault(key, deque()).append(row)

    def record(self) -> ModelRecord:
        return self._record.model_copy(
            update={
                "id": f"replay:{self._path}",
                "name": f"replay-{self._record.name}",
                "revision": f"ledger sha256:{self._ledger_sha256}",
            }
        )

    def prepare(self) -> None:
        """Nothing is to be loaded."""

    def answer(self, questions: Sequence[Question]) -> list[Answered]:
        return [self._answer(question) for question in questions]

    def _answer(self, question: Question) -> Answered:
        docids = [candidate.docid for candidate in question.topic.candidates]
        key: _Key = (
            question.topic.query.qid,
            type(question.task).__name__,
            tuple(docids[i] for i in question.task.candidates),
        )
        rows = self._rows.get(key)
        if rows is None:
            raise DataError(
                f"{self._path}: the recorded run never asked {key[1]} about "
                f"{', '.join(key[2])} for query {key[0]}; replay its own method and candidates"
            )
        row = rows.popleft() if len(rows) > 1 else rows[0]
        reply = Reply(
            value=None,
            **{
                name: row[name]
                for name in (
                    "prompt_tokens",
                    "cached_tokens",
                    "decoder_prompt_tokens",
                    "generated_tokens",
                    "head_positions",
                    "padded_tokens",
                    "seconds",
                    "batch_size",
                )
            },
        )
        answer = decode_answer(row["answer"], {docid: i for i, docid in enumerate(docids)})
        return Answered(answer, row["parsed"], reply, row["truncated"])
