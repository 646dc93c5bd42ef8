"""What a metered program's user wants to see at its end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from e2r.meter.pricing import PETA, Total, total
from e2r.meter.sheet import MISSING, PROCESS, Sheet
from e2r.meter.sheet import UNSEEN as UNSEEN_NOTE
from e2r.meter.unseen import OFTEN_IDLE, UNSEEN


@dataclass(frozen=True)
class Report:
    """Totals, and what is in no row. `queries` is how many the program answered, or None."""

    out: str
    total: Total
    queries: int | None
    processes: int
    missing: Sequence[tuple[str, int]]
    unsure: Sequence[tuple[str, int]]
    unseen: Sequence[str]

    def lines(self) -> list[str]:
        """The report as text, one finding a line."""
        made = self.total
        lines = [f"e2r meter: {made.calls} calls in {self.out}; FLOPs by {made.convention}"]
        for model in made.models:
            cost = "no price" if model.flops is None else f"{model.flops / PETA:.4g} PFLOPs"
            lines.append(
                f"  {model.name}: {model.calls} calls, {model.prompt_tokens} prompt and "
                f"{model.generated_tokens} generated tokens, {model.padded_tokens} positions of "
                f"padding, {cost}"
            )
        if made.petaflops is not None and made.calls:
            each = ""
            if self.queries:
                each = (
                    f", {made.petaflops / self.queries:.4g} and {made.calls / self.queries:.4g} "
                    f"calls a query of {self.queries}"
                )
            least = "at least " if self.missing else ""
            lines.append(f"  in all: {least}{made.petaflops:.4g} PFLOPs{each}")
        if made.calls and made.unattributed:
            lines.append(
                f"  {made.unattributed} of {made.calls} calls name no query; means over queries "
                "are exact all the same, once a ranking says how many queries there are"
            )
        for head, notes in (("in no row", self.missing), ("unsure", self.unsure)):
            lines += [
                f"  {head}: {text}{f' ({count} times)' if count > 1 else ''}"
                for text, count in notes
            ]
        lines += [f"  loaded, and what it computes is in no row: {name}" for name in self.unseen]
        return lines

    def why_nothing(self) -> str:
        """Why there may be no call."""
        if not self.processes:
            return (
                "no Python process began the meter: the program is none, or it was started with "
                "-I, -E or -S, which leave out the environment"
            )
        if self.missing:
            return "; ".join(text for text, _ in self.missing)
        if self.unseen:
            return f"the program loaded what cannot be watched: {', '.join(self.unseen)}"
        return "the program ran no model of transformers or vLLM and asked no server by httpx"

    def to_json(self) -> dict[str, Any]:
        """The report's figures; `petaflops` is null where a call has no price."""
        made = self.total
        per_query = None
        if self.queries and made.petaflops is not None:
            per_query = made.petaflops / self.queries
        return {
            "convention": made.convention,
            "calls": made.calls,
            "unattributed": made.unattributed,
            "queries": self.queries,
            "petaflops": made.petaflops,
            "petaflops_per_query": per_query,
            "models": [
                {
                    "name": model.name,
                    "calls": model.calls,
                    "prompt_tokens": model.prompt_tokens,
                    "generated_tokens": model.generated_tokens,
                    "padded_tokens": model.padded_tokens,
                    "flops": model.flops,
                }
                for model in made.models
            ],
            "missing": [{"what": text, "times": count} for text, count in self.missing],
            "unsure": [{"what": text, "times": count} for text, count in self.unsure],
            "unseen": list(self.unseen),
            "processes": self.processes,
        }


def report(sheet: Sheet, convention: str, queries: int | None) -> Report:
    """What a sheet holds once its program has ended."""
    made = total(sheet, convention)
    missing: Counter[str] = Counter()
    unsure: Counter[str] = Counter()
    unseen: dict[str, None] = {}
    processes = 0
    for kind, text, count in sheet.notes():
        if kind == PROCESS:
            processes += 1
        elif kind == UNSEEN_NOTE:
            unseen[text] = None
        elif kind == MISSING:
            missing[text] += count
        else:
            unsure[text] += count
    if made.calls:
        for name in OFTEN_IDLE:
            unseen.pop(UNSEEN[name], None)
    return Report(
        str(sheet.out),
        made,
        queries,
        processes,
        list(missing.items()),
        list(unsure.items()),
        list(unseen),
    )
