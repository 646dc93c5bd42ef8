"""The answerer of a method that asks nothing: the first stage alone."""

from __future__ import annotations

from collections.abc import Sequence

from e2r.errors import UsageError
from e2r.models.answerer import Answered, Question
from e2r.records.manifest import ModelRecord


class NoModel:
    """Stands where a model would; being asked is an error."""

    batch_size = 1
    device = "none"

    def record(self) -> ModelRecord:
        return ModelRecord(
            id="none", name="no-model", revision=None, dtype="none", architecture=None
        )

    def prepare(self) -> None:
        """Nothing is to be loaded."""

    def answer(self, questions: Sequence[Question]) -> list[Answered]:
        raise UsageError("this method asks a model: pass --model")
