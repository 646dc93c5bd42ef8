"""BlitzRank: each order of a set adds edges to a graph of who beats whom, until the top is sure."""

from __future__ import annotations

from itertools import pairwise

from e2r.ranking.method import Method
from e2r.ranking.plan import Order, Plan


class Graph:
    """Who beats whom, closed under transitivity; those that beat one another are of one kind.

    Bit j of `below[i]` says that i beats j, of `above[i]` that j beats i, directly or through
    others.
    """

    def __init__(self, n: int) -> None:
        self.below = [0] * n
        self.above = [0] * n

    def add(self, better: int, worse: int) -> None:
        """One edge, and all that follows from it."""
        if self.below[better] >> worse & 1:
            return
        winners = self.above[better] | 1 << better
        losers = self.below[worse] | 1 << worse
        for i in range(len(self.below)):
            if winners >> i & 1:
                self.below[i] |= losers
            if losers >> i & 1:
                self.above[i] |= winners

    def kind(self, i: int) -> int:
        """The candidates that i cannot be told from, as bits, itself included."""
        return self.below[i] & self.above[i] | 1 << i

    def losses(self, i: int) -> int:
        """How many of another kind are known to beat i."""
        return (self.above[i] & ~self.kind(i)).bit_count()

    def wins(self, i: int) -> int:
        """How many of another kind i is known to beat."""
        return (self.below[i] & ~self.kind(i)).bit_count()

    def settled(self, i: int) -> bool:
        """Whether i stands in a known relation to every other."""
        return (self.above[i] | self.below[i] | 1 << i).bit_count() == len(self.below)


def blitzrank(n: int, k: int, window: int = 20) -> Plan[list[int]]:
    """Find the top k of n by a tournament graph (Agrawal et al., arXiv 2602.05448, Algorithm 1).

    A set is one member of each kind that is not settled, those with the fewest known losses
    first, and among those the least known. It ends when the k with the fewest losses are settled.
    Of any set the first and another are not yet related, so that each call settles a pair. A call
    without an answer keeps the order shown.
    """
    graph = Graph(n)
    places = range(n)
    ranking = list(places)
    shown = ranking[:window]
    while n > 1:
        [answer] = yield [Order(tuple(shown))]
        order = shown if answer is None else answer
        for better, worse in pairwise(order):
            graph.add(better, worse)
        ranking = sorted(places, key=lambda i: (graph.losses(i), graph.wins(i), i))
        if all(graph.settled(i) for i in ranking[:k]):
            break
        shown, seen = [], 0
        for i in ranking:
            if len(shown) < window and not (seen >> i & 1 or graph.settled(i)):
                shown.append(i)
                seen |= graph.kind(i)
    return ranking


def _bound(n: int, k: int, window: int = 20) -> int:
    return n * (n - 1) // 2


BLITZRANK = Method(
    name="tournament.blitzrank",
    plan=blitzrank,
    parameters={"window": 20},
    calls="6 to 7 for n = 100 and k = 10; each relates a new pair, so never more than n(n − 1)/2",
    rounds="as calls",
    bound=_bound,
    source="Agrawal et al., arXiv 2602.05448 (BlitzRank)",
    summary="orders of small sets make a graph of who beats whom, until the top is settled",
)
