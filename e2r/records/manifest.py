"""The manifest: where a run came from, what made it, and whether it is whole."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

from e2r.borders.figures import RANGES, fault
from e2r.borders.reading import MANIFEST_BYTES, json_file
from e2r.errors import DataError
from e2r.records.spec import describe

UNKNOWN = "unknown"
"""What stands in a manifest for a fact that nobody recorded."""


UNCOUNTED = "nobody"
"""Who counts the tokens where a server tells none and no tokenizer is at hand."""
CONTRADICTS = "the server contradicts what it was asked: "
"""How a note begins that `evaluate` repeats: figures of the run may be another model's."""
SAME = 1e-3
"""Log probabilities that differ by more come from another precision, or from other weights."""
LONGEST_TEXT = 4000
"""Characters of a text in a manifest: its notes are sentences."""

LatencyMode = Literal["batched", "one_query_at_a_time"]
"""Whether a query's seconds are its share of batches, or what passed while it ran alone."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, strict=True)

    @field_validator("*")
    @classmethod
    def _possible(cls, value: Any, info: ValidationInfo) -> Any:
        """Refuse a figure that cannot be, and a name that is none."""
        name = str(info.field_name)
        if name in RANGES and value is not None and (why := fault(name, value)) is not None:
            raise ValueError(why)
        if isinstance(value, str) and len(value) > LONGEST_TEXT:
            raise ValueError(f"{len(value)} characters are too many")
        return value


class ServerRecord(_Part):
    """What is known of the server that answered, its address without credentials.

    `reported` is what it says of the model itself, `software` its Server header. `answer_start`
    says how the first words of an answer were given, `counted_by` whose tokens texts were cut by,
    `logprobs` how many alternatives were listed where log probabilities were read; these three
    shape answers, and so does `version`, the software where it tells it. `prompt_form` is how
    prompts travelled, `settings` what was sent with each. `cache` says whether the server's prefix
    cache was kept apart from what others asked it; None where nobody recorded that. `trial` is what
    the questions that tried it out were answered. `notes` are for the user's eyes.
    """

    base_url: str
    reported: dict[str, str | int]
    software: str | None
    answer_start: str
    counted_by: str
    logprobs: int | None
    prompt_form: str
    notes: list[str]
    version: str | None = None
    settings: dict[str, Any] = {}
    cache: Literal["isolated", "shared"] | None = None
    trial: list[str | list[float] | None] = []

    def differs_from(self, before: ServerRecord) -> str | None:
        """How the trial's answers differ from those of an earlier session; None where they agree.

        A server may answer in another precision or with other software than it did, and not say so.
        """
        for now, then in zip(self.trial, before.trial, strict=False):
            if isinstance(now, list) and isinstance(then, list) and len(now) == len(then):
                most = max((abs(a - b) for a, b in zip(now, then, strict=True)), default=0.0)
                if most > SAME:
                    return f"log probabilities differ by up to {most:.2g}"
            elif now != then:
                return f"{now!r} instead of {then!r}"
        return None

    def facts(self) -> dict[str, Any]:
        """What shapes answers, for a run's identity."""
        return {
            "answer_start": self.answer_start,
            "counted_by": self.counted_by,
            "logprobs": self.logprobs,
            # Unknown where the software does not tell, and in older runs, which keep their names.
            **({"version": self.version} if self.version else {}),
        }


class ModelRecord(_Part):
    """The model that answered; `architecture` is its config.json, so that any run can be re-priced.

    `architecture` is None for the model-free answerers, and for a model behind a server whose
    architecture nobody gave: its price is unknown. `server` is None for all others. `thinking`
    says how the template's switch for it stood, None where it has none.
    """

    id: str
    name: str
    revision: str | None
    dtype: str
    architecture: dict[str, Any] | None
    server: ServerRecord | None = None
    thinking: Literal["on", "off"] | None = None

    def differs_from(self, before: ModelRecord) -> str | None:
        """How a server answers otherwise than in an earlier session; None where nobody can tell."""
        if self.server is None or before.server is None:
            return None
        return self.server.differs_from(before.server)


class RetrievalRecord(_Part):
    """How e2r found the candidates: by what, with which parameters, in which index."""

    system: str
    k1: float
    b: float
    analyzer: str
    index: str


class DatasetRecord(_Part):
    """The data that was reranked; `documents` is the size of the collection that was searched.

    `retrieval` is None where the candidates came from elsewhere.
    """

    id: str
    revision: str | None = None
    candidates_sha256: str
    judgments_sha256: str | None
    queries: int
    depth: int
    first_stage: str
    documents: int | None
    retrieval: RetrievalRecord | None = None


class Environment(_Part):
    """The software and hardware that carried the run out."""

    python: str
    packages: dict[str, str]
    processor: str
    device: str
    threads: int


