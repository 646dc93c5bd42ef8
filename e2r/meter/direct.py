"""Passes made by `model.forward(…)`, which calls no hook of the model: told by its parts' hooks."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import FrameType, SimpleNamespace
from typing import Any

from e2r.meter.passes import CACHES, parameters

HOW_DEEP = 60
"""Frames between a part's hook and the pass that it belongs to, at most."""


@dataclass
class Direct:
    """A pass under way: its frame, what it was called with, and what its parts have shown of it."""

    module: Any
    frame: FrameType
    given: Mapping[str, Any]
    head: Any
    query: str
    logits: Any = None
    failed: bool = False
    inside: int = 0
    kept: dict[str, Any] = field(default_factory=dict)

    @property
    def ended(self) -> bool:
        """Whether its frame has returned; what the frame held is let go then."""
        try:
            self.frame.clear()
        except RuntimeError:
            return False
        return True

    @property
    def whole(self) -> bool:
        """Whether it ended well: an interruption leaves parts that were never left."""
        return not self.failed and self.inside == 0

    def part(self, module: Any, output: Any) -> None:
        """A part has given its output: the head shows the logits' shape, a stack its cache."""
        if module is self.head and getattr(output, "ndim", 0) == 3:
            self.logits = SimpleNamespace(ndim=3, shape=tuple(output.shape))
        for name in CACHES:
            made = getattr(output, name, None)
            if made is not None:
                self.kept[name] = made

    def output(self) -> Any:
        """What stands for the output that nobody saw."""
        return SimpleNamespace(logits=self.logits, **self.kept)


def direct(watched: type, module: Any, query: Callable[[], str]) -> Direct | None:
    """The pass of a `watched` model whose forward is on the stack above a module's own call."""
    frame: FrameType | None = sys._getframe(1)
    found: FrameType | None = None
    for _ in range(HOW_DEEP):
        if frame is None:
            break
        code = frame.f_code
        # Locals are looked at nowhere else: looking keeps what they hold alive.
        if code.co_name == "forward" and "transformers" in code.co_filename:
            model = frame.f_locals.get("self")
            if isinstance(model, watched) and model is not module:
                found = frame
        frame = frame.f_back
    if found is None:
        return None
    model = found.f_locals["self"]
    local = found.f_locals
    given = {name: local[name] for name in parameters(type(model)) if name in local}
    more = given.pop("kwargs", None)
    head = model.get_output_embeddings() if hasattr(model, "get_output_embeddings") else None
    return Direct(model, found, {**given, **(more or {})}, head, query())
