"""Requests as calls of an OpenAI-compatible server, and its JSON as replies."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from e2r.borders.figures import MOST_TOKENS
from e2r.borders.reading import LONGEST_NAME
from e2r.errors import UsageError
from e2r.models.encoding import Encoder
from e2r.models.server.http import Post
from e2r.models.server.logprobs import Position, as_ids, label_values, place_after, positions
from e2r.prompts.request import (
    Attention,
    Classify,
    Generate,
    Labels,
    Likelihood,
    Reason,
    Reply,
    Request,
)
from e2r.prompts.template import Message

OPENING_TOKENS = 8
"""Further tokens for a model that has to write the answer's first words by itself."""
PROMPT_FORMS = ("token ids", "text", "text without its opening token")
NO_LOGPROBS = "the server gives no log probabilities"
TOKENS_AS_IDS = (
    "the server names tokens by their ids (--return-tokens-as-token-ids), which only the model's "
    "tokenizer can read: pass --tokenizer FOLDER"
)
LONGEST_TOKEN = 1024
"""Characters of a token at most; the longest of known vocabularies, runs of spaces, have 512."""


@dataclass(frozen=True)
class Manner:
    """How a server is asked.

    `answer_start` is completions (the prompt is written here, by the model's own chat template),
    continue (the server continues an assistant's message) or prompt (the words end the user's
    prompt). `prompt_form` is how completions take a prompt, `logprobs` how many alternatives are
    asked for, `limit` what chat completions call their limit of new tokens. `settings` are sent
    with each call; `by_id` says that labels are asked for by their token ids.
    """

    model: str
    answer_start: str
    settings: Mapping[str, Any]
    prompt_form: str = "text"
    logprobs: int = 20
    limit: str = "max_tokens"
    by_id: bool = False


def settings(seed: int, salt: str) -> dict[str, Any]:
    """Greedy decoding and nothing else, in every spelling that a server may know.

    Penalties are named because servers take them from a checkpoint's generation_config otherwise.
    The salt keeps a run apart from what the server's prefix cache holds of others.
    """
    return {
        "temperature": 0,
        "seed": seed,
        "frequency_penalty": 0,
        "presence_penalty": 0,
        "repetition_penalty": 1.0,
        "cache_salt": salt,
    }


class Calls:
    """Makes calls in one manner; `own` says that the encoder is the model's own."""

    def __init__(self, manner: Manner, encoder: Encoder, *, own: bool) -> None:
        self.manner = manner
        self._encoder = encoder
        self.own = own

    def under(self, **changes: Any) -> Calls:
        """The same in another manner."""
        return Calls(replace(self.manner, **changes), self._encoder, own=self.own)

    def new_tokens(self, request: Request) -> int:
        """The limit of new tokens that the server is given."""
        if isinstance(request, Reason):
            return request.max_new_tokens + 1
        if not isinstance(request, Generate):
            return 1
        writes_opening = self.manner.answer_start == "prompt" and request.answer_start
        return request.max_new_tokens + (OPENING_TOKENS if writes_opening else 0)

    def post(self, request: Request) -> Post[Reply]:
        """The call that a request makes.

        Raises UsageError for what no such server can be asked: attention and classifiers.
        """
        refuse(request, own=self.own)
        body: dict[str, Any] = {"model": self.manner.model, **self.manner.settings}
        reads = self._reader(request)
        if self.manner.answer_start == "completions" or _is_plain(request):
            body |= {"prompt": self._prompt(request), "max_tokens": self.new_tokens(request)}
            if isinstance(request, Likelihood):
                body |= {"echo": True, "logprobs": 1}
            elif isinstance(request, Labels | Reason):
                body |= {"logprobs": self.manner.logprobs, **self._by_id(request)}
            return Post("completions", body, reads)
        body |= {self.manner.limit: self.new_tokens(request), **self._conversation(request)}
        if isinstance(request, Labels | Reason):
            body |= {
                "logprobs": True,
                "top_logprobs": self.manner.logprobs,
                **self._by_id(request),
            }
        return Post("chat/completions", body, reads)

    def _by_id(self, request: Labels | Reason) -> dict[str, Any]:
        """What asks vLLM for just the labels' tokens, named by their ids, which no two share."""
        if not self.manner.by_id:
            return {}
        ids = list(self._encoder.label_ids(request))
        return {"logprob_token_ids": ids, "return_tokens_as_token_ids": True}

    def _prompt(self, request: Request) -> str | list[int]:
        if self.manner.prompt_form == "token ids":
            encoded = self._encoder.encode(request)
            return [*encoded.prompt, *encoded.target]
        text = self._encoder.written(request)
        if self.manner.prompt_form == "text without its opening token":
            text = text.removeprefix(self._encoder.opening_token)
        return text + (request.target if isinstance(request, Likelihood) else "")

    def _conversation(self, request: Request) -> dict[str, Any]:
        messages = list(request.messages)
        opening = getattr(request, "answer_start", "")
        more: dict[str, Any] = {}
        if opening and self.manner.answer_start == "continue":
            messages.append(Message("assistant", opening))
            more = {"continue_final_message": True, "add_generation_prompt": False}
        elif opening:
            messages[-1] = Message(messages[-1].role, messages[-1].content + opening)
        turns = [{"role": message.role, "content": message.content} for message in messages]
        return {"messages": turns, **more}

    def _reader(self, request: Request) -> Callable[[dict[str, Any]], Reply]:
        def read(data: dict[str, Any]) -> Reply:
            choice = data["choices"][0]
            most = self.new_tokens(request)
            reply = _usage(data, most)
            named = data.get("model")
            if isinstance(named, str) and named != self.manner.model:
                reply = replace(reply, answered_by=named[:LONGEST_NAME])
            if isinstance(request, Labels):
                return self._labels(request, choice, reply)
            if isinstance(request, Reason):
                return self._reason(request, choice, reply)
            if isinstance(request, Likelihood):
                return self._likelihood(request, choice, reply)
            # A prompt that was written here may have begun the thought that the reply goes on with.
            written = self.own and self.manner.answer_start == "completions"
            opened = self._encoder.encode(request).opened if written else ""
            text = _text(choice)
            if len(text) > most * LONGEST_TOKEN:
                raise ValueError(f"its {len(text)} characters are more than {most} tokens hold")
            if text and not reply.generated_tokens:
                raise ValueError("its completion_tokens is none for a text that it wrote")
            return replace(reply, value=opened + text)

        return read

    def _labels(self, request: Labels, choice: dict[str, Any], reply: Reply) -> Reply:
        found = positions(choice)
        if found is None:
            return replace(reply, error=NO_LOGPROBS)
        # The token that the server writes is by the way: the prompt's last position is read.
        reply = replace(reply, generated_tokens=0)
        return self._read_at(found[0] if found else None, request, reply)

    def _reason(self, request: Reason, choice: dict[str, Any], reply: Reply) -> Reply:
        found = positions(choice)
        if found is None:
            return replace(reply, error=NO_LOGPROBS)
        return self._read_at(place_after(found, request.until), request, reply)

    def _read_at(self, place: Position | None, request: Labels | Reason, reply: Reply) -> Reply:
        if place is None:
            return reply
        spelled = self._spelled(request)
        if as_ids(place):
            if not self.own:
                return replace(reply, error=TOKENS_AS_IDS)
            spelled = tuple(f"token_id:{token}" for token in self._encoder.label_ids(request))
        asked = None if self.manner.by_id else self.manner.logprobs
        found = label_values(place, spelled, asked)
        if found is None:
            return reply
        return replace(reply, value=found.values, unlisted=found.unlisted)

    def _likelihood(self, request: Likelihood, choice: dict[str, Any], reply: Reply) -> Reply:
        encoded = self._encoder.encode(request)
        first, end = len(encoded.prompt), encoded.length
        if reply.prompt_tokens != end:
            return replace(
                reply,
                error=f"the server counts {reply.prompt_tokens} tokens where the tokenizer "
                f"counts {end}",
            )
        found = positions(choice)
        if found is None:
            return replace(reply, error=NO_LOGPROBS)
        chances = [position.logprob for position in found[first:end]]
        if len(chances) < end - first or None in chances:
            return replace(reply, error="the server gives no log probabilities of the prompt")
        value = float(sum(chance for chance in chances if chance is not None))
        return replace(reply, value=value, head_positions=len(chances), generated_tokens=0)

    def _spelled(self, request: Labels | Reason) -> tuple[str, ...]:
        """The tokens to look for: each label's first one, where the tokenizer is the model's."""
        if not self.own:
            return request.labels
        return tuple(self._encoder.text([token]) for token in self._encoder.label_ids(request))


