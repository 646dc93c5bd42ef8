"""result.json of a run folder: per-query values, and the hashes of what they were computed from."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from importlib import metadata
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from e2r.borders.reading import RESULT_BYTES, json_file
from e2r.borders.writing import write
from e2r.errors import DataError
from e2r.metrics.effectiveness import Scores
from e2r.records.manifest import Manifest
from e2r.records.spec import describe

INPUTS = ("ledger.parquet", "per_query.jsonl", "run.trec.gz")


class Result(BaseModel):
    """What evaluate derived from a run, so that it can be shown where the judgments are not.

    `measures` holds values by measure and query. The hashes tie them to the run's files and to the
    judgments; a result whose hashes do not fit is not used.
    """

    model_config = ConfigDict(
        extra="forbid", frozen=True, populate_by_name=True, allow_inf_nan=False, strict=True
    )

    schema_version: Literal[1] = Field(1, alias="schema")
    e2r: str
    inputs: dict[str, str]
    judgments_sha256: str
    measures: dict[str, dict[str, float]]
    missing: list[str]
    unjudged: list[str]

    @classmethod
    def of(cls, scores: Scores, manifest: Manifest, judgments_sha256: str) -> Result:
        """The result of scoring a run, whose manifest holds the hashes of its files."""
        return cls(
            e2r=metadata.version("e2r"),
            inputs={name: manifest.files[name] for name in INPUTS},
            judgments_sha256=judgments_sha256,
            measures={name: dict(values) for name, values in scores.values.items()},
            missing=list(scores.missing),
            unjudged=list(scores.unjudged),
        )

    @classmethod
    def load(cls, path: Path) -> Result:
        """Read a result.json. Raises DataError with the field where it is missing or wrong."""
        try:
            return cls.model_validate(json_file(path, RESULT_BYTES, follow=False))
        except FileNotFoundError:
            raise DataError(f"{path}: no such file") from None
        except OSError as error:
            raise DataError(f"{path}: cannot be read ({error.strerror})") from None
        except ValidationError as error:
            raise DataError(f"{path}: {describe(error)}") from None

    def fits(self, manifest: Manifest, queries: Collection[str]) -> bool:
        """Whether this speaks of exactly these files, queries and the run's own judgments."""
        own = manifest.dataset.judgments_sha256
        # Judged queries that the run has nothing on are missing, and count.
        counted = {*queries, *self.missing} - set(self.unjudged)
        return (
            own in (None, self.judgments_sha256)
            and self.inputs == {name: manifest.files.get(name) for name in INPUTS}
            and all(values.keys() == counted for values in self.measures.values())
        )

    def scores(self, names: Mapping[str, object]) -> Scores | None:
        """The values of the named measures, or None where one of them is not held."""
        if not all(name in self.measures for name in names):
            return None
        values = {name: self.measures[name] for name in names}
        return Scores(values, tuple(self.missing), tuple(self.unjudged))

    def save(self, path: Path) -> None:
        """Write to `path` at once, keeping other measures of the same inputs that it holds.

        Raises OSError where it cannot be written.
        """
        merged = self.measures
        try:
            before = Result.load(path)
        except DataError:
            pass
        else:
            same = (self.e2r, self.inputs, self.judgments_sha256)
            if (before.e2r, before.inputs, before.judgments_sha256) == same:
                merged = {**before.measures, **self.measures}
        content = self.model_dump(mode="json", by_alias=True)
        content["measures"] = {name: merged[name] for name in sorted(merged)}
        write(path, (json.dumps(content, indent=1) + "\n").encode(), root=path.parent)
