"""A model whose answers cannot be read is told of once, early, with what to try."""

from __future__ import annotations

from e2r.engines.engine import Replied
from e2r.engines.unread import FEWEST, Unread
from e2r.prompts.request import Reply


def replied(count: int, unread: int) -> Replied:
    return Replied((Reply("Passage A"),) * count, unread, "Passage\nA")


def test_most_of_the_first_answers_unread_is_said_once() -> None:
    unread = Unread(["setwise.heapsort"], ["setwise"])
    assert unread.hear(replied(FEWEST - 1, FEWEST - 1)) is None
    said = unread.hear(replied(1, 1))
    assert said is not None
    assert f"{FEWEST} of the first {FEWEST} answers cannot be read" in said
    assert 'as in "Passage A"' in said
    assert "--template setwise_passage, --method setwise.heapsort.likelihood" in said
    assert unread.hear(replied(9, 9)) is None


def test_half_is_not_most() -> None:
    unread = Unread(["listwise.generation"], ["listwise"])
    assert unread.hear(replied(20, 10)) is None
    said = unread.hear(replied(1, 1))
    assert said is not None
    assert "--method listwise.likelihood" in said


def test_where_there_is_nothing_else_of_the_kind_it_says_so() -> None:
    said = Unread(["pointwise.reasoning"], ["rank1"]).hear(replied(8, 8))
    assert said is not None
    assert said.endswith("Try another template or method")