def refuse(request: Request, *, own: bool) -> None:
    """Raise UsageError where no server of this kind answers a request, or not without tokenizer."""
    if isinstance(request, Classify | Attention):
        what = "a sequence classifier" if isinstance(request, Classify) else "a model's attention"
        raise UsageError(
            f"this method reads {what}, which OpenAI-compatible servers do not give; run the "
            "model here (--model ORG/NAME or a folder), or choose a method that generates"
        )
    if isinstance(request, Likelihood) and not own:
        raise UsageError(
            "this method reads the likelihood of the prompt's own tokens, which needs the model's "
            "tokenizer here: pass --tokenizer FOLDER"
        )


def _is_plain(request: Request) -> bool:
    return isinstance(request, Likelihood) or [m.role for m in request.messages] == ["text"]


def _text(choice: dict[str, Any]) -> str:
    """The answer's words: what the server parts from it as a thought is none of them.

    Raises ValueError for a content that is no text.
    """
    content = choice["text"] if "text" in choice else choice["message"].get("content")
    shown = [content or ""] if content is None or isinstance(content, str) else content
    if isinstance(content, list):
        shown = [part["text"] for part in content if part.get("type") in ("text", "output_text")]
    if not isinstance(shown, list) or not all(isinstance(part, str) for part in shown):
        raise ValueError(f"its content is {type(content).__name__}, which is no text")
    return "".join(shown)


def _usage(data: dict[str, Any], most: int) -> Reply:
    """A reply without its value, with the tokens that the server counted.

    Raises ValueError for counts that cannot be: more than `most` new tokens, fractions, no prompt.
    """
    usage = data.get("usage")
    if not isinstance(usage, dict):
        raise ValueError("it says nothing of usage")
    prompt = count(usage.get("prompt_tokens"), "prompt_tokens", 1, MOST_TOKENS)
    details = usage.get("prompt_tokens_details") or {}
    cached = details.get("cached_tokens") if isinstance(details, dict) else None
    new = usage.get("completion_tokens")
    written = 0 if new is None else count(new, "completion_tokens", 0, most)
    total = usage.get("total_tokens")
    return Reply(
        value=None,
        prompt_tokens=prompt,
        cached_tokens=None if cached is None else count(cached, "cached_tokens", 0, prompt),
        generated_tokens=written,
        head_positions=1,
        adds_up=total is None or total == prompt + written,
    )


def count(value: Any, name: str, least: int, most: int) -> int:
    """A number of tokens in its possible range. Raises ValueError for any other."""
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise ValueError(f"its {name} is {value!r}, which is no count of {least} to {most}")
    return value
