"""Tournaments: candidates play in groups, the best of each group advance and are given points."""

from __future__ import annotations

import random
from dataclasses import dataclass

from e2r.ranking.method import Method
from e2r.ranking.plan import Plan, Select, together

FINALS = (10, 5, 2)
"""How many of one remaining group advance, stage by stage."""


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage: `players` in `groups`, of whom `advance` go on."""

    players: int
    groups: int
    advance: int


def stages(n: int) -> list[Stage]:
    """The stages of a tournament over n candidates.

    For n = 100 they are the published ones: 5 groups of 20 send 10 each, 5 groups of 10 send 4
    each, then one group goes from 20 to 10, 5 and 2 (Chen et al., WWW 2025, Section 3). For other
    n the first halves groups of at most 20, and groups of at most 10 send two fifths until one
    group of at most 20 is left.
    """
    found, players = [], n
    most, sent = 20, (1, 2)
    while players > 20:
        groups = -(-players // most)
        advance = players * sent[0] // sent[1]
        found.append(Stage(players, groups, advance))
        players, most, sent = advance, 10, (2, 5)
    for advance in FINALS:
        if players > advance:
            found.append(Stage(players, 1, advance))
            players = advance
    return found


def tournament(n: int, number: int) -> Plan[list[int]]:
    """Points of n candidates in one tournament: one for each stage that they came through.

    A group is every g-th of the standing. It is shown in an order of its own, drawn from a seed
    that names the tournament, so that no order of play changes it.
    """
    points = [0] * n
    for place, stage in enumerate(stages(n)):
        standing = sorted(range(n), key=lambda i: (-points[i], i))[: stage.players]
        tasks = []
        for group in range(stage.groups):
            players = standing[group :: stage.groups]
            random.Random(f"{number}/{place}/{group}").shuffle(players)  # noqa: S311
            count = (stage.advance + stage.groups - 1 - group) // stage.groups
            tasks.append(Select(tuple(players), count))
        answers = yield tasks
        for answer in answers:
            for winner in answer or ():
                points[winner] += 1
    return points


def tourrank(n: int, k: int, tournaments: int = 1) -> Plan[list[int]]:
    """Order n candidates by their points in all tournaments; ties keep the first-stage order.

    Tournaments do not depend on one another and share their rounds.
    """
    results = yield from together(tournament(n, number) for number in range(tournaments))
    total = [sum(points) for points in zip(*results, strict=True)]
    return sorted(range(n), key=lambda i: (-total[i], i))


def _bound(n: int, k: int, tournaments: int = 1) -> int:
    return tournaments * sum(stage.groups for stage in stages(n))


TOURRANK = Method(
    name="tournament.tourrank",
    plan=tourrank,
    parameters={"tournaments": 1},
    calls="13 · tournaments for n = 100",
    rounds="5 for n = 100: groups and tournaments share their rounds",
    bound=_bound,
    exact=True,
    source="Chen et al., WWW 2025 (TourRank)",
    summary="groups send their best on, stage by stage; points of all tournaments are added up",
)
