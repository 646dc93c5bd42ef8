"""Small questions that show what a server can be asked, before the first real one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from e2r.errors import E2RError, MissingError, UsageError
from e2r.models.encoding import Encoder
from e2r.models.server.http import Failed, Post, Server
from e2r.models.server.logprobs import as_ids, positions
from e2r.models.server.openai_calls import PROMPT_FORMS, Calls
from e2r.prompts.read import Asked, Reading
from e2r.prompts.request import Generate, Labels, Reason, Reply, Request
from e2r.prompts.template import PromptTemplate
from e2r.ranking.plan import Select

QUERY = "how long does a flea live"
PASSAGES = ("The flea lives for a year.", "Concrete costs little.")
LOGPROBS = (100, 20, 5)
"""How many alternatives are asked for, until the server allows it: OpenAI's most is 20, then 5."""
BASIC = ("temperature", "seed", "frequency_penalty")
"""Settings that every server of this kind has known for long."""
ABOUT = {"version": "version", "props": "build_info", "get_server_info": "version"}
"""Where vLLM, llama.cpp and SGLang tell their version, beside the API and under which name."""


@dataclass(frozen=True)
class _Told:
    """An answer, how many alternatives were listed at its first position, whether by their ids."""

    answer: Reply | Failed
    listed: int = 0
    by_id: bool = False


