"""Which task the class named by a config's `architectures` is for; others are refused by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NoReturn, TypeAlias

from e2r.errors import DataError
from e2r.flops.config import Task

Classes: TypeAlias = Mapping[str, Task]
"""The classes that a family describes to the last product, and what each is for."""


def language_model(prefix: str) -> Classes:
    """A decoder's language-model head, and the bare stack, as transformers spells them."""
    return {f"{prefix}ForCausalLM": "generation", f"{prefix}Model": "embedding"}


def decoder(prefix: str) -> Classes:
    """The heads of a decoder that transformers has a sequence classifier for."""
    return {**language_model(prefix), f"{prefix}ForSequenceClassification": "classification"}


def encoder(prefix: str) -> Classes:
    """A masked-language-model head, a sequence classifier, and the bare encoder."""
    return {
        f"{prefix}ForMaskedLM": "generation",
        f"{prefix}ForSequenceClassification": "classification",
        f"{prefix}Model": "embedding",
    }


def task_of(architectures: object, heads: Classes, model_type: str, source: str) -> Task | None:
    """The task of a config's `architectures`, or None where it names none.

    Raises DataError for a class that is not described, and for classes of different tasks.
    """

    def refuse(problem: str) -> NoReturn:
        raise DataError(
            f"{source}: field 'architectures' {problem} (model_type {model_type}); described "
            f"here: {', '.join(heads)}; a task that is given (--task generation, classification "
            f"or embedding) prices the model under that head instead"
        )

    if architectures is None or architectures == []:
        return None
    if not isinstance(architectures, list) or not all(isinstance(n, str) for n in architectures):
        refuse(f"is {architectures!r}; it has to be a list of class names")
    for name in architectures:
        if name not in heads:
            refuse(f"names {name!r}, whose head is not described")
    tasks = {heads[name] for name in architectures}
    if len(tasks) > 1:
        refuse(f"names classes of different tasks, {' and '.join(architectures)}")
    return tasks.pop()
