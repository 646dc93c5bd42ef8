"""What a method is: a plan with its parameters, its call formula, its depth and its source."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from e2r.errors import UsageError, unknown
from e2r.ranking.plan import Plan

SMALLEST = {"set_size": 2, "window": 2, "step": 1, "repeats": 1}


@dataclass(frozen=True)
class Method:
    """A named ranking method; `plan(n, k, **parameters)` makes its plan."""

    name: str
    plan: Callable[..., Plan[list[int]]]
    calls: str
    rounds: str
    source: str
    summary: str
    parameters: Mapping[str, int] = field(default_factory=dict)

    @property
    def family(self) -> str:
        """The first word of the name: pointwise, setwise, listwise, first_stage …"""
        return self.name.partition(".")[0]

    def complete(self, given: Mapping[str, Any]) -> dict[str, int]:
        """The given parameters over the defaults.

        Raises UsageError for one that the method does not have or that is out of its range.
        """
        for name, value in given.items():
            if name not in self.parameters:
                raise unknown(f"parameter of {self.name}", name, self.parameters)
            if not isinstance(value, int) or isinstance(value, bool) or value < SMALLEST[name]:
                raise UsageError(
                    f"{self.name}: {name} is {value!r}; give an integer of at least "
                    f"{SMALLEST[name]}"
                )
        complete = {**self.parameters, **given}
        if complete.get("step", 0) > complete.get("window", 0):
            raise UsageError(
                f"{self.name}: step {complete['step']} is larger than window "
                f"{complete['window']}; candidates between two windows would never be asked about"
            )
        return complete
