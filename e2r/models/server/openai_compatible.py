"""Language models behind an OpenAI-compatible server: vLLM, SGLang, llama.cpp, transformers."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal
from uuid import uuid4

from e2r.errors import MissingError, UsageError
from e2r.flops.architecture import Architecture
from e2r.flops.catalogue import facts as catalogue_facts
from e2r.models.encoding import Encoder
from e2r.models.server.http import Failed, Server
from e2r.models.server.openai_calls import OPENING_TOKENS, Calls, Manner, refuse, settings
from e2r.models.server.others import Others
from e2r.models.server.trial import Trial, sample
from e2r.models.server.word_tokenizer import WordTokenizer
from e2r.prompts.read import Reading
from e2r.prompts.request import Generate, Labels, Reason, Reply, Request
from e2r.prompts.template import PromptTemplate
from e2r.records.manifest import CONTRADICTS, UNKNOWN, ModelRecord, ServerRecord
from e2r.records.spec import ExecutionSpec, ModelSpec, Spec

REPORTED = ("id", "owned_by", "root", "max_model_len")


def connect(
    spec: Spec,
    stages: Sequence[tuple[PromptTemplate, Reading]],
    server: Server,
    note: Callable[[str], None] = lambda _: None,
) -> OpenAICompatible:
    """A model behind a server that was tried out with one small question of each kind.

    `note` is told what shows only while real questions are asked.

    Nothing is written before that. Raises UsageError for what the server cannot be asked,
    MissingError where it does not answer, and what the tokenizer's and architecture's files raise.
    """
    name = spec.model.source.partition(":")[2]
    if not name:
        raise UsageError("openai: names no model; give the server's own name, as openai:ORG/NAME")
    encoder, counted_by, config = tokenizer_of(spec.model)
    own = encoder is not None
    encoder = encoder or Encoder(WordTokenizer(), decoder_start=None, context=None)
    mode = spec.model.answer_start or ("completions" if own else "prompt")
    if mode == "completions" and not own:
        raise UsageError("--answer-start completions writes the prompt here: pass --tokenizer too")
    samples = [sample(template, reading) for template, reading in stages]
    for asked in samples:
        refuse(asked, own=own)
    listed, headers = server.get("models")
    reported = {} if isinstance(listed, Failed) else entry_of(listed, name)
    salt = uuid4().hex
    calls = Calls(Manner(name, mode, settings(spec.seed, salt)), encoder, own=own)
    trial = Trial(server, name, [] if isinstance(listed, Failed) else _served(listed))
    if own and any(trial.uses_completions(calls, asked) for asked in samples):
        calls = trial.prompt_form(calls, encoder, samples[0])
    elif not isinstance(samples[0], Generate):
        calls = trial.settled(calls, samples[0])
    for asked in samples:
        calls = trial.question(calls, asked)
    architecture = architecture_of(spec.model, name) or config
    reads = any(isinstance(asked, Labels | Reason) for asked in samples)
    opens = [s for s in samples if getattr(s, "answer_start", "") and mode == "prompt"]
    notes = [*trial.notes, *_notes(own, architecture is not None, bool(opens), name)]
    sent = dict(calls.manner.settings)
    isolated = sent.pop("cache_salt", None) is not None
    record = ModelRecord(
        id=spec.model.source,
        name=Path(name).name if name.startswith("/") else name.replace("/", "--"),
        revision=spec.model.revision,
        dtype=UNKNOWN,
        architecture=architecture,
        thinking=_thinking(
            spec.model.thinking, own and mode == "completions" and encoder.may_think
        ),
        server=ServerRecord(
            base_url=server.base_url,
            reported=reported,
            software=headers.get("server"),
            answer_start=mode,
            counted_by=counted_by,
            logprobs=calls.manner.logprobs if reads else None,
            prompt_form=calls.manner.prompt_form if own else "messages",
            version=trial.version(),
            settings=sent,
            cache="isolated" if isolated else "shared",
            trial=trial.said,
            notes=notes,
        ),
    )
    return OpenAICompatible(server, calls, encoder, record, note)


class OpenAICompatible:
    """Replies to requests by asking a server, a round's requests at the same time."""

    device = "server"
    encoder_decoder = False

    def __init__(
        self,
        server: Server,
        calls: Calls,
        encoder: Encoder,
        record: ModelRecord,
        note: Callable[[str], None],
    ) -> None:
        self._note = note
        self._unlisted = self._unreported = self._unsummed = False
        self._others = Others(calls.manner.model, note)
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
        calls = [self._calls.post(request) for request in requests]
        if scopes is not None:
            calls = [replace(call, query=scope) for call, scope in zip(calls, scopes, strict=True)]
        answers = self._server.post(calls)
        seconds = (time.perf_counter() - began) / max(len(requests), 1)
        size = min(len(requests), self.batch_size)
        self._hear(answers)
        return [
            replace(
                Reply(None, error=answer.message) if isinstance(answer, Failed) else answer,
                seconds=seconds,
                batch_size=size,
                attempts=tries,
            )
            for answer, tries in zip(answers, self._server.tries, strict=True)
        ]

    def _hear(self, answers: Sequence[Reply | Failed]) -> None:
        """Say once what the replies leave unknown, or tell otherwise than they were asked."""
        replies = [answer for answer in answers if isinstance(answer, Reply)]
        self._others.hear(reply.answered_by for reply in replies)
        if not self._unsummed and not all(reply.adds_up for reply in replies):
            self._unsummed = True
            self._note(
                f"{CONTRADICTS}total_tokens is not the sum of prompt_tokens and completion_tokens, "
                "which are recorded; does it count thoughts that no answer shows?"
            )
        if not self._unlisted and any(reply.unlisted for reply in replies):
            self._unlisted = True
            self._note(
                f"labels are not all among the {self._calls.manner.logprobs} likeliest tokens that "
                "the server lists; a label that is not has an upper bound for its probability, and "
                "an order in which two of them tie counts as a parse failure. The same model in "
                "this process, or a server that takes logprob_token_ids, reads them all"
            )
        if not self._unreported and any(reply.cached_tokens is None for reply in replies):
            self._unreported = True
            self._note(
                "the server does not report cached tokens; the price is what it would be if none "
                "were (vLLM reports them with --enable-prompt-tokens-details)"
            )


def _thinking(asked: bool, switched: bool) -> Literal["on", "off"] | None:
    """Whether the model thinks: where its switch is not ours, it has room for it if asked for."""
    if asked:
        return "on"
    return "off" if switched else None


def _served(listed: dict[str, Any]) -> list[str]:
    """The names of the models that a server lists, the first few."""
    entries = listed.get("data")
    names = (
        [entry.get("id") for entry in entries if isinstance(entry, dict)]
        if isinstance(entries, list)
        else []
    )
    return [str(name) for name in names[:5]]


def entry_of(listed: dict[str, Any], name: str) -> dict[str, str | int]:
    """What the server's list of models says of this one."""
    entries = listed.get("data")
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, dict) and entry.get("id") == name:
            return {key: entry[key] for key in REPORTED if isinstance(entry.get(key), str | int)}
    return {}


def tokenizer_of(model: ModelSpec) -> tuple[Encoder | None, str, dict[str, Any] | None]:
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


def architecture_of(model: ModelSpec, name: str) -> dict[str, Any] | None:
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
