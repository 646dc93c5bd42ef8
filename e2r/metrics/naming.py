"""What each of several runs is called: its method, and what tells it from its likes."""

from __future__ import annotations

from collections.abc import Sequence

from e2r.metrics.row import Row

_SAID_ELSEWHERE = ("model", "method", "depth", "revision", "candidates", "judgments")
_SHORT = 8


def methods(rows: Sequence[Row]) -> list[str]:
    """Each run's method; where model and method are another's too, with the settings that differ.

    As in `setwise.heapsort (set_size 5, reuse)`. Runs that differ in nothing that is recorded get
    the end of their folder's name.
    """
    likes: dict[tuple[str, str, str], list[int]] = {}
    for place, row in enumerate(rows):
        manifest = row.manifest
        key = manifest.dataset.id, row.label, manifest.method
        likes.setdefault(key, []).append(place)
    named = [row.manifest.method for row in rows]
    for places in likes.values():
        if len(places) == 1:
            continue
        for place, told in zip(places, _told_apart([rows[p] for p in places]), strict=True):
            named[place] += f" ({told})"
    return named


def _told_apart(rows: Sequence[Row]) -> list[str]:
    """As few settings as tell the rows apart, in the order of `_settings`."""
    facts = [_settings(row) for row in rows]
    chosen: list[str] = []
    kinds = 1
    for name in {name: None for of in facts for name in of}:
        more = len({tuple(of.get(part) for part in (*chosen, name)) for of in facts})
        if more > kinds:
            chosen, kinds = [*chosen, name], more
    told = [", ".join(_said(name, of[name]) for name in chosen if name in of) for of in facts]
    return [
        text if told.count(text) == 1 else _with_folder(text, row)
        for text, row in zip(told, rows, strict=True)
    ]


def _settings(row: Row) -> dict[str, str]:
    """What a run was asked to do, by name, as text."""
    manifest = row.manifest
    dataset = manifest.dataset
    found = {"over": dataset.first_stage, "depth": str(dataset.depth)}
    for name, value in manifest.identity.items():
        if name in _SAID_ELSEWHERE:
            continue
        if name == "parameters" and isinstance(value, dict):
            found.update({str(key): str(of) for key, of in value.items()})
        elif name == "prompts" and isinstance(value, dict):
            found["template"] = "+".join(map(str, value))
        else:
            found[name.replace("_", " ")] = str(value)
    if row.priced is not None:
        found.update({name: str(value) for name, value in row.priced.parameters.items()})
        found["price"] = row.priced.known
    found["candidates"] = str(manifest.identity.get("candidates", ""))[:_SHORT]
    found["model revision"] = str(manifest.identity.get("revision", "")).removeprefix("sha256:")[
        :_SHORT
    ]
    if row.latency_mode == "one_query_at_a_time":
        found["latency"] = str(True)
    return found


def _said(name: str, value: str) -> str:
    return name if value == str(True) else f"{name} {value}"


def _with_folder(text: str, row: Row) -> str:
    mark = row.path.name.rpartition("--")[2]
    return f"{text}, {mark}" if text else mark
