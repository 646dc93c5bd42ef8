"""A final ranking as an answerer: every task is answered by the order of a run that is done."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from e2r.data.collection import CandidateList, content_sha256
from e2r.data.files.trec import Run, read_run
from e2r.data.findings import some
from e2r.errors import DataError
from e2r.models.answerer import Answered, Question
from e2r.models.simulated.oracle import Oracle
from e2r.records.manifest import ModelRecord


class FinalRanking:
    """Prefers what a run ranks higher; it knows every candidate's place, or refuses the query."""

    batch_size = 1
    device = "none"

    def __init__(self, run: Run, where: str) -> None:
        self.where = where
        self.order: Mapping[str, list[str]] = {
            qid: [docid for docid, _ in rows] for qid, rows in run.items()
        }
        grades = {
            qid: {docid: len(docids) - place for place, docid in enumerate(docids)}
            for qid, docids in self.order.items()
        }
        self._oracle = Oracle(grades)

    @classmethod
    def read(cls, path: Path) -> FinalRanking:
        """The ranking of a TREC run. Raises DataError with file and line."""
        return cls(read_run(path), str(path))

    def record(self) -> ModelRecord:
        """Known by the hash of its rankings."""
        revision = f"rankings sha256:{content_sha256(sorted(self.order.items()))}"
        return ModelRecord(
            id="ranking", name="ranking", revision=revision, dtype="none", architecture=None
        )

    def prepare(self) -> None:
        """Nothing is to be loaded."""

    def answer(self, questions: Sequence[Question]) -> list[Answered]:
        """By the places of the documents in the run."""
        return self._oracle.answer(questions)

    def refuse_others(self, topics: Iterable[CandidateList]) -> None:
        """Raise DataError where the run does not rank just these candidates of each query.

        Documents beyond the candidates may follow behind all of them, as where a run reranks the
        first twenty of a hundred.
        """
        for topic in topics:
            qid = topic.query.qid
            ranked = self.order.get(qid)
            if ranked is None:
                raise DataError(
                    f"{self.where}: has no query {qid}; is it another collection's run?"
                )
            own = {candidate.docid for candidate in topic.candidates}
            head = ranked[: len(own)]
            if missing := sorted(own - set(ranked)):
                raise DataError(
                    f"{self.where}: query {qid}: does not rank {len(missing)} of the {len(own)} "
                    f"candidates ({some(missing)}); it is cut, or reranks another first stage"
                )
            if foreign := sorted(set(head) - own):
                raise DataError(
                    f"{self.where}: query {qid}: ranks {some(foreign)} among the first {len(own)}, "
                    "which are no candidates; it reranks another first stage, or deeper (--depth)"
                )
