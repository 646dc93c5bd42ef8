"""What is asked of a language model, in its several forms, and what comes back with its cost."""

from __future__ import annotations

from dataclasses import dataclass

from e2r.prompts.template import Message


@dataclass(frozen=True, slots=True)
class Generate:
    """Greedy decoding of at most `max_new_tokens` after the prompt; replied to by text.

    `answer_start` opens the answer: after a chat template for decoder-only models, after the
    start token of the decoder prompt for encoder–decoder models. `thinks` says that a thought may
    come before the answer, where the model's template has a switch for it.
    """

    messages: tuple[Message, ...]
    max_new_tokens: int
    answer_start: str = ""
    thinks: bool = False


@dataclass(frozen=True, slots=True)
class Labels:
    """The logits, at the next position, of the first token that each label would add there.

    Replied to by floats.
    """

    messages: tuple[Message, ...]
    labels: tuple[str, ...]
    answer_start: str = ""


@dataclass(frozen=True, slots=True)
class Likelihood:
    """Σ log p of the target's tokens after the prompt, no end token; replied to by a float.

    With `padded` the target begins with the padding token, which is scored as well.
    """

    messages: tuple[Message, ...]
    target: str
    padded: bool = False


@dataclass(frozen=True, slots=True)
class Reason:
    """Greedy decoding until the text `until`, then the logits of the labels at the next position.

    Replied to by floats, or by None where `until` did not come within `max_new_tokens`. The token
    after the thought counts as generated.
    """

    messages: tuple[Message, ...]
    max_new_tokens: int
    until: str
    labels: tuple[str, ...]
    answer_start: str = ""


@dataclass(frozen=True, slots=True)
class Classify:
    """The one logit of a sequence classifier; replied to by a float.

    The roles query and passage are encoded as the model's own pair, other roles as a chat, which
    `answer_start` ends.
    """

    messages: tuple[Message, ...]
    answer_start: str = ""


@dataclass(frozen=True, slots=True)
class Attention:
    """How much the words after the last document attend to each token of each document.

    Replied to by one tuple of floats a document: attention averaged over the positions after the
    documents, summed over heads and layers. `documents` stand in the messages in this order.
    """

    messages: tuple[Message, ...]
    documents: tuple[str, ...]


Request = Generate | Labels | Likelihood | Reason | Classify | Attention


@dataclass(frozen=True, slots=True)
class Reply:
    """A model's reply and what it cost: real tokens, with padding beside them.

    `value` is what the request asks for. `error` is set and `value` is None where the model failed
    on this request. `cached_tokens` is None where a server does not say. `unlisted` counts labels
    that a server does not list: their values are upper bounds, all equal. `answered_by` is the
    model that a server says has answered, where that is another than was asked. `attempts` says how
    often it was sent until a reply came; `adds_up` that a server's total is the sum of its parts.
    """

    value: str | tuple[float, ...] | tuple[tuple[float, ...], ...] | float | None
    prompt_tokens: int = 0
    cached_tokens: int | None = 0
    decoder_prompt_tokens: int = 0
    generated_tokens: int = 0
    head_positions: int = 0
    padded_tokens: int = 0
    seconds: float = 0.0
    batch_size: int = 1
    error: str | None = None
    unlisted: int = 0
    answered_by: str | None = None
    attempts: int = 1
    adds_up: bool = True
