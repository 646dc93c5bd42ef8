"""Answerers for plans without a model: perfect, contradictory, and watched."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

from e2r.ranking.plan import (
    Attend,
    Calibrate,
    Choose,
    Duel,
    Order,
    Prefer,
    Rate,
    Score,
    Select,
    Task,
)

Answer = Callable[[Sequence[Task]], list[Any]]


def by_relevance(relevance: Sequence[float]) -> Answer:
    """A perfect answerer for candidates of distinct relevance."""

    def one(task: Task) -> Any:
        match task:
            case Score(candidate=i):
                return relevance[i]
            case Prefer(candidate=i, over=j):
                return relevance[i] > relevance[j]
            case Duel(candidate=i, over=j):
                return 1.0 if relevance[i] > relevance[j] else 0.0
            case Choose(candidates=several):
                return max(several, key=lambda i: relevance[i], default=None)
            case Order(candidates=several):
                return tuple(sorted(several, key=lambda i: -relevance[i]))
            case Select(candidates=several, count=count):
                return tuple(sorted(several, key=lambda i: -relevance[i])[:count])
            case Rate(candidates=several):
                return tuple(relevance[i] for i in several)
            case Attend(candidates=several):
                return tuple((relevance[i], 0.0) for i in several)
            case Calibrate(candidates=several):
                return tuple((0.0, 0.0) for _ in several)

    return lambda tasks: [one(task) for task in tasks]


def wild(seed: int, missing: float = 0.3) -> Answer:
    """Contradictory, random and missing answers."""
    generator = random.Random(seed)

    def one(task: Task) -> Any:
        if generator.random() < missing:
            return None
        match task:
            case Score() | Duel():
                return generator.choice([0.0, 1.0, generator.random()])
            case Prefer():
                return generator.random() < 0.5
            case Choose(candidates=several):
                return generator.choice(several) if several else None
            case Order(candidates=several):
                return tuple(generator.sample(several, len(several)))
            case Select(candidates=several, count=count):
                return tuple(generator.sample(several, generator.randint(1, count)))
            case Rate(candidates=several):
                return tuple(generator.choice([0.0, 1.0, generator.random()]) for _ in several)
            case Attend(candidates=several) | Calibrate(candidates=several):
                return tuple((generator.random(), generator.random()) for _ in several)

    return lambda tasks: [one(task) for task in tasks]


def shuffled(n: int, seed: int = 5) -> list[float]:
    """Distinct relevances of n candidates, in an order drawn from a seed."""
    relevance = [float(i) for i in range(n)]
    random.Random(seed).shuffle(relevance)
    return relevance


class Watched:
    """Answers as another does, and keeps each round that was asked."""

    def __init__(self, answer: Answer) -> None:
        self.rounds: list[list[Task]] = []
        self._answer = answer

    def __call__(self, tasks: Sequence[Task]) -> list[Any]:
        self.rounds.append(list(tasks))
        return self._answer(tasks)

    @property
    def sets(self) -> list[list[tuple[int, ...]]]:
        """The candidates of each task of each round."""
        return [[task.candidates for task in tasks] for tasks in self.rounds]
