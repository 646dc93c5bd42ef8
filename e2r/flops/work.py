"""Usage → units of work: how many tokens, attended pairs and head positions a call asks for.

Each unit is an expression over the usage's own counts (see `expression`), so that adding a
unit adds a formula once, for Python, for arrays and for a web page alike.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from e2r.errors import DataError
from e2r.flops.expression import Constant, Expression, Variable, maximum, minimum

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Counts: TypeAlias = int | NDArray[Any]
else:
    Counts: TypeAlias = Any

Head: TypeAlias = Literal["last", "all", "none"]
Mask: TypeAlias = Literal["attended", "rectangle"]
Mode: TypeAlias = Literal["causal", "encoder", "decoder"]

ABSURD = 10**9
"""More tokens than any call has; counts above it are taken for a mistake."""

PROMPT = Variable("prompt_tokens")
CACHED = Variable("cached_tokens")
DECODER_PROMPT = Variable("decoder_prompt_tokens")
GENERATED = Variable("generated_tokens")
HEAD = Variable("head_positions")
STEPS = maximum(GENERATED, 1) - 1
"""Passes after the prefill: the prefill itself yields the first new token."""


@dataclass(frozen=True)
class Usage:
    """Token counts of a call, or of many calls as arrays of one shape.

    prompt_tokens counts the whole prompt, a cached prefix included. cached_tokens is that prefix:
    its keys and values are not computed again but are attended to. generated_tokens = N means a
    prefill that yields the first new token and N - 1 further passes; 0 scores the prompt and costs
    what 1 does. decoder_prompt_tokens is for encoder-decoder models (None: the start token alone).
    head_positions is how many positions of the prefill pass the output head reads; each generated
    token after the first adds one. Unless said it is 1, and under conventions that count what a
    reference runs, all positions of an encoder's or a decoder's first pass (see `estimate`).
    `head` says the same in a word: "last" is 1, "all" is every position of the prefill pass,
    "none" is 0. Query likelihood is one pass over prompt and target with head_positions = target
    tokens.
    Raises DataError for counts that are negative, not whole, above 10**9, or at odds.
    """

    prompt_tokens: Counts
    generated_tokens: Counts = 0
    decoder_prompt_tokens: Counts | None = None
    cached_tokens: Counts = 0
    head_positions: Counts | None = None
    head: Head | None = None

    def __post_init__(self) -> None:
        for name in (
            "prompt_tokens",
            "generated_tokens",
            "decoder_prompt_tokens",
            "cached_tokens",
            "head_positions",
        ):
            value = getattr(self, name)
            if value is not None and type(value) is not int:
                object.__setattr__(self, name, _whole(name, value))
                value = getattr(self, name)
            if value is not None:
                _check_range(name, value)
        if self.head not in (None, "last", "all", "none"):
            raise DataError(f"head is {self.head!r}; give 'last', 'all' or 'none'")
        if self.head is not None and self.head_positions is not None:
            raise DataError("head and head_positions say the same thing; give one of them")
        if _any(self.prompt_tokens < 1):
            raise DataError("prompt_tokens is 0; a call needs at least one prompt token")
        if _any(self.cached_tokens > self.prompt_tokens):
            raise DataError(
                f"cached_tokens ({_worst(self.cached_tokens)}) exceeds prompt_tokens "
                f"({_worst(self.prompt_tokens)}); the cached prefix is a part of the prompt"
            )

    def variables(self, mode: Mode, generates: bool = True) -> dict[str, Counts]:
        """The named counts that the units read, with the defaults of a kind of model filled in.

        Raises DataError when the usage asks for something that such a model does not have.
        """
        decoder_prompt = self.decoder_prompt_tokens
        if mode == "decoder":
            decoder_prompt = 1 if decoder_prompt is None else decoder_prompt
            if _any(decoder_prompt < 1):
                raise DataError(
                    "decoder_prompt_tokens is 0; an encoder-decoder model needs its start token"
                )
        elif decoder_prompt is not None and _any(decoder_prompt > 0):
            raise DataError("decoder_prompt_tokens is for encoder-decoder models; leave it out")
        if mode != "causal" and _any(self.cached_tokens > 0):
            raise DataError(
                "cached_tokens needs a causal model: in a bidirectional encoder every token sees "
                "the whole input, so no prefix can be reused"
            )
        if not generates and _any(self.generated_tokens > 1):
            raise DataError("generated_tokens is above 1, but this model only scores")
        passed = self.prompt_tokens - self.cached_tokens
        if mode == "decoder" and decoder_prompt is not None:
            passed = decoder_prompt
        return {
            "prompt_tokens": self.prompt_tokens,
            "cached_tokens": self.cached_tokens,
            "decoder_prompt_tokens": 0 if decoder_prompt is None else decoder_prompt,
            "generated_tokens": self.generated_tokens,
            "head_positions": self._head(passed, limited=generates),
        }

    def _head(self, passed: Counts, limited: bool) -> Counts:
        if self.head == "all":
            return passed
        if self.head == "none":
            return 0
        if self.head_positions is None:
            return 1
        if limited and _any((self.head_positions > passed) & (self.head_positions > 1)):
            raise DataError(
                f"head_positions ({_worst(self.head_positions)}) exceeds the positions of the "
                f"prefill pass; the head can only read positions that are processed"
            )
        return self.head_positions


def triangle(tokens: Expression) -> Expression:
    """Pairs (query, key) with key ≤ query among the first `tokens` positions: x(x+1)/2."""
    return tokens * (tokens + 1) // 2


def band(tokens: Expression, window: int | None) -> Expression:
    """Causal pairs in which the key lies at most window - 1 positions back: Σ min(i, window)."""
    if window is None:
        return triangle(tokens)
    return triangle(tokens) - triangle(maximum(tokens - window, 0))


def causal_pairs(window: int | None, mask: Mask) -> Expression:
    """Pairs of a decoder-only model; under "rectangle", as dense kernels over a cache do them.

    A dense prefill multiplies every new token with every key it is handed. A sliding cache hands
    over its last window - 1 keys and all new ones; a one-token step then sees at most the window.
    """
    end = PROMPT + STEPS
    if mask == "attended":
        return band(end, window) - band(CACHED, window)
    new = PROMPT - CACHED
    kept: Expression = CACHED if window is None else minimum(CACHED, window - 1)
    return new * (kept + new) + (band(end, window) - band(PROMPT, window))


def encoder_pairs(window: int | None, mask: Mask) -> Expression:
    """Pairs of a bidirectional encoder; `window` positions on each side when it is local."""
    if window is None or mask == "rectangle":
        return PROMPT * PROMPT
    return band(PROMPT, window + 1) * 2 - PROMPT


def decoder_pairs(window: int | None, mask: Mask) -> Expression:
    """Self-attention pairs of a decoder that starts from the decoder prompt."""
    end = DECODER_PROMPT + STEPS
    if mask == "attended":
        return band(end, window)
    steps = band(end, window) - band(DECODER_PROMPT, window)
    return DECODER_PROMPT * DECODER_PROMPT + steps


TOKENS: Mapping[Mode, Expression] = {
    "causal": PROMPT - CACHED + STEPS,
    "encoder": PROMPT,
    "decoder": DECODER_PROMPT + STEPS,
}
"""Tokens that pass through a stack's layers."""

