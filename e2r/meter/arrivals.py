"""Libraries that are watched from the moment that they are loaded."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType
from typing import Any

Told = Callable[[], None]


class Arrivals(MetaPathFinder):
    """Calls what waits for a module once it is there: at once, or when the program imports it.

    Finds nothing by itself: the module is found and loaded as it would be. `failed` is told of a
    module that cannot be watched, because a program must not fail by that.
    """

    def __init__(self, waiting: Mapping[str, Told], failed: Callable[[str], None]) -> None:
        self._failed = failed
        self._waiting = {name: told for name, told in waiting.items() if name not in sys.modules}
        for name, told in waiting.items():
            if name not in self._waiting:
                self.tell(name, told)
        sys.meta_path.insert(0, self)

    def close(self) -> None:
        """Wait no longer."""
        self._waiting.clear()
        if self in sys.meta_path:
            sys.meta_path.remove(self)

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        # Taken off first: the search below comes by here again.
        told = self._waiting.pop(name, None)
        if told is None:
            return None
        spec = find_spec(name)
        if spec is None or spec.loader is None:
            self._waiting[name] = told
        else:
            spec.loader = _Telling(spec.loader, lambda: self.tell(name, told))
        return spec

    def tell(self, name: str, told: Told) -> None:
        """Begin to watch a module that is there."""
        try:
            told()
        except Exception as error:
            self._failed(f"{name} cannot be watched ({type(error).__name__}: {error})")


class _Telling(Loader):
    """Another loader, and word of what it has loaded."""

    def __init__(self, loader: Any, told: Told) -> None:
        self._loader = loader
        self._told = told

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        module: ModuleType | None = self._loader.create_module(spec)
        return module

    def exec_module(self, module: ModuleType) -> None:
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        module.__loader__ = self._loader
        self._loader.exec_module(module)
        self._told()
