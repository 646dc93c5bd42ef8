"""The whole pipeline: what finding the candidates costs, beside reranking them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil

from e2r.errors import UsageError, unknown
from e2r.flops.architecture import Architecture
from e2r.flops.estimate import estimate
from e2r.flops.first_stage import INDEX, SEARCH, Stage
from e2r.flops.hardware import least_weight_bytes
from e2r.flops.work import Usage

SPECIAL = 2
"""Tokens that stand around a query which an encoder reads."""


@dataclass(frozen=True)
class Kind:
    """A kind of first stage beside its search (SEARCH): what reads the query, and its parameters.

    `encoder` is the usual model that makes the query's vector, None where none does; `whole` says
    that its output head is read at every position, as a sparse encoder does. `wants` are the
    parameters beside the number of documents, with their usual values; None is all documents, and
    of `overlap` no usual value.
    """

    encoder: str | None
    wants: Mapping[str, float | None]
    whole: bool = False


KINDS: Mapping[str, Kind] = {
    "bm25": Kind(None, {"posting_share": 1.0}),
    "sparse": Kind("google-bert/bert-base-uncased", {"overlap": None}, whole=True),
    "dense": Kind("BAAI/bge-base-en-v1.5", {"dimensions": 768, "visited": None}),
    "late": Kind(
        "google-bert/bert-base-uncased", {"dimensions": 128, "visited": None, "document_tokens": 80}
    ),
}
"""First stages by their word. With a posting share of 1 every document holds every term, which is
an upper bound (arXiv 2507.06223v2, Eq. 17)."""


@dataclass(frozen=True)
class FirstStage:
    """How candidates are found: a word of KINDS and its parameters, None for what is usual.

    Raises UsageError for an unknown word, for a parameter that the kind does not have or that
    cannot be, and for one that has no usual value.
    """

    kind: str
    documents: int | None = None
    encoder: str | None = None
    posting_share: float | None = None
    overlap: float | None = None
    dimensions: int | None = None
    visited: int | None = None
    document_tokens: int | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise unknown("first stage", self.kind, [*KINDS, "none"])
        kind = KINDS[self.kind]
        for name in ("posting_share", "overlap", "dimensions", "visited", "document_tokens"):
            value = getattr(self, name)
            if value is not None and name not in kind.wants:
                raise UsageError(
                    f"{_option(name)} says nothing of a first stage {self.kind}; it "
                    f"takes {', '.join(_option(wanted) for wanted in kind.wants)}"
                )
            if value is not None and not 0 <= value < float("inf"):
                raise UsageError(f"{_option(name)} is {value}; it is at least 0")
        if self.documents is None or self.documents < 1:
            raise UsageError(
                f"--first-stage {self.kind} searches --documents N, the size of the collection; "
                "give at least 1"
            )
        if self.posting_share is not None and self.posting_share > 1:
            raise UsageError(f"--posting-share is {self.posting_share}; it is at most 1")
        if self.kind == "sparse" and self.overlap is None:
            raise UsageError(
                "--first-stage sparse wants --overlap, the expected number of terms that a query "
                "and a document share"
            )
        if self.encoder is not None and kind.encoder is None:
            raise UsageError(f"a first stage {self.kind} reads the query with no --encoder")

    @property
    def values(self) -> dict[str, float]:
        """The parameters by name, with what is usual filled in."""
        documents = int(self.documents or 0)
        found: dict[str, float] = {"documents": documents}
        for name, usual in KINDS[self.kind].wants.items():
            given = getattr(self, name)
            found[name] = given if given is not None else documents if usual is None else usual
        return found

    def stages(self, query_tokens: int) -> tuple[Stage, ...]:
        """What a query of so many tokens costs: reading it, where a model does, and searching."""
        kind = KINDS[self.kind]
        if query_tokens < 1:
            raise UsageError(f"a query of {query_tokens} tokens cannot be searched for")
        known = {**self.values, "query_tokens": query_tokens}
        index = ceil(INDEX[self.kind].evaluate(known)) if self.kind in INDEX else 0
        search = Stage(f"{self.kind} search", ceil(SEARCH[self.kind].evaluate(known)), index)
        name = self.encoder or kind.encoder
        if name is None or name == "none":
            return (search,)
        arch = Architecture.load(name)
        tokens = query_tokens + SPECIAL
        usage = Usage(tokens, head_positions=tokens if kind.whole else None)
        without, with_head, _ = least_weight_bytes(arch)
        read = with_head if kind.whole else without
        return Stage(f"query encoder {name}", estimate(arch, usage).total, read), search


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"
