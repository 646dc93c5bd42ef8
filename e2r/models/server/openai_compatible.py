"""Language models behind an OpenAI-compatible server: vLLM, SGLang, llama.cpp, transformers."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from e2r.errors import E2RError, MissingError, UsageError
from e2r.flops.architecture import Architecture
from e2r.flops.catalogue import facts as catalogue_facts
from e2r.models.encoding import Encoder
from e2r.models.server.http import Failed, Server
from e2r.models.server.openai_calls import (
    OPENING_TOKENS,
    PROMPT_FORMS,
    Calls,
    Manner,
    refuse,
)
from e2r.models.server.words import WordTokenizer
from e2r.prompts.read import Asked, Reading
from e2r.prompts.request import Generate, Labels, Likelihood, Reason, Reply, Request
from e2r.prompts.template import PromptTemplate
from e2r.ranking.plan import Select
from e2r.records.manifest import UNKNOWN, ModelRecord, ServerRecord
from e2r.records.spec import ExecutionSpec, ModelSpec, Spec

SAMPLE = ("how long does a flea live", ("The flea lives for a year.", "Concrete costs little."))
"""A query and two passages, for the questions that try a server out."""
LOGPROBS = (20, 5)
"""How many alternatives are asked for: what vLLM and chat completions allow, then completions."""
REPORTED = ("id", "owned_by", "root", "max_model_len")


def connect(
    spec: Spec, stages: Sequence[tuple[PromptTemplate, Reading]], server: Server
) -> OpenAICompatible:
    """A model behind a server that was tried out with one small question of each kind.

    Nothing is written before that. Raises UsageError for what the server cannot be asked,
    MissingError where it does not answer, and what the tokenizer's and architecture's files raise.
    """
    name = spec.model.source.partition(":")[2]
    if not name:
        raise UsageError("openai: names no model; give the server's own name, as openai:ORG/NAME")
    encoder, counted_by, config = _tokenizer(spec.model)
    own = encoder is not None
    encoder = encoder or Encoder(WordTokenizer(), decoder_start=None, context=None)
    mode = spec.model.answer_start or ("completions" if own else "prompt")
    if mode == "completions" and not own:
        raise UsageError("--answer-start completions writes the prompt here: pass --tokenizer too")
    samples = [_sample(template, reading) for template, reading in stages]
    for sample in samples:
        refuse(sample, own=own)
    listed, headers = server.get("models")
    reported = {} if isinstance(listed, Failed) else _entry(listed, name)
    calls = Calls(Manner(name, spec.seed, mode), encoder, own=own)
    trial = Trial(server, name)
    if own and any(trial.uses_completions(calls, sample) for sample in samples):
        calls = trial.prompt_form(calls, encoder, samples[0])
    for sample in samples:
        calls = trial.question(calls, sample)
    architecture = _architecture(spec.model, name) or config
    reads = any(isinstance(sample, Labels | Reason) for sample in samples)
    opens = [s for s in samples if getattr(s, "answer_start", "") and mode == "prompt"]
    notes = _notes(own, architecture is not None, bool(opens), name)
    record = ModelRecord(
        id=spec.model.source,
        name=Path(name).name if name.startswith("/") else name.replace("/", "--"),
        revision=spec.model.revision,
        dtype=UNKNOWN,
        architecture=architecture,
        server=ServerRecord(
            base_url=server.base_url,
            reported=reported,
            software=headers.get("server"),
            answer_start=mode,
            counted_by=counted_by,
            logprobs=calls.manner.logprobs if reads else None,
            prompt_form=calls.manner.prompt_form if own else "messages",
            notes=notes,
        ),
    )
    return OpenAICompatible(server, calls, encoder, record)


class OpenAICompatible:
    """Replies to requests by asking a server, a round's requests at the same time."""

    device = "server"
    encoder_decoder = False

    def __init__(self, server: Server, calls: Calls, encoder: Encoder, record: ModelRecord) -> None:
        self.batch_size = server.concurrency
        self._server = server
        self._calls = calls
        self._encoder = encoder
        self._record = record
        longest = record.server.reported.get("max_model_len") if record.server else None
        self._context = longest if isinstance(longest, int) else None

    def record(self) -> ModelRecord:
        return self._record

    def prepare(self) -> None:
        """The server has loaded its weights already."""

    def cut(self, text: str, most: int) -> tuple[str, int]:
        return self._encoder.cut(text, most)

    def excess(self, request: Request) -> int:
        """By how many tokens a request is too long; nothing is known of it by words and marks."""
        own = self._encoder.excess(request)
        if self._context is None or self._record.server is None:
            return own
        if self._calls.own:
            length = self._encoder.encode(request).length + self._calls.new_tokens(request)
            return max(own, length - self._context)
        return own

    def reply(
        self, requests: Sequence[Request], scopes: Sequence[str] | None = None
    ) -> list[Reply]:
        """One reply a request; seconds are the round's own, shared out evenly."""
        began = time.perf_counter()
        answers = self._server.post([self._calls.post(request) for request in requests])
        seconds = (time.perf_counter() - began) / max(len(requests), 1)
        size = min(len(requests), self.batch_size)
        return [
            replace(
                Reply(None, error=answer.message) if isinstance(answer, Failed) else answer,
                seconds=seconds,
                batch_size=size,
            )
            for answer in answers
        ]