class Trial:
    """Tries a server out; `served` are the models that it says it has, `notes` what it showed.

    `said` is what each question was answered, by which a server can be known again.
    """

    def __init__(self, server: Server, name: str, served: list[str]) -> None:
        self._server = server
        self._name = name
        self._served = served
        self.notes: list[str] = []
        self.said: list[str | list[float] | None] = []

    @staticmethod
    def uses_completions(calls: Calls, sample: Request) -> bool:
        """Whether a request of this kind goes to the endpoint that takes whole prompts."""
        return calls.post(sample).path == "completions"

    def version(self) -> str | None:
        """The server's software, where it tells of it outside of the API."""
        for path, name in ABOUT.items():
            found = self._server.beside(path)
            if isinstance(found, dict) and isinstance(found.get(name), str):
                return f"{path}: {found[name]}"
        return None

    def settled(self, calls: Calls, sample: Request) -> Calls:
        """The settings that the server takes, found by a question without log probabilities.

        Raises UsageError or MissingError where it answers no question at all.
        """
        plain = Generate(sample.messages, 1, getattr(sample, "answer_start", ""))
        while True:
            answer = self._ask(calls, plain).answer
            if isinstance(answer, Reply) and answer.error is None:
                if isinstance(sample, Generate):
                    self._remember(answer)
                return calls
            fewer = self._fewer(calls, answer)
            if fewer is None:
                raise self._refusal(answer, "it does not answer a first question")
            calls = fewer

    def _fewer(self, calls: Calls, answer: Reply | Failed) -> Calls | None:
        """A manner that leaves out what a server has refused; None where nothing is left to try."""
        if not isinstance(answer, Failed) or answer.status not in (400, 422):
            return None
        sent = calls.manner.settings
        if "max_completion_tokens" in answer.message and calls.manner.limit == "max_tokens":
            return calls.under(limit="max_completion_tokens")
        refused = {name for name in sent if name in answer.message} or set(sent) - set(BASIC)
        if not refused:
            return None
        if "temperature" in refused:
            self.notes.append(
                "the server takes no temperature, so that its answers are drawn at random: "
                "repeating the run will not repeat them"
            )
        return calls.under(settings={n: value for n, value in sent.items() if n not in refused})

    def prompt_form(self, calls: Calls, encoder: Encoder, sample: Request) -> Calls:
        """The first form of a prompt that arrives as the tokens that are meant.

        Raises UsageError where none does: the tokenizer is another model's.
        """
        plain = Generate(sample.messages, 1, getattr(sample, "answer_start", ""))
        meant = encoder.encode(plain).length
        said = []
        for form in PROMPT_FORMS:
            tried = calls.under(prompt_form=form)
            answer = self._ask(tried.under(answer_start="completions"), plain).answer
            while (fewer := self._fewer(tried, answer)) is not None:
                tried, calls = fewer, fewer
                answer = self._ask(tried.under(answer_start="completions"), plain).answer
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
        if isinstance(sample, Generate):
            return self.settled(calls, sample)
        if isinstance(sample, Labels | Reason):
            if isinstance(sample, Reason):
                sample = replace(sample, max_new_tokens=1)
            return self._reading(calls, sample)
        answer = self._ask(calls, sample).answer
        if isinstance(answer, Failed) or answer.error is not None:
            raise self._gives_none(answer)
        self._remember(answer)
        return calls

    def _reading(self, calls: Calls, sample: Labels | Reason) -> Calls:
        """By the labels' token ids where the server knows them, else among the likeliest tokens."""
        if calls.own and isinstance(sample, Labels):
            by_id = calls.under(by_id=True, logprobs=len(sample.labels))
            told = self._ask(by_id, sample)
            if told.by_id and isinstance(told.answer, Reply) and told.answer.value is not None:
                self._remember(told.answer)
                return by_id
        for most in LOGPROBS:
            calls = calls.under(logprobs=most)
            told = self._ask(calls, sample)
            if not isinstance(told.answer, Failed) or told.answer.status not in (400, 422):
                break
        answer = told.answer
        if isinstance(answer, Failed) or answer.error is not None:
            raise self._gives_none(answer)
        if isinstance(sample, Labels) and told.listed < len(sample.labels):
            raise UsageError(
                f"{self._server.base_url}: this method reads the log probabilities of several "
                f"words at a position, where the server lists {told.listed}; choose a method that "
                "generates, or a server that lists more (docs/servers.md)"
            )
        if isinstance(sample, Labels) and told.listed < most:
            self.notes.append(
                f"the server lists {told.listed} alternatives where {most} were asked for"
            )
            calls = calls.under(logprobs=told.listed)
        self._remember(answer)
        return calls

    def _remember(self, answer: Reply) -> None:
        value = answer.value
        self.said.append(value if isinstance(value, str) else _numbers(value))

    def _ask(self, calls: Calls, request: Request) -> _Told:
        post = calls.post(request)

        def read(data: dict[str, Any]) -> _Told:
            found = positions(data["choices"][0])
            if not found:
                return _Told(post.read(data))
            return _Told(post.read(data), len(found[0].top), as_ids(found[0]))

        [answer] = self._server.post([Post(post.path, post.body, read)])
        return _Told(answer) if isinstance(answer, Failed) else answer

    def _gives_none(self, answer: Reply | Failed) -> E2RError:
        if isinstance(answer, Failed) and (answer.status == 404 or (answer.status or 500) >= 500):
            return self._refusal(answer, "it does not answer a first question")
        why = answer.message if isinstance(answer, Failed) else answer.error
        return UsageError(
            f"{self._server.base_url}: this method reads log probabilities, and {why}; choose "
            "a method that generates, or a server that gives them (docs/servers.md)"
        )

    def _refusal(self, answer: Reply | Failed, what: str) -> E2RError:
        why = answer.message if isinstance(answer, Failed) else str(answer.error)
        text = f"{self._server.base_url}: {what} ({why})"
        if isinstance(answer, Failed) and (answer.status or 500) >= 500:
            return MissingError(f"{text}; look at the server's log, and start it again")
        has = f"; it serves {', '.join(self._served)}" if self._served else ""
        return UsageError(
            f"{text}; is {self._name!r} the name that the server gives its model{has}? See "
            "docs/servers.md"
        )


def _numbers(value: Any) -> list[float] | None:
    if isinstance(value, float):
        return [value]
    return None if value is None else list(value)


def sample(template: PromptTemplate, reading: Reading) -> Request:
    """A small request of a method's kind."""
    filled = template.fill(QUERY, PASSAGES, encoder_decoder=False, count=1)
    task = Select((0, 1), 1)
    return reading.ask(Asked(filled, QUERY, PASSAGES, task, encoder_decoder=False))
