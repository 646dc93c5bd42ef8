"""What the calls of one query need not compute again: equal prompt beginnings, identical calls."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from e2r.prompts.request import Reply, Request

Row = tuple[int, ...]


@dataclass(eq=False)
class Prefix:
    """A beginning that prompts share; `state` is what its model keeps of it, once computed."""

    tokens: Row
    state: Any = None


@dataclass(frozen=True, slots=True)
class Share:
    """The first `length` tokens of a row stand in `prefix`; the first row that needs it pays."""

    prefix: Prefix | None = None
    length: int = 0
    pays: bool = False

    @property
    def cached_tokens(self) -> int:
        """Tokens of the row that somebody else has paid for."""
        return 0 if self.pays else self.length


ALONE = Share()


@dataclass
class _Scope:
    replies: dict[Request, Reply] = field(default_factory=dict)
    seen: Row | None = None
    prefix: Prefix | None = None

    def forget_uncomputed(self) -> None:
        """Let go of a beginning whose computation failed, for nothing can go on from it."""
        if self.prefix is not None and self.prefix.state is None:
            self.prefix = None


class Reuse:
    """Remembers, scope by scope, replies and what the prompts of a scope begin with.

    A scope is a query: what is reused depends on its own calls alone, in the order in which its
    plan asked them, so that costs do not depend on who else is under way. The `scopes` used last
    are kept, which have to be more than are under way at once.
    """

    def __init__(self, scopes: int) -> None:
        self._most = scopes
        self._scopes: OrderedDict[str, _Scope] = OrderedDict()

    def reply(
        self,
        requests: Sequence[Request],
        scopes: Sequence[str],
        row: Callable[[Request], tuple[Row, int] | None],
        compute: Callable[[Sequence[Request], Sequence[Share]], Sequence[Reply]],
    ) -> list[Reply]:
        """Replies in order; identical calls of a scope are computed once, at their first place.

        `row(request)` gives the tokens that pass through a causal model and how many of the last
        ones have to be computed in any case, or None for a request that shares nothing. A repeated
        reply has no tokens and a batch size of 0: nothing was computed for it.
        """
        fresh: dict[tuple[str, Request], int] = {}
        for scope, request in zip(scopes, requests, strict=True):
            if request not in self._of(scope).replies:
                fresh.setdefault((scope, request), len(fresh))
        shares = self._shares([scope for scope, _ in fresh], [row(asked) for _, asked in fresh])
        try:
            computed = compute([request for _, request in fresh], shares) if fresh else []
        except Exception:
            for scope in scopes:
                self._of(scope).forget_uncomputed()
            raise
        replies = []
        for scope, request in zip(scopes, requests, strict=True):
            known = self._of(scope).replies
            if request in known:
                replies.append(known[request])
                continue
            reply = computed[fresh[scope, request]]
            if reply.error is None:
                known[request] = Reply(reply.value, batch_size=0)
            replies.append(reply)
        return replies

    def _of(self, scope: str) -> _Scope:
        found = self._scopes.setdefault(scope, _Scope())
        self._scopes.move_to_end(scope)
        if len(self._scopes) > self._most:
            self._scopes.popitem(last=False)
        return found

    def _shares(self, scopes: Sequence[str], rows: Sequence[tuple[Row, int] | None]) -> list[Share]:
        shares = [ALONE] * len(rows)
        places: dict[str, list[int]] = {}
        for place, scope in enumerate(scopes):
            if rows[place] is not None:
                places.setdefault(scope, []).append(place)
        for scope, inside in places.items():
            known = self._of(scope)
            for place, share in zip(
                inside, _scope_shares(known, [rows[place] for place in inside]), strict=True
            ):
                shares[place] = share
        return shares


def _scope_shares(known: _Scope, rows: Sequence[tuple[Row, int] | None]) -> list[Share]:
    """The shares of one scope's rows; the first time that two prompts are known, one pays."""
    asked = [row for row in rows if row is not None]
    pays = False
    if known.prefix is None:
        together = [tokens for tokens, _ in asked]
        if known.seen is not None:
            together.append(known.seen)
        elif len(together) == 1:
            known.seen = together[0]
            return [ALONE]
        common = common_length(together)
        common = min(common, *(len(tokens) - spare for tokens, spare in asked))
        if common < 1:
            return [ALONE] * len(asked)
        known.prefix, known.seen, pays = Prefix(together[0][:common]), None, True
    shares = []
    for tokens, spare in asked:
        length = min(common_length([tokens, known.prefix.tokens]), len(tokens) - spare)
        shares.append(Share(known.prefix, length, pays) if length > 0 else ALONE)
        pays = pays and length < 1
    return shares


def common_length(rows: Sequence[Row]) -> int:
    """How many first tokens all rows have in common."""
    low, high = min(rows), max(rows)
    return next(
        (place for place, (a, b) in enumerate(zip(low, high, strict=False)) if a != b),
        min(len(low), len(high)),
    )
