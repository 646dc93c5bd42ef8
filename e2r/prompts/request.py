"""What is asked of a language model, in three forms, and what comes back with its exact cost."""

from __future__ import annotations

from dataclasses import dataclass

from e2r.prompts.template import Message


@dataclass(frozen=True, slots=True)
class Generate:
    """Greedy decoding of at most `max_new_tokens` after the prompt; replied to by text.

    `answer_start` opens the answer: after a chat template for decoder-only models, after the
    start token of the decoder prompt for encoder–decoder models.
    """

    messages: tuple[Message, ...]
    max_new_tokens: int
    answer_start: str = ""


@dataclass(frozen=True, slots=True)
class Labels:
    """The logits of each label's first token at the next position; replied to by floats."""

    messages: tuple[Message, ...]
    labels: tuple[str, ...]
    answer_start: str = ""


@dataclass(frozen=True, slots=True)
class Likelihood:
    """Σ log p of the target's tokens after the prompt, no end token; replied to by a float."""

    messages: tuple[Message, ...]
    target: str


Request = Generate | Labels | Likelihood


@dataclass(frozen=True, slots=True)
class Reply:
    """A model's reply and what it cost: real tokens, with padding beside them.

    `value` is text, a tuple of logits or a log-likelihood, as the request asks. `error` is set
    and `value` is None where the model failed on this request.
    """

    value: str | tuple[float, ...] | float | None
    prompt_tokens: int = 0
    cached_tokens: int = 0
    decoder_prompt_tokens: int = 0
    generated_tokens: int = 0
    head_positions: int = 0
    padded_tokens: int = 0
    seconds: float = 0.0
    batch_size: int = 1
    error: str | None = None