class Trial:
    """Small questions that show what a server can be asked, before the first real one."""

    def __init__(self, server: Server, name: str) -> None:
        self._server = server
        self._name = name

    @staticmethod
    def uses_completions(calls: Calls, sample: Request) -> bool:
        """Whether a request of this kind goes to the endpoint that takes whole prompts."""
        return calls.post(sample).path == "completions"

    def prompt_form(self, calls: Calls, encoder: Encoder, sample: Request) -> Calls:
        """The first form of a prompt that arrives as the tokens that are meant.

        Raises UsageError where none does: the tokenizer is another model's.
        """
        plain = Generate(sample.messages, 1, getattr(sample, "answer_start", ""))
        meant = encoder.encode(plain).length
        said = []
        for form in PROMPT_FORMS:
            tried = calls.under(prompt_form=form)
            answer = self._ask(tried.under(answer_start="completions"), plain)
            if isinstance(answer, Reply) and answer.prompt_tokens == meant:
                return tried
            if isinstance(answer, Failed) and answer.status == 404:
                raise self._refusal(answer, "it has no /completions for this model")
            said.append(
                f"{form}: {answer.message}"
                if isinstance(answer, Failed)
                else f"{form}: {answer.prompt_tokens} tokens"
            )
        raise UsageError(
            f"{self._server.base_url}: no prompt arrives as the {meant} tokens that --tokenizer "
            f"makes of it ({'; '.join(said)}); give the tokenizer of the served model, or leave it "
            "out"
        )

    def question(self, calls: Calls, sample: Request) -> Calls:
        """The manner in which the server answers a request of this kind.

        Raises UsageError where it does not: a method that reads log probabilities is refused.
        """
        if isinstance(sample, Generate | Reason):
            sample = replace(sample, max_new_tokens=1)
        answer = self._ask(calls, sample)
        if isinstance(answer, Failed) and "max_completion_tokens" in answer.message:
            calls = calls.under(limit="max_completion_tokens")
            answer = self._ask(calls, sample)
        if isinstance(sample, Labels | Reason) and isinstance(answer, Failed):
            calls = calls.under(logprobs=LOGPROBS[1])
            answer = self._ask(calls, sample)
        reads = isinstance(sample, Labels | Reason | Likelihood)
        if isinstance(answer, Reply) and answer.error is None:
            return calls
        if reads:
            why = answer.message if isinstance(answer, Failed) else answer.error
            raise UsageError(
                f"{self._server.base_url}: this method reads log probabilities, and {why}; choose "
                "a method that generates, or a server that gives them (docs/servers.md)"
            )
        raise self._refusal(answer, "it does not answer a first question")

    def _ask(self, calls: Calls, request: Request) -> Reply | Failed:
        [answer] = self._server.post([calls.post(request)])
        return answer

    def _refusal(self, answer: Reply | Failed, what: str) -> E2RError:
        why = answer.message if isinstance(answer, Failed) else str(answer.error)
        text = f"{self._server.base_url}: {what} ({why})"
        if isinstance(answer, Failed) and (answer.status or 500) >= 500:
            return MissingError(f"{text}; look at the server's log, and start it again")
        return UsageError(
            f"{text}; is {self._name!r} the name that the server gives its model? See "
            "docs/servers.md"
        )


def _sample(template: PromptTemplate, reading: Reading) -> Request:
    query, passages = SAMPLE
    filled = template.fill(query, passages, encoder_decoder=False, count=1)
    task = Select((0, 1), 1)
    return reading.ask(Asked(filled, query, passages, task, encoder_decoder=False))


def _entry(listed: dict[str, Any], name: str) -> dict[str, str | int]:
    """What the server's list of models says of this one."""
    entries = listed.get("data")
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, dict) and entry.get("id") == name:
            return {key: entry[key] for key in REPORTED if isinstance(entry.get(key), str | int)}
    return {}


def _tokenizer(model: ModelSpec) -> tuple[Encoder | None, str, dict[str, Any] | None]:
    """The model's own encoder, its name, and the config.json beside it; else none of them."""
    if model.tokenizer is None:
        return None, "words and marks", None
    try:
        from e2r.models.network.transformers import load
    except ImportError as error:
        raise MissingError(
            f"--tokenizer needs {error.name}; run: pip install 'e2r[run]'"
        ) from error
    loaded = load(ModelSpec(source=model.tokenizer), ExecutionSpec(device="cpu"))
    record = loaded.record()
    return loaded.encoder, f"{record.name} {record.revision}", record.architecture


def _architecture(model: ModelSpec, name: str) -> dict[str, Any] | None:
    """The config.json that was named, or the catalogue's of that name."""
    if model.architecture is not None:
        return dict(Architecture.load(model.architecture).config)
    return catalogue_facts(name)


def _notes(own: bool, priced: bool, opens: bool, name: str) -> list[str]:
    notes = []
    if not own:
        notes.append(
            "no tokenizer is at hand: queries and passages are cut by words and marks, not by the "
            "model's tokens, and control tokens in them are not broken up; pass --tokenizer FOLDER"
        )
    if opens:
        notes.append(
            "the first words of the answer end the prompt instead of opening the answer, and the "
            f"model is given {OPENING_TOKENS} further tokens to write them; pass --tokenizer, or "
            "--answer-start continue where the server can"
        )
    if not priced:
        notes.append(
            f"the architecture of {name} is not known, so that its FLOPs, RPP and QPP are unknown; "
            "pass --architecture NAME|config.json"
        )
    return notes
