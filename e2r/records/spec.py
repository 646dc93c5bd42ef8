"""What is asked of a run: everything that shapes an answer, and how to carry it out."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from e2r.borders.figures import RANGES, fault
from e2r.borders.reading import MissingFileError, shortened, toml_file
from e2r.borders.showing import is_plain
from e2r.errors import DataError

LONGEST_WORD, LONGEST_PART = 2000, 200
"""Characters of a path, and of each of its parts; file systems allow few more."""
MOST_TOLD = 20
"""Wrong fields that a message lists."""


class _Part(BaseModel):
    """A table of a spec; `home` is the folder of the file that it was read from.

    What was typed or made by a program has no home. What a file asks for that could do harm is
    done only where the user typed it too.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
    _home: Path | None = PrivateAttr(None)

    @field_validator("*")
    @classmethod
    def _possible(cls, value: Any, info: ValidationInfo) -> Any:
        """Refuse words that can be no name or path, and figures that cannot be."""
        name = str(info.field_name)
        if isinstance(value, str):
            if len(value) > LONGEST_WORD or max(map(len, re.split("[/:#@]", value))) > LONGEST_PART:
                raise ValueError(f"{len(value)} characters are no name or path")
            if not is_plain(value):
                raise ValueError("holds a control character, or one that turns text around")
        elif type(value) is int and name in RANGES and (why := fault(name, value)) is not None:
            raise ValueError(why)
        elif name == "parameters":
            for key, number in value.items():
                if (why := fault("parameter", number)) is not None or len(key) > LONGEST_PART:
                    raise ValueError(f"{shortened(key)} {why or 'is no name'}")
        return value

    @property
    def home(self) -> Path | None:
        """The folder of its file, None where it was typed or made by a program."""
        return self._home

    def at(self, home: Path | None) -> Self:
        """The same as read from a file in that folder, its parts too; None: as if typed."""
        parts = {
            name: value.at(home)
            for name in type(self).model_fields
            if isinstance(value := getattr(self, name), _Part)
        }
        placed = self.model_copy(update=parts)
        placed._home = home
        return placed

    def __eq__(self, other: object) -> bool:
        """Whether both ask for the same, wherever they were read."""
        return type(self) is type(other) and vars(self) == vars(other)

    def __hash__(self) -> int:
        return hash(self.model_dump_json())


class DataSpec(_Part):
    """Where queries, candidates and judgments come from (the words of `--dataset` and the rest)."""

    dataset: str | None = None
    candidates: str | None = None
    qrels: str | None = None
    queries: str | None = None
    corpus: str | None = None
    name: str | None = None
    documents: int | None = Field(None, ge=1)
    first_stage: str | None = None
    bm25_k1: float | None = None
    bm25_b: float | None = None
    depth: int = Field(100, ge=1)
    limit: int | None = Field(None, ge=1)


class ModelSpec(_Part):
    """Which model answers, at which revision and precision.

    The rest is for models behind a server: whose tokenizer counts and cuts, whose config.json
    prices, and how the first words of an answer are given.
    With `thinking` a thought may come before each answer, which costs its tokens; without it,
    templates with a switch have it off. With `trust_remote_code` the model's repository may bring
    Python code of its own, which runs.
    """

    source: str
    revision: str | None = None
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    tokenizer: str | None = None
    architecture: str | None = None
    answer_start: Literal["completions", "continue", "prompt"] | None = None
    trust_remote_code: bool = False
    thinking: bool = False


class StageSpec(_Part):
    """A further method of a cascade, over the top `over` of what the one before it put out."""

    name: str
    over: int = Field(ge=1)
    k: int = Field(10, ge=1)
    parameters: dict[str, int] = {}
    template: str | None = None


class MethodSpec(_Part):
    """Which plan is driven, with its parameters; `then` makes a cascade of it."""

    name: str
    k: int = Field(10, ge=1)
    parameters: dict[str, int] = {}
    fidelity: Literal["mended", "llm-rankers"] = "mended"
    then: tuple[StageSpec, ...] = Field((), strict=False)


