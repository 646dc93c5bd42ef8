"""How each method asks and reads: task → request, reply → answer or a recorded failure."""

from __future__ import annotations

from collections.abc import Sequence

from e2r.errors import UsageError, unknown
from e2r.prompts import choices, orders, reference, scores
from e2r.prompts.read import Asked, Read, Reading
from e2r.ranking import method as find
from e2r.ranking.plan import Task

__all__ = ["READINGS", "Asked", "Read", "Reading", "asks", "passages_of", "reading"]

READINGS: dict[str, Reading] = {
    "pointwise.qlm": scores.QLM,
    "pointwise.yes_no": scores.YES_NO,
    "pointwise.monot5": scores.MONOT5,
    "pointwise.cross_encoder": scores.CROSS_ENCODER,
    "pointwise.qwen3": scores.QWEN3,
    "pointwise.graded": scores.GRADED,
    "pointwise.reasoning": scores.RANK1,
    "pairwise.allpair": choices.PREFERENCE,
    "pairwise.heapsort": choices.PREFERENCE,
    "pairwise.bubblesort": choices.PREFERENCE,
    "pairwise.duot5": scores.DUOT5,
    "pairwise.duot5.allpair": scores.DUOT5,
    "setwise.heapsort": choices.LABEL,
    "setwise.bubblesort": choices.LABEL,
    "setwise.insertion": choices.LABEL,
    "setwise.heapsort.likelihood": choices.LABEL_LIKELIHOOD,
    "setwise.bubblesort.likelihood": choices.LABEL_LIKELIHOOD,
    "setwise.insertion.likelihood": choices.LABEL_LIKELIHOOD,
    "setwise.heapsort.reasoning": choices.RANK_R1,
    "listwise.generation": orders.GENERATION,
    "listwise.likelihood": orders.LIKELIHOOD,
    "listwise.first": orders.FIRST,
    "listwise.reasoning": orders.REASONING,
    "partition.tdpart": orders.GENERATION,
    "tournament.blitzrank": orders.GENERATION,
    "tournament.jointrank": orders.GENERATION,
    "tournament.acurank": orders.GENERATION,
    "tournament.tourrank": choices.GROUP,
    "attention.icr": scores.ICR,
}


def reading(method: str, fidelity: str = "mended") -> Reading:
    """The reading of that method.

    Raises UsageError for a method that asks no model, and for one that is priced and not run.
    """
    found = find(method)
    if found.unrun:
        raise UsageError(
            f"{method} is priced and not run: {found.unrun}; see its cost by `e2r estimate MODEL "
            f"--method {method}`"
        )
    name = found.prompted_as
    if name not in READINGS:
        raise unknown("method that asks a model", name, READINGS)
    if fidelity == "llm-rankers":
        return reference.READINGS.get(name, READINGS[name])
    return READINGS[name]


def asks(method: str) -> bool:
    """Whether a known method asks a model anything."""
    return find(method).prompted_as in READINGS


def passages_of(task: Task, texts: Sequence[str]) -> list[str]:
    """The texts of the candidates that a task asks about, in prompt order."""
    return [texts[i] for i in task.candidates]
