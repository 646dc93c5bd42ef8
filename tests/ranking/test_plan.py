"""Driving plans, alone and together."""

from __future__ import annotations

from e2r.ranking.plan import Plan, Score, drive, together


def counting(rounds: int, width: int, base: int = 0) -> Plan[list[int]]:
    """A plan that asks `rounds` rounds of `width` tasks and returns the answers."""
    heard: list[int] = []
    for number in range(rounds):
        tasks = [Score(base + number * width + i) for i in range(width)]
        heard.extend((yield tasks))
    return heard


def echo(tasks: list[Score]) -> list[int]:
    return [task.candidate for task in tasks]


def test_drive_counts_rounds_and_tasks() -> None:
    driven = drive(counting(3, 4), echo)
    assert (driven.rounds, driven.tasks, driven.result) == (3, 12, list(range(12)))


def test_together_merges_rounds_and_keeps_results_in_order() -> None:
    plans = [counting(rounds, 2, base=100 * rounds) for rounds in (3, 1, 0, 2)]
    driven = drive(together(plans), echo)
    assert driven.rounds == 3
    assert driven.tasks == 12
    alone = [drive(counting(r, 2, base=100 * r), echo).result for r in (3, 1, 0, 2)]
    assert driven.result == alone


def test_together_begins_only_as_many_plans_as_fill_a_round() -> None:
    begun: list[int] = []
    widths: list[int] = []

    def plan(number: int) -> Plan[None]:
        begun.append(number)
        for _ in range(2):
            yield [Score(number)]

    def answer(tasks: list[Score]) -> list[int]:
        widths.append(len(tasks))
        return [0] * len(tasks)

    merged = together((plan(number) for number in range(5)), at_least=2)
    next(merged)
    assert begun == [0, 1]
    merged.send([0, 0])
    assert begun == [0, 1], "the first two are still under way"
    drive(together((plan(number) for number in range(5)), at_least=2), answer)
    assert widths == [2, 2, 2, 2, 1, 1]


def test_together_of_nothing_ends_at_once() -> None:
    assert drive(together([]), echo).result == []
    assert drive(together([counting(0, 1)], at_least=4), echo).rounds == 0