class Resources(_Part):
    """What the last session of a run used while `queries` of them finished, loading apart.

    Joules are those of the machine's own counters, None where it has none or nobody asked;
    `tracker` is what read them.
    """

    queries: int = Field(ge=0)
    wall_seconds: float = Field(ge=0, allow_inf_nan=False)
    user_seconds: float = Field(ge=0, allow_inf_nan=False)
    system_seconds: float = Field(ge=0, allow_inf_nan=False)
    peak_memory: int = Field(ge=0)
    cores: int = Field(ge=1)
    operating_system: str
    gpu: str | None = None
    cpu_percent: float | None = Field(None, ge=0, allow_inf_nan=False)
    cpu_joules: float | None = Field(None, ge=0, allow_inf_nan=False)
    gpu_joules: float | None = Field(None, ge=0, allow_inf_nan=False)
    ram_joules: float | None = Field(None, ge=0, allow_inf_nan=False)
    tracker: str | None = None

    @property
    def joules(self) -> float | None:
        """All that the counters tell; None where they tell nothing."""
        parts = (self.cpu_joules, self.gpu_joules, self.ram_joules)
        known = [part for part in parts if part is not None]
        return sum(known) if known else None

    @property
    def joules_per_query(self) -> float | None:
        """The same for a query."""
        return None if self.joules is None or not self.queries else self.joules / self.queries


class WorkerRecord(_Part):
    """A process of a cluster that held a model: what it is, and the queries it finished.

    `lost` says that it was gone before the run's end.
    """

    environment: Environment
    queries: int
    lost: bool


class Session(_Part):
    """An interrupted part of a run: when it began, and what carried it out."""

    started: str
    e2r: str
    commit: str | None
    dirty: bool | None
    command: list[str]
    environment: Environment
    engine: str = "local"
    workers: list[WorkerRecord] = []


MOST_SENT = 10**15
"""Calls or tokens, which no run exceeds."""


class Sent(Protocol):
    """A reply: how often it was asked for, and its tokens."""

    @property
    def attempts(self) -> int: ...

    @property
    def prompt_tokens(self) -> int: ...

    @property
    def generated_tokens(self) -> int: ...


class Again(_Part):
    """What was sent beyond the replies that a run has, of all sessions.

    `calls` were sent again until a reply came, each as often as it was, of `prompt_tokens` and
    `generated_tokens` if an attempt counts as much as the reply. `failed` were sent for nothing.
    The documents of a list that an endpoint scores are a call each.
    """

    calls: int = Field(0, ge=0, le=MOST_SENT)
    prompt_tokens: int = Field(0, ge=0, le=MOST_SENT)
    generated_tokens: int = Field(0, ge=0, le=MOST_SENT)
    failed: int = Field(0, ge=0, le=MOST_SENT)

    def heard(self, replies: Iterable[Sent], failed: int) -> Again:
        """With what a batch sent beyond its replies, and for calls that got none."""
        more = [(reply.attempts - 1, reply) for reply in replies]
        return Again(
            calls=self.calls + sum(times for times, _ in more),
            prompt_tokens=self.prompt_tokens + sum(n * it.prompt_tokens for n, it in more),
            generated_tokens=self.generated_tokens + sum(n * it.generated_tokens for n, it in more),
            failed=self.failed + failed,
        )


class VerifiedCall(_Part):
    """A sampled call run alone: FLOPs that PyTorch counted, beside those estimated from counts.

    `request` is what was asked: Labels, Likelihood, Generate … `estimated` is under the convention
    torch, None where the estimator does not know the model.
    """

    request: str
    prompt_tokens: int
    decoder_prompt_tokens: int
    generated_tokens: int
    head_positions: int
    counted: int
    estimated: int | None


class Manifest(_Part):
    """Provenance of a run; written at its start, and again at its end.

    `earlier` holds the sessions that were interrupted before the one that the other fields tell of.
    With the engine `local` the process of `environment` did the work, and `workers` is empty.
    `prices` is the list of `run --price` and what was `spent` by it, in all sessions. `again` is
    None where nothing is sent to a server, and in runs older than it.
    """

    schema_version: Literal[1] = Field(1, alias="schema")
    status: Literal["started", "complete", "partial"]
    run: str
    method: str
    method_parameters: dict[str, int]
    identity: dict[str, Any]
    started: str
    finished: str | None = None
    e2r: str
    commit: str | None
    dirty: bool | None
    command: list[str]
    model: ModelRecord
    dataset: DatasetRecord
    prompts: dict[str, str]
    environment: Environment
    engine: str = "local"
    workers: list[WorkerRecord] = []
    latency_mode: LatencyMode = "batched"
    notes: list[str] = []
    verification: list[VerifiedCall] = []
    files: dict[str, str] = {}
    earlier: list[Session] = []
    resources: Resources | None = None
    prices: dict[str, str | int | list[list[int | str]] | None] | None = None
    again: Again | None = None

    @property
    def contradictions(self) -> list[str]:
        """The notes on replies that contradict what was asked."""
        return [note for note in self.notes if note.startswith(CONTRADICTS)]

    @property
    def worked(self) -> list[Environment]:
        """What did the work: each worker's software and hardware, or this process's own."""
        return [worker.environment for worker in self.workers] or [self.environment]

    def session(self) -> Session:
        """What this manifest says of its own session, for the manifest of the next one."""
        return Session(**{name: getattr(self, name) for name in Session.model_fields})

    @classmethod
    def load(cls, path: Path) -> Manifest:
        """Read a manifest. Raises DataError with file and field where it is missing or wrong."""
        try:
            return cls.model_validate(json_file(path, MANIFEST_BYTES, follow=False))
        except FileNotFoundError:
            raise DataError(f"{path}: no such file; is {path.parent} a run folder?") from None
        except OSError as error:
            raise DataError(f"{path}: cannot be read ({error.strerror})") from None
        except ValidationError as error:
            raise DataError(f"{path}: {describe(error)}") from None
