"""PyTorch's global module hooks: every outermost pass of a transformers model is told of."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

from e2r.meter.direct import Direct, direct

Told = Callable[[Any, tuple[Any, ...], Mapping[str, Any], Any, str], None]
COMPILED = "OptimizedModule"
LOOKED_UP = ("Embedding", "EmbeddingBag")
OWN_COUNT = "vllm."
"""Whose modules are vLLM's, whose requests are counted by their tokens."""


class Hooks:
    """Tells `passed` of each outermost pass: module, arguments, keywords, output, query.

    A pass inside another is a part of it. Nothing is given back to PyTorch, so that no number of
    the program changes. `failed` is told of a pass that raised, `alone` of a layer that multiplies
    outside of every pass, `compiled` of code that PyTorch compiles where no watched pass is under
    way: such code calls no hook. `query` says whose passes begin now.
    """

    def __init__(
        self,
        passed: Told,
        failed: Callable[[Any], None],
        alone: Callable[[Any], None],
        compiled: Callable[[], None],
        query: Callable[[], str],
    ) -> None:
        self._passed = passed
        self._failed = failed
        self._alone = alone
        self._compiled = compiled
        self._query = query
        self._local = threading.local()
        self._inside: WeakKeyDictionary[Any, frozenset[int]] = WeakKeyDictionary()
        self._handles: list[Any] = []
        self._under_way: list[Direct] = []
        self._unhook: Callable[[], None] = lambda: None

    def start(self) -> None:
        """Hang the hooks in. Imports torch and transformers."""
        import torch
        from torch.nn.modules import module as modules
        from transformers.modeling_utils import PreTrainedModel

        compiling = torch.compiler.is_compiling
        local, watched = self._local, PreTrainedModel

        def before(module: Any, args: Any) -> None:
            if compiling():
                return
            # Called for every layer of every pass: the most frequent answer comes first.
            outer = getattr(local, "outer", None)
            mine = isinstance(module, watched)
            if outer is not None and not mine:
                return
            under_way = getattr(local, "direct", None)
            if under_way is not None:
                if not under_way.ended:
                    under_way.inside += 1
                    return
                self._end(under_way)
            mine = mine or type(module).__name__ == COMPILED
            self._enter(module, outer, mine, watched)

        def after(module: Any, args: Any, *rest: Any) -> None:
            if compiling():
                return
            if getattr(local, "outer", None) is module:
                self._leave(module, args, rest)
            else:
                under_way = getattr(local, "direct", None)
                if under_way is None:
                    return
                if under_way.ended:
                    # What has given its output now stands around the pass.
                    self._end(under_way)
                    return
                under_way.inside -= 1
                if len(rest) == 1:
                    under_way.failed = True
                else:
                    under_way.part(module, rest[1])

        # The warning is about hooks that are not the program's.
        warnings.filterwarnings("ignore", r"Using `torch\.compile\(module\)` when there are global")
        self._handles = [
            modules.register_module_forward_pre_hook(before),
            modules.register_module_forward_hook(after, with_kwargs=True, always_call=True),
        ]

    def watch_compiler(self) -> None:
        """Hear of code that PyTorch compiles. Imports its compiler, which is slow to load."""
        from torch._dynamo.callback import callback_handler

        def begun(_: Any) -> None:
            if getattr(self._local, "outer", None) is None:
                self._compiled()

        callback_handler.register_start_callback(begun)
        self._unhook = partial(callback_handler.remove_start_callback, begun)

    def stop(self) -> None:
        """Take the hooks out again."""
        self.drain()
        for handle in self._handles:
            handle.remove()
        self._handles = []
        self._unhook()

    def _enter(self, module: Any, outer: Any, mine: bool, watched: type) -> None:
        # A pass that was interrupted never left; what follows it is not inside of it.
        if outer is not None and outer is not module and id(module) in self._parts(outer):
            return
        self._local.outer = None
        begun = direct(watched, module, self._query)
        if begun is not None:
            begun.inside = 1
            self._local.direct = begun
            self._under_way.append(begun)
        elif mine:
            self._local.outer = module
        elif _multiplies(module):
            self._alone(module)

    def _end(self, made: Direct) -> None:
        """A pass by `forward` has ended some time ago."""
        if getattr(self._local, "direct", None) is made:
            self._local.direct = None
        with suppress(ValueError):
            self._under_way.remove(made)
            if made.whole:
                self._passed(made.module, (), made.given, made.output(), made.query)
            else:
                self._failed(made.module)

    def drain(self) -> None:
        """Tell of the passes by `forward` that have ended, of which nothing else would tell."""
        for made in [made for made in self._under_way if made.ended]:
            self._end(made)

    def _parts(self, outer: Any) -> frozenset[int]:
        parts = self._inside.get(outer)
        if parts is None:
            parts = self._inside[outer] = frozenset(map(id, outer.modules()))
        return parts

    def _leave(self, module: Any, args: Any, rest: tuple[Any, ...]) -> None:
        self._local.outer = None
        model = getattr(module, "_orig_mod", module)
        # Where a pass has raised, PyTorch hands over no keywords.
        if len(rest) == 1:
            self._failed(model)
        else:
            self._passed(model, args, rest[0], rest[1], self._query())


def _multiplies(module: Any) -> bool:
    """Whether a layer has a matrix of its own that its inputs are multiplied by."""
    kind, held = type(module), getattr(module, "_parameters", None)
    if kind.__name__ in LOOKED_UP or kind.__module__.startswith(OWN_COUNT):
        return False
    if not isinstance(held, dict):
        return False
    return any(weight is not None and weight.ndim > 1 for weight in held.values())
