"""Prompts are cut to fit: passages first, the template never; and every cut is counted."""

from __future__ import annotations

from collections.abc import Sequence

from e2r.data.collection import Candidate, CandidateList, Query
from e2r.models.answerer import Question
from e2r.models.prompted import Prompted
from e2r.prompts.reading import reading
from e2r.prompts.request import Generate, Reply, Request
from e2r.prompts.template import PromptTemplate
from e2r.ranking.plan import Choose, Order
from e2r.records.manifest import ModelRecord


class Words:
    """A model whose tokens are words, with a context of so many of them."""

    batch_size = 4
    device = "none"
    encoder_decoder = False

    def __init__(self, context: int, reply: str = " B") -> None:
        self.context = context
        self.text = reply
        self.asked: list[Request] = []

    def record(self) -> ModelRecord:
        return ModelRecord(id="w", name="w", revision=None, dtype="none", architecture=None)

    def prepare(self) -> None:
        pass

    def cut(self, text: str, most: int) -> tuple[str, int]:
        words = text.split()
        return " ".join(words[:most]), max(0, len(words) - most)

    def excess(self, request: Request) -> int:
        return sum(len(m.content.split()) for m in request.messages) - self.context

    def reply(
        self, requests: Sequence[Request], scopes: Sequence[str] | None = None
    ) -> list[Reply]:
        self.asked.extend(requests)
        return [Reply(self.text, prompt_tokens=1) for _ in requests]


TOPIC = CandidateList(
    Query("q", "what is it"),
    tuple(Candidate(f"d{i}", " ".join(f"w{i}.{j}" for j in range(30)), 1.0) for i in range(4)),
)


def prompted(model: Words, method: str, template: str) -> Prompted:
    return Prompted(
        model,
        [(PromptTemplate.load(template), reading(method))],
        query_tokens=2,
        passage_tokens=20,
    )


def test_cuts_are_counted_and_answers_are_read() -> None:
    model = Words(context=10_000)
    [answered] = prompted(model, "setwise.heapsort", "setwise").answer(
        [Question(TOPIC, Choose((3, 1)))]
    )
    assert answered.answer == 1
    assert answered.parsed
    assert answered.truncated == 1 + 2 * 10, "one word of the query, ten of each passage"
    [request] = model.asked
    assert isinstance(request, Generate)
    assert 'query "what is"' in request.messages[0].content
    assert "w3.19" in request.messages[0].content
    assert "w3.20" not in request.messages[0].content


def test_passages_shrink_until_the_prompt_fits_and_the_template_stays() -> None:
    model = Words(context=140, reply="[1]")
    answered = prompted(model, "listwise.generation", "listwise").answer(
        [Question(TOPIC, Order((0, 1, 2, 3)))]
    )
    [request] = model.asked
    assert model.excess(request) <= 0
    kept = [message.content.split() for message in request.messages[3:11:2]]
    lengths = {len(words) - 1 for words in kept}
    assert len(lengths) == 1, "every passage is cut to the same length"
    assert answered[0].truncated == 1 + 4 * (30 - lengths.pop())
    assert request.messages[-1].content.endswith("do not say any word or explain.")
    assert not answered[0].parsed


def test_a_prompt_that_cannot_fit_fails_alone_and_says_what_to_do() -> None:
    model = Words(context=121, reply="[2] > [1]")
    [failed, well] = prompted(model, "listwise.generation", "listwise").answer(
        [Question(TOPIC, Order((0, 1, 2, 3))), Question(TOPIC, Order((0, 1)))]
    )
    assert failed.error is not None
    assert "4 passages" in failed.error
    assert "--window" in failed.error
    assert (well.error, well.answer) == (None, (1, 0))
    assert len(model.asked) == 1
