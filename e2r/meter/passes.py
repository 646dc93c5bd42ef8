"""One forward pass of a transformers model: its rows, real tokens, padding, cache and head.

Amounts that only the device knows stay there, as tensors, until a call is written down: reading
one earlier would make the program wait for its own accelerator.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, TypeAlias

Amounts: TypeAlias = Any
"""A whole number that holds for every row, or a tensor with one entry a row."""

CACHES = ("past_key_values", "cache_params")
OTHER_SENSES = (
    "pixel_values",
    "pixel_values_videos",
    "image_embeds",
    "input_features",
    "input_values",
)
PACKED = ("cu_seq_lens_q", "cu_seq_lens_k", "block_table")
GENERATING = ("_sample", "_beam_search", "_assisted_decoding")
HOW_DEEP = 16
"""Frames between a module's hook and the loop that decodes; three or four, and more if wrapped."""


@dataclass(frozen=True)
class Pass:
    """A forward pass. `width` positions of each of `rows` rows go through the last stack.

    `past` positions were in the cache before it; `tokens` and `begun` are the real ones among
    past + width, and among past. An encoder-decoder's encoder reads `source` positions, of which
    `spoken` are real. The head computes `head` positions a row; None where nobody can say.
    `awake` is 1 for a row that is still being written, 0 for one that waits for others. `cache` is
    the object that later passes go on with. `ids` are the tokens that a query may be found in.
    `reasons` say why it has no price, `doubts` what makes it a bound.
    """

    rows: int
    width: int
    past: int
    tokens: Amounts
    begun: Amounts
    source: int
    spoken: Amounts
    head: int | None
    awake: Amounts
    generating: bool
    cache: Any
    encoded: Any
    ids: Any
    reasons: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    restarts: Any = False

    def without_tensors(self) -> Pass:
        """The pass without what the program may let go: nothing is kept alive by being counted."""
        return replace(self, cache=None, encoded=None, ids=None)


def listed(amounts: Amounts, rows: int) -> list[int]:
    """Amounts as whole numbers, one a row."""
    if isinstance(amounts, int):
        return [amounts] * rows
    values: list[int] = amounts.tolist()
    return values


@cache
def _names(forward: Callable[..., Any]) -> tuple[str, ...]:
    return tuple(inspect.signature(forward).parameters)[1:]


def parameters(kind: Any) -> tuple[str, ...]:
    """The names of what a kind of module's forward takes."""
    return _names(kind.forward)


