"""What a run used: time, processor, memory and, where the machine counts it, energy."""

from __future__ import annotations

import json
import os
import resource
from time import perf_counter
from typing import Any

from e2r.errors import MissingError
from e2r.records.manifest import Resources

PARTS = ("cpu", "gpu", "ram")
WANTED = (
    "VERSION_MEASURE",
    "OS_NAME",
    "CPU_USED_PROCESS_PERCENT",
    "RAM_USED_PROCESS_KB",
    "GPU_MODEL_NAME",
    *(f"{part.upper()}_ENERGY_SYSTEM_JOULES" for part in PARTS),
)
"""What the tracker is asked for: nothing of the git repository or the packages."""


class Meter:
    """Measures from its making until `stop`; with `energy` by tirex-tracker.

    Joules are the machine's counters (RAPL, NVML), whoever used them; where it has none they are
    None and never guessed. Times are those of this process and of children that have ended, which
    the tracker leaves out. Raises MissingError where energy is asked for and the tracker is not
    installed.
    """

    def __init__(self, *, energy: bool) -> None:
        self._tracker: Any = _started() if energy else None
        self._began, self._times = perf_counter(), _times()

    def stop(self, queries: int) -> Resources:
        """What was used while so many queries finished."""
        wall = perf_counter() - self._began
        user, system = (
            max(0.0, after - before) for after, before in zip(_times(), self._times, strict=True)
        )
        told = {} if self._tracker is None else _told(self._tracker.stop())
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        name, _, release = os.uname()[:3]
        return Resources(
            queries=queries,
            wall_seconds=wall,
            user_seconds=user,
            system_seconds=system,
            peak_memory=max(peak, 1000 * int(_most(told.get("RAM_USED_PROCESS_KB")))),
            cores=len(os.sched_getaffinity(0)),
            operating_system=str(told.get("OS_NAME") or f"{name} {release}"),
            gpu=told.get("GPU_MODEL_NAME") or None,
            cpu_percent=_mean(told.get("CPU_USED_PROCESS_PERCENT")),
            tracker=None
            if self._tracker is None
            else f"tirex-tracker {told.get('VERSION_MEASURE', '')}".strip(),
            **{
                f"{part}_joules": _joules(told.get(f"{part.upper()}_ENERGY_SYSTEM_JOULES"))
                for part in PARTS
            },
        )


def _started() -> Any:
    try:
        import tirex_tracker
    except ImportError as error:
        raise MissingError(
            f"--energy needs {error.name}; run: pip install 'e2r[energy]'"
        ) from error
    measures = [tirex_tracker.Measure[name] for name in WANTED]
    return tirex_tracker.start_tracking(measures)


def _told(results: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for measure, entry in results.items():
        value = entry.value
        text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
        try:
            found[measure.name] = json.loads(text)
        except ValueError:
            found[measure.name] = text
    return found


def _times() -> tuple[float, float]:
    own, ended = (
        resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    return own.ru_utime + ended.ru_utime, own.ru_stime + ended.ru_stime


def _joules(value: Any) -> float | None:
    """A counter's joules; a series has its own sum or total, and what says nothing is None."""
    return float(value) if isinstance(value, int | float) and value > 0 else None


def _most(value: Any) -> float:
    return float(value["max"]) if isinstance(value, dict) else 0.0


def _mean(value: Any) -> float | None:
    return float(value["avg"]) if isinstance(value, dict) else None