class PromptSpec(_Part):
    """Which template is filled, and how many tokens of each text may enter it.

    `answer_tokens` limits what is generated, where the method leaves that open.
    """

    template: str | None = None
    query_tokens: int = Field(128, ge=1)
    passage_tokens: int = Field(128, ge=1)
    answer_tokens: int | None = Field(None, ge=1)


class ServerSpec(_Part):
    """Where an OpenAI-compatible server is and how it is asked; the key is never in here.

    `api_key_env` names the environment variable that holds the key. `timeout` is in seconds, for
    one attempt.
    """

    base_url: str
    api_key_env: str | None = None
    concurrency: int = Field(8, ge=1)
    attempts: int = Field(8, ge=1)
    timeout: int = Field(600, ge=1)


class RaySpec(_Part):
    """The Ray cluster that works: `address` of one that is there, or None to start one here.

    `workers` hold a model each: None is as many as the cluster's GPUs, or CPUs, allow. `cpus` and
    `gpus` are what a worker is given; of GPUs, None is 1 where the cluster has any and the model
    computes on them.
    """

    address: str | None = None
    workers: int | None = Field(None, ge=1)
    cpus: float = Field(1.0, gt=0, strict=False)
    gpus: float | None = Field(None, ge=0, strict=False)


class ExecutionSpec(_Part):
    """How the work is carried out; nothing here shapes an answer.

    `device_map` spreads a model over several devices (auto, balanced, …), by accelerate. `reuse`
    computes equal beginnings and identical calls of a query once. `latency` runs one query at a
    time. `energy` reads the machine's counters of joules. `verify_flops` is how many calls are
    counted by PyTorch after the run. `ray` spreads the queries over a cluster.
    """

    device: str = "auto"
    device_map: str | None = None
    batch_size: int = Field(16, ge=1)
    batch_tokens: int | None = Field(None, ge=1)
    server: ServerSpec | None = None
    reuse: bool = False
    latency: bool = False
    verify_flops: int = Field(0, ge=0)
    energy: bool = False
    ray: RaySpec | None = None


class Spec(_Part):
    """A complete run specification; the folder's spec.toml holds it and `e2r run` repeats it."""

    data: DataSpec
    model: ModelSpec
    method: MethodSpec
    prompt: PromptSpec = PromptSpec()
    execution: ExecutionSpec = ExecutionSpec()
    seed: int = 0

    @classmethod
    def load(cls, path: str | Path) -> Spec:
        """Read a spec from TOML. Raises DataError with file and field for what is wrong in it."""
        path = Path(path)
        try:
            tables = toml_file(path)
        except MissingFileError:
            raise DataError(f"{path}: no such file; give the path of a spec.toml") from None
        return cls.of(tables, str(path)).at(path.parent)

    @classmethod
    def of(cls, tables: dict[str, Any], where: str) -> Spec:
        """A spec from plain tables. Raises DataError naming each wrong field."""
        try:
            return cls.model_validate(tables)
        except ValidationError as error:
            raise DataError(f"{where}: {describe(error)}") from None

    def to_toml(self) -> str:
        """The spec as TOML; fields without a value are left out."""
        import tomli_w

        return tomli_w.dumps(self.model_dump(exclude_none=True))


def describe(error: ValidationError) -> str:
    """A pydantic error as one line: the first fields with what is wrong there, cut short."""
    found = error.errors(include_url=False, include_input=False, include_context=False)
    told = [
        f"field {shortened('.'.join(map(str, item['loc'][:8])) or '(whole)')}: "
        f"{shortened(item['msg'].lower())}"
        for item in found[:MOST_TOLD]
    ]
    more = [f"and {len(found) - MOST_TOLD} more"] if len(found) > MOST_TOLD else []
    return "; ".join(told + more)


def identity(facts: dict[str, Any]) -> str:
    """The first 8 hex digits of the SHA-256 over everything that shapes an answer."""
    text = json.dumps(facts, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def changed(before: dict[str, Any], after: dict[str, Any]) -> str:
    """The fields in which two sets of facts differ, as `field: before → after`, for a refusal."""
    names = sorted(before.keys() | after.keys())
    return "; ".join(
        f"{name}: {before.get(name)!r} → {after.get(name)!r}"
        for name in names
        if before.get(name) != after.get(name)
    )