def arguments(module: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """What a module's forward was called with, by name."""
    return {**dict(zip(parameters(type(module)), args, strict=False)), **kwargs}


def decoder_pass(module: Any, given: Mapping[str, Any], output: Any, length: int | None) -> Pass:
    """A pass of a single stack; `length` is what its cache held, where the meter counted it."""
    ids, rows, width = _shape(given.get("input_ids"), given.get("inputs_embeds"))
    kept = cache_of(given, output)
    doubts: list[str] = []
    mask = given.get("attention_mask")
    past = 0 if cache_of(given) is None else _past(kept, width, mask, length)
    reasons = _reasons(given, kept)
    if past is None:
        reasons, past = (*reasons, "its cache does not say how much it holds"), 0
    flat = _flat(mask, past + width, doubts)
    if flat is not None:
        tokens: Amounts = flat.sum(-1)
        begun: Amounts = flat[:, :past].sum(-1) if past else 0
    else:
        tokens, begun = past + width - _trailing(module, ids, past), past
    awake, generating = _decoding(rows)
    return Pass(
        rows,
        width,
        past,
        tokens,
        begun,
        source=0,
        spoken=0,
        head=_head(module, output),
        awake=awake,
        generating=generating,
        cache=kept,
        encoded=None,
        ids=ids,
        reasons=reasons,
        doubts=(*doubts, *_doubts(module, given, kept)),
        restarts=_restarts(given),
    )


def pair_pass(module: Any, given: Mapping[str, Any], output: Any, length: int | None) -> Pass:
    """A pass of an encoder-decoder; `encoded` holds the states that it did not compute itself."""
    encoded = given.get("encoder_outputs")
    states = None if encoded is None else encoded[0]
    doubts: list[str] = []
    source_ids = given.get("input_ids")
    if states is None:
        _, rows, source = _shape(source_ids, given.get("inputs_embeds"))
    else:
        rows, source = states.shape[0], states.shape[1]
    mask = _flat(given.get("attention_mask"), source, doubts)
    spoken: Amounts = source if mask is None else mask.sum(-1)
    if mask is None and states is None:
        spoken = source - _trailing(module, source_ids, 0)
    ids, _, width = _decoder_shape(given, output, rows)
    kept = cache_of(given, output)
    reasons = _reasons(given, kept)
    past = 0 if cache_of(given) is None else _past(kept, width, None, length)
    if past is None:
        reasons, past = (*reasons, "its cache does not say how much it holds"), 0
    own = _flat(given.get("decoder_attention_mask"), past + width, doubts)
    tokens: Amounts = past + width - _trailing(module, ids, past) if own is None else own.sum(-1)
    awake, generating = _decoding(rows)
    return Pass(
        rows,
        width,
        past,
        tokens,
        begun=past,
        source=source,
        spoken=spoken,
        head=_head(module, output),
        awake=awake,
        generating=generating,
        cache=kept,
        encoded=states,
        ids=source_ids,
        reasons=reasons,
        doubts=(*doubts, *_doubts(module, given, kept)),
    )


def _shape(ids: Any, embedded: Any) -> tuple[Any, int, int]:
    known = ids if ids is not None else embedded
    if known is None:
        raise LookupError("neither input_ids nor inputs_embeds")
    return ids, known.shape[0], known.shape[1]


def _decoder_shape(given: Mapping[str, Any], output: Any, rows: int) -> tuple[Any, int, int]:
    for name in ("decoder_input_ids", "labels"):
        if given.get(name) is not None:
            ids = given[name]
            return ids if name == "decoder_input_ids" else None, rows, ids.shape[1]
    if given.get("decoder_inputs_embeds") is not None:
        return None, rows, given["decoder_inputs_embeds"].shape[1]
    return None, rows, output.logits.shape[1]


def cache_of(given: Mapping[str, Any], output: Any = None) -> Any:
    """The cache that a pass was given, else the one that it made."""
    for name in CACHES:
        if given.get(name) is not None:
            return given[name]
    for name in CACHES:
        made = getattr(output, name, None)
        if made is not None:
            return made
    return None


def _past(kept: Any, width: int, mask: Any, length: int | None) -> int | None:
    """Positions that a cache held before a pass that has added `width` to it.

    The cache says it itself, also where the program has cut it; else `length`, the passes' sum.
    """
    # Caches of other kinds have no such method, or one that does not know.
    with suppress(AttributeError, TypeError, ValueError, NotImplementedError, IndexError):
        return max(int(kept.get_seq_length()) - width, 0)
    if isinstance(kept, tuple) and kept:
        return int(kept[0][0].shape[-2])
    if mask is not None and getattr(mask, "ndim", 0) == 2:
        return int(mask.shape[1]) - width
    return length


def _flat(mask: Any, wide: int, doubts: list[str]) -> Any:
    """A mask of one entry a position, or None where there is none."""
    if mask is None:
        return None
    if getattr(mask, "ndim", 0) != 2 or mask.shape[1] < wide:
        doubts.append("attention masks of another shape than rows by positions: all tokens count")
        return None
    return (mask[:, :wide] != 0).long()


def _trailing(module: Any, ids: Any, past: int) -> Amounts:
    """Padding at the ends of rows that came without a mask, less than which no row has.

    Causal models are handed such rows, because no real token attends to what stands behind it.
    """
    pad = getattr(module.config, "pad_token_id", None)
    if ids is None or past or not isinstance(pad, int) or ids.shape[0] < 2:
        return 0
    behind = (ids == pad).long().flip(-1).cumprod(-1).sum(-1)
    return behind - behind.min()


def _head(module: Any, output: Any) -> int | None:
    """Positions of each row that a language model's head computed."""
    logits = getattr(output, "logits", None)
    if logits is None and isinstance(output, tuple):
        logits = next((part for part in output if getattr(part, "ndim", 0) == 3), None)
    if logits is None or logits.ndim != 3:
        return None
    return int(logits.shape[1])


def _reasons(given: Mapping[str, Any], kept: Any) -> tuple[str, ...]:
    """Why a pass has no price."""
    found = [f"it reads {name}" for name in OTHER_SENSES if given.get(name) is not None]
    if any(given.get(name) is not None for name in PACKED) or "Paged" in type(kept).__name__:
        found.append("its rows are packed into one")
    return tuple(found)


def _doubts(module: Any, given: Mapping[str, Any], kept: Any) -> tuple[str, ...]:
    """What makes a price a bound."""
    found = []
    if module.training:
        found.append("a model in training mode: backward passes are not counted")
    layers = getattr(kept, "layers", None) or ()
    if layers and type(layers[0]).__name__.startswith("Static"):
        found.append(
            "a static cache: its kernels also attend to places that are still empty, which the "
            "convention torch does not count"
        )
    return tuple(found)


def _restarts(given: Mapping[str, Any]) -> Any:
    """Whether positions begin anew inside a row that has no mask: several texts laid in one."""
    places = given.get("position_ids")
    if places is None or given.get("attention_mask") is not None or places.ndim != 2:
        return False
    return (places[:, 1:] != places[:, :-1] + 1).any()


def _decoding(rows: int) -> tuple[Amounts, bool]:
    """Which rows a decoding loop of transformers still writes, and whether there is one.

    The loop keeps that to itself; nothing that reaches the model says that a row has ended.
    """
    frame = sys._getframe(1)
    for _ in range(HOW_DEEP):
        if frame.f_code.co_name in GENERATING and "generation" in frame.f_code.co_filename:
            awake = frame.f_locals.get("unfinished_sequences")
            fits = awake is not None and tuple(awake.shape) == (rows,)
            return (awake if fits else 1), True
        if frame.f_back is None:
            break
        frame = frame.f_back
    return 1, False