PASSES: Mapping[Mode, Expression] = {
    "causal": STEPS + 1,
    "encoder": Constant(1),
    "decoder": STEPS + 1,
}
"""Forward passes of a stack; each reads the weights once."""

ONCE = Constant(1)
"""Each call."""

CONTEXT = PROMPT + (band(PROMPT + STEPS, None) - band(PROMPT, None))
"""Tokens in the context of each pass of a causal model, summed over the passes."""

LONGEST: Mapping[Mode, Expression] = {
    "causal": PROMPT + GENERATED,
    "encoder": PROMPT,
    "decoder": PROMPT,
}
"""Tokens to hold against the longest input that a model was made for."""

PAIRS = {"causal": causal_pairs, "encoder": encoder_pairs, "decoder": decoder_pairs}


def _whole(name: str, value: Any) -> Any:
    if isinstance(value, bool):
        raise DataError(f"{name} is {value!r}; give a whole number of tokens")
    try:
        return operator.index(value)
    except TypeError:
        pass
    import numpy

    array = numpy.asarray(value)
    if array.dtype.kind not in "iu":
        raise DataError(f"{name} holds {array.dtype} values; give whole numbers of tokens")
    return array.astype(numpy.int64, copy=False)


def _check_range(name: str, value: Any) -> None:
    if type(value) is int:
        low = high = value
    elif value.size == 0:
        raise DataError(f"{name} is an empty array; give at least one call")
    else:
        low, high = int(value.min()), int(value.max())
    if low < 0:
        raise DataError(f"{name} is {low}; token counts are not negative")
    if high > ABSURD:
        raise DataError(f"{name} is {high}; more than {ABSURD} tokens is taken for a mistake")


def _any(condition: Any) -> bool:
    return condition if isinstance(condition, bool) else bool(condition.any())


def _worst(value: Any) -> int:
    return value if isinstance(value, int) else int(value.max())
