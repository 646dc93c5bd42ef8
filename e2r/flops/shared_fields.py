"""Fields that transformers obeys in every family, whether or not the family declares them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from e2r.flops.blocks import Term
from e2r.flops.config import Config, Task
from e2r.flops.structure import Layer
from e2r.flops.work import Mode

PER_LAYER = ("per_layer_config", "kv_sharing_modes")
"""Make layers differ from one another in any of their fields."""
CACHED = ("sliding_window", "attention_chunk_size")
"""Read by the cache, which then keeps no more keys than that, without a word in the masks."""
ONLY_READ = ("classification", "embedding")
ONE_WAY = ("convolved", "chunk token", "chunk pair", "chunk carry", "recurrent")
"""Work of layers that read from left to right whatever the masks say."""


def refuse_uneven(config: Config) -> None:
    """Raise DataError for fields that make one layer unlike another."""
    for name in PER_LAYER:
        if config.facts.get(name):
            config.refuse(name, "is set; layers that differ by it are not described here")


def refuse_strays(config: Config, layers: Sequence[Layer]) -> None:
    """Raise DataError for a field that a decoder's cache obeys and its family does not describe.

    It would change what is attended to over a cached prefix, and nothing else of the model: no
    checkpoint is meant so. A declared window of one is of the kind, since the cache keeps all
    keys where it should keep none.
    """
    refuse_uneven(config)
    for name in CACHED:
        if name not in config.defaults and config.facts.get(name) is not None:
            config.refuse(name, "is set; the family has no such field, yet its cache would obey it")
    kinds = config.facts.get("layer_types")
    if "layer_types" not in config.defaults and kinds not in (None, _kinds(layers)):
        config.refuse(
            "layer_types",
            f"is {kinds!r}; the layers of the family are otherwise, yet its cache would obey the "
            "list",
        )
    # Text is never written without a cache; what is only read may be.
    uncached = config.facts.get("use_cache") is False and config.task in ONLY_READ
    if uncached and any(term.per in ONE_WAY for term in _terms(layers)):
        config.refuse("use_cache", "is false, which is not described for recurrent layers")
    if any(term.per == "pair" and term.window == 1 for term in _terms(layers)):
        config.refuse("sliding_window", "is 1; a token that sees itself alone is not described")


def mode_of(config: Config, task: Task, layers: Sequence[Layer]) -> Mode:
    """Causal, or an encoder's where `is_causal` is false and every token sees the whole input.

    Raises DataError where that is not described: for models that write tokens, keep a window or
    read from left to right by construction.
    """
    value = config.facts.get("is_causal")
    if value is None or value is True:
        return "causal"
    if value is not False:
        config.refuse("is_causal", f"is {value!r}; it has to be true or false")
    if task == "generation":
        config.refuse("is_causal", "is false, but the model writes tokens one after another")
    for term in _terms(layers):
        if term.per in ONE_WAY or (term.per == "pair" and term.window is not None):
            config.refuse("is_causal", f"is false, which is not described with {term.name}")
    return "encoder"


def _kinds(layers: Sequence[Layer]) -> list[str]:
    slides = {
        id(layer): any(term.per == "pair" and term.window for term in layer.terms)
        for layer in layers
    }
    return ["sliding_attention" if slides[id(layer)] else "full_attention" for layer in layers]


def _terms(layers: Sequence[Layer]) -> Iterator[Term]:
    for layer in {id(layer): layer for layer in layers}.values():
        yield from layer.terms
