"""What a method is: a plan with its parameters, its call formula, its depth and its source."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from e2r.errors import UsageError, unknown
from e2r.ranking.plan import Plan

SMALLEST = {"set_size": 2, "window": 2, "step": 1, "repeats": 1, "tournaments": 1, "pivot": 1}

LABELLED = 23
"""Passages that a prompt can label, A to W."""

FIDELITIES: Mapping[str, str] = {
    "mended": "the published method, with the faults of its reference implementation mended",
    "llm-rankers": "the calls, prompts and rankings of ielab/llm-rankers, faults included",
}


@dataclass(frozen=True)
class Method:
    """A named ranking method; `plan(n, k, **parameters)` makes its plan.

    `bound(n, k, **parameters)` is the largest number of calls that any answers can lead to, and
    with `exact` it is the number of calls whatever is answered. `calls` and `rounds` say the same
    in words. `llm_rankers` is the plan that ielab/llm-rankers carries out under this name, or
    None where that project has no such method. `trained` are words that checkpoints trained for
    this method carry in their names, none where any model can be asked. `most` is the largest value
    of a parameter, where its prompt has names for no more passages. `told` says what its final
    ranking tells of its calls: which they were (exact), about which (estimate), or too little
    (None). `unrun` says why such a method is priced and not run. `reads` is the method whose
    prompt and reading it uses, where those are not its own, and `sha256` the hash of its source
    where that lies outside of this package.
    """

    name: str
    plan: Callable[..., Plan[list[int]]]
    calls: str
    rounds: str
    bound: Callable[..., int]
    source: str
    summary: str
    parameters: Mapping[str, int] = field(default_factory=dict)
    exact: bool = False
    llm_rankers: Callable[..., Plan[list[int]]] | None = None
    trained: tuple[str, ...] = ()
    most: Mapping[str, int] = field(default_factory=dict)
    told: Literal["exact", "estimate"] | None = None
    unrun: str | None = None
    reads: str | None = None
    sha256: str | None = None

    @property
    def family(self) -> str:
        """The first word of the name: pointwise, setwise, listwise, first_stage …"""
        return self.name.partition(".")[0]

    @property
    def prompted_as(self) -> str:
        """The method whose prompt and reading it uses, which may be itself."""
        return self.reads or self.name

    def under(self, fidelity: str) -> Method:
        """The method as a fidelity asks for it.

        Raises UsageError for an unknown fidelity and for a method that llm-rankers does not have.
        """
        if fidelity not in FIDELITIES:
            raise unknown("fidelity", fidelity, FIDELITIES)
        if fidelity == "mended" or self.name == "first_stage":
            return self
        if self.llm_rankers is None:
            raise UsageError(
                f"{self.name}: llm-rankers has no such method; drop --fidelity, or see "
                "docs/methods.md for the methods that it has"
            )
        return replace(self, plan=self.llm_rankers)

    def complete(self, given: Mapping[str, Any]) -> dict[str, int]:
        """The given parameters over the defaults.

        Raises UsageError for one that the method does not have or that is out of its range.
        """
        for name, value in given.items():
            if name not in self.parameters:
                raise unknown(f"parameter of {self.name}", name, self.parameters)
            if (
                not isinstance(value, int)
                or isinstance(value, bool)
                or value < SMALLEST.get(name, 1)
            ):
                raise UsageError(
                    f"{self.name}: {name} is {value!r}; give an integer of at least "
                    f"{SMALLEST.get(name, 1)}"
                )
        complete = {**self.parameters, **given}
        for name, most in self.most.items():
            if complete[name] > most:
                raise UsageError(
                    f"{self.name}: {name} is {complete[name]}, but a prompt has labels for {most} "
                    "passages"
                )
        if complete.get("step", 0) > complete.get("window", 0):
            raise UsageError(
                f"{self.name}: step {complete['step']} is larger than window "
                f"{complete['window']}; candidates between two windows would never be asked about"
            )
        if complete.get("pivot", 0) > complete.get("window", 0):
            raise UsageError(
                f"{self.name}: pivot {complete['pivot']} is larger than window "
                f"{complete['window']}; the pivot is a place in the first window"
            )
        return complete
