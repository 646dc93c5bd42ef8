"""Whole models from their layers, and the config readings that many families share."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import TypeVar

from e2r.flops.blocks import Terms, embedding, linear
from e2r.flops.config import Config, Required, Task
from e2r.flops.shared_fields import mode_of, refuse_strays, refuse_uneven
from e2r.flops.structure import Layer, Stack, Structure

Key = TypeVar("Key", bound=Hashable)


def decoder_only(
    config: Config,
    layers: Sequence[Layer],
    *,
    width: int,
    final: Terms,
    embeddings: Terms | None = None,
    head: Terms | None = None,
    classifier: Terms | None = None,
    embedder: Terms = (),
    tied: bool | None = None,
    context: int | None = None,
    gaps: tuple[str, ...] = (),
) -> Structure:
    """A causal stack under a language-model head, a scoring head, or none.

    One that its config makes bidirectional (`is_causal` false) works as an encoder does.
    `head` and `classifier` replace the usual lm_head and score; `embeddings` the usual token table;
    `embedder` is what lies on top of a stack that only embeds.
    """
    vocabulary = config.size("vocab_size")
    tied = config.flag("tie_word_embeddings") if tied is None else tied
    tables = (embedding("embed_tokens", vocabulary, width),) if embeddings is None else embeddings
    task = config.task or "generation"
    refuse_strays(config, layers)
    mode = mode_of(config, task, layers)
    if task == "generation":
        heads = linear("lm_head", width, vocabulary, per="position", tied=tied)
        heads = heads if head is None else head
    elif task == "classification":
        heads = linear("score", width, config.labels(), per="score")
        heads = heads if classifier is None else classifier
    else:
        heads = embedder
    return Structure(
        name=config.source,
        model_type=config.model_type,
        task=task,
        stacks=(Stack("decoder", mode, width, tuple(layers), (*tables, *final)),),
        head=heads,
        context=context,
        config=dict(config.facts),
        gaps=gaps,
    )


def bidirectional(
    config: Config,
    layers: Sequence[Layer],
    *,
    width: int,
    around: Terms,
    heads: Mapping[Task, Terms],
    context: int | None = None,
) -> Structure:
    """An encoder under the head of its task; encoders classify unless their config says else.

    `around` are embeddings, norms and projections outside the layers. A head for "generation" is
    the masked-language-model head, read at the positions asked for.
    """
    refuse_uneven(config)
    task = config.task or "classification"
    return Structure(
        name=config.source,
        model_type=config.model_type,
        task=task,
        stacks=(Stack("encoder", "encoder", width, tuple(layers), around),),
        head=heads[task],
        context=context,
        config=dict(config.facts),
    )


def repeat(make: Callable[[Key], Layer], keys: Iterable[Key]) -> tuple[Layer, ...]:
    """One layer a key, made once for each distinct key so that equal layers are one object."""
    made: dict[Key, Layer] = {}
    return tuple(made.setdefault(key, made.get(key) or make(key)) for key in keys)


def sizes(*, vocab: int, width: int, inner: int, layers: int, heads: int) -> Mapping[str, object]:
    """The five sizes that every config states, under their usual names, required at top level."""
    return {
        "vocab_size": Required(vocab),
        "hidden_size": Required(width),
        "intermediate_size": Required(inner),
        "num_hidden_layers": Required(layers),
        "num_attention_heads": Required(heads),
    }


def sliding(
    config: Config,
    *,
    field: str = "sliding_window",
    default: Callable[[int], bool] | None = None,
    enabled: bool = True,
) -> list[int | None]:
    """The window of each layer: where layer_types says so, else where `default(i)` does."""
    count = config.size("num_hidden_layers")
    kinds = config.per_layer("layer_types", count, ("full_attention", "sliding_attention"))
    if kinds is not None:
        slides = [kind == "sliding_attention" for kind in kinds]
    else:
        slides = [default is not None and default(i) for i in range(count)]
    if not enabled or not any(slides):
        return [None] * count
    window = config.optional_size(field)
    if window is None and kinds is not None:
        config.refuse(field, "is missing, but layer_types names sliding layers")
    return [window if slide else None for slide in slides]
