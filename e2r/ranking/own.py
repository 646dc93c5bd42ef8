"""Methods from outside of this package: a file that the user typed, or an installed package."""

from __future__ import annotations

import hashlib
import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any

from e2r.borders.own_code import OwnCode, own_code
from e2r.errors import DataError
from e2r.ranking.method import Method
from e2r.ranking.plan import Choose, Duel, Order, Plan, Prefer, Score, Select, Task

GROUP = "e2r.methods"
"""Entry points of installed packages: a plan, or a Method, by its name."""
READS: Mapping[type, str] = {
    Score: "pointwise.yes_no",
    Prefer: "pairwise.heapsort",
    Choose: "setwise.heapsort",
    Order: "listwise.generation",
    Duel: "pairwise.duot5",
    Select: "tournament.tourrank",
}
"""The method whose prompt and reading a plan uses that asks such tasks, unless it says another."""
UNBOUNDED = 10**9
"""Calls of a plan whose author has not said how many they can be."""
LOADED: dict[str, Method] = {}
"""Methods of this process by the words that named them, and by their labels."""


def load(word: str, home: Path | None) -> Method:
    """The method FILE.py:NAME. Raises what `own_code` does, and DataError for a faulty file."""
    code = own_code(word, home)
    known = LOADED.get(code.label)
    if known is None or known.sha256 != code.sha256:
        known = _of_file(code)
    LOADED[word] = LOADED[code.label] = known
    return known


@cache
def installed() -> dict[str, metadata.EntryPoint]:
    """The entry points of installed packages by name."""
    return {point.name: point for point in metadata.entry_points(group=GROUP)}


def of_package(name: str) -> Method:
    """The installed method of that name. Raises DataError for one that is none."""
    if name not in LOADED:
        point = installed()[name]
        where = f"entry point {name} ({point.value})"
        found = _carefully(where, point.load)
        if not isinstance(found, Method):
            module = sys.modules[found.__module__]
            found = _method(where, name, found, module, *_source(module, point))
        LOADED[name] = found
    return LOADED[name]


def _source(module: ModuleType, point: metadata.EntryPoint) -> tuple[str, str]:
    """What the package is called, and the hash of the file that holds the plan."""
    dist = point.dist
    file = Path(str(inspect.getsourcefile(module)))
    told = "a package" if dist is None else f"{dist.name} {dist.version}"
    return told, hashlib.sha256(file.read_bytes()).hexdigest()


def _of_file(code: OwnCode) -> Method:
    module = ModuleType(f"e2r_own_{code.sha256[:16]}")
    module.__file__ = str(code.path)
    sys.modules[module.__name__] = module

    def execute() -> None:
        exec(compile(code.text, str(code.path), "exec"), vars(module))  # noqa: S102

    _carefully(str(code.path), execute)
    function = getattr(module, code.name, None)
    return _method(str(code.path), code.label, function, module, code.path.name, code.sha256)


def _method(
    where: str, name: str, function: Any, module: ModuleType, source: str, sha256: str
) -> Method:
    if not inspect.isgeneratorfunction(function):
        raise DataError(
            f"{where}: holds no generator of that name; a plan is one, and yields tasks"
        )
    parameters = _parameters(where, function)
    plan = _checked(where, function)
    reads = getattr(module, "READS", None) or _reads(where, plan)
    return Method(
        name=name,
        plan=plan,
        parameters=parameters,
        calls="as its plan asks",
        rounds="as its plan asks",
        bound=lambda n, k, **_: UNBOUNDED,
        source=f"{source}, sha256 {sha256[:8]}",
        summary=(inspect.getdoc(function) or "a plan of the user's own").splitlines()[0],
        reads=reads,
        sha256=sha256,
    )


def _parameters(where: str, function: Callable[..., Any]) -> dict[str, int]:
    """Its parameters after n and k, which have whole numbers as defaults."""
    named = list(inspect.signature(function).parameters.values())
    if [parameter.name for parameter in named[:2]] != ["n", "k"]:
        raise DataError(f"{where}: a plan begins with n and k, how many there are and are wanted")
    for parameter in named[2:]:
        if type(parameter.default) is not int:
            raise DataError(f"{where}: {parameter.name} needs a whole number as its default")
    return {parameter.name: parameter.default for parameter in named[2:]}


def _reads(where: str, plan: Callable[..., Plan[list[int]]]) -> str:
    """The method whose prompt fits what the plan asks first of twenty candidates."""
    try:
        tasks = next(plan(20, 10))
    except StopIteration:
        raise DataError(f"{where}: its plan asks nothing about 20 candidates") from None
    return READS[type(tasks[0])]


def _checked(where: str, function: Callable[..., Plan[Any]]) -> Callable[..., Plan[list[int]]]:
    """The plan, held to what a plan is; a fault of it is told as one of its file."""

    def plan(n: int, k: int, **parameters: int) -> Plan[list[int]]:
        plan = _carefully(where, lambda: function(n, k, **parameters))
        answers: Sequence[Any] | None = None
        tasks: list[Task]
        kind: type | None = None
        while True:
            try:
                tasks = list(next(plan) if answers is None else plan.send(answers))
            except StopIteration as end:
                ranking = list(end.value or ())
                if sorted(ranking) != list(range(n)):
                    raise DataError(
                        f"{where}: its plan returned {ranking[:5]} …; it has to return each of "
                        f"range({n}) once"
                    ) from None
                return ranking
            except Exception as error:
                raise _told(where, error) from error
            for task in tasks:
                kind = kind or type(task)
                if type(task) is not kind or kind not in READS:
                    raise DataError(
                        f"{where}: its plan asked {task!r}; a plan asks tasks of one kind: "
                        f"{', '.join(known.__name__ for known in READS)}"
                    )
                shown = task.candidates
                if len({*shown} & {*range(n)}) != len(shown) or not shown:
                    raise DataError(f"{where}: its plan asked {task!r} of {n} candidates")
            if not tasks:
                raise DataError(f"{where}: its plan yielded an empty round")
            answers = yield tasks

    return plan


def _carefully(where: str, step: Callable[[], Any]) -> Any:
    try:
        return step()
    except Exception as error:
        raise _told(where, error) from error


def _told(where: str, error: Exception) -> DataError:
    """What went wrong in someone's own code, with its line."""
    place, trace = "", error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == where:
            place = f", line {trace.tb_lineno}"
        trace = trace.tb_next
    return DataError(f"{where}{place}: {type(error).__name__}: {error}")
