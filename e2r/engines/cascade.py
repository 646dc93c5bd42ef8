"""What a spec asks for, stage by stage: methods, parameters, prompts, and their identity."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from e2r.data.collection import Candidate, CandidateList
from e2r.errors import UsageError
from e2r.models.answerer import Answered, Question
from e2r.prompts.reading import asks, reading
from e2r.prompts.template import PromptTemplate, located
from e2r.ranking import named
from e2r.ranking.method import Method
from e2r.ranking.plan import Plan
from e2r.records.spec import Spec


@dataclass(frozen=True)
class Stage:
    """A method with complete parameters, over the top `over` candidates or all of them."""

    method: Method
    parameters: dict[str, int]
    k: int
    over: int | None = None

    def plan(self, n: int) -> Plan[list[int]]:
        """The method's plan over n candidates."""
        return self.method.plan(n, self.k, **self.parameters)


@dataclass(frozen=True)
class Reranked:
    """A query's candidates in their new order, or how it failed; `rounds` is its depth."""

    ranking: tuple[Candidate, ...]
    rounds: int
    error: str | None


Hear = Callable[[int, Question, Answered], None]
"""Is told the round, the question and the answer of every call."""


def rerank(topic: CandidateList, stages: Sequence[Stage], hear: Hear) -> Plan[Reranked]:
    """One query through all stages, its plans' tasks spelled out as questions.

    A later stage sees the top of the ranking as its candidates, in their new order. The first
    answer with an error ends the query.
    """
    ranking = list(topic.candidates)
    rounds, error = 0, None
    for number, stage in enumerate(stages):
        seen = CandidateList(topic.query, tuple(ranking[: stage.over]))
        plan = stage.plan(len(seen.candidates))
        try:
            tasks = next(plan)
            while error is None:
                questions = [Question(seen, task, number) for task in tasks]
                answered: Sequence[Answered] = yield questions
                for question, answer in zip(questions, answered, strict=True):
                    if answer.error is None:
                        hear(rounds, question, answer)
                    else:
                        error = answer.error
                rounds += 1
                if error is None:
                    tasks = plan.send([answer.answer for answer in answered])
        except StopIteration as end:
            ranking[: stage.over] = [seen.candidates[i] for i in end.value]
        if error is not None:
            break
    return Reranked(tuple(ranking), rounds, error)


def stages_of(spec: Spec) -> list[Stage]:
    """The stages of a spec, one unless it is a cascade.

    Raises UsageError for unknown methods and parameters, and for a cascade that ends in, or goes
    through, the method that asks nothing.
    """
    asked = spec.method
    first = named(asked.name, spec.home).under(asked.fidelity)
    stages = [Stage(first, first.complete(asked.parameters), asked.k)]
    for stage in asked.then:
        found = named(stage.name, spec.home).under(asked.fidelity)
        stages.append(Stage(found, found.complete(stage.parameters), stage.k, stage.over))
    if len(stages) > 1 and any(stage.method.name == "first_stage" for stage in stages):
        raise UsageError("first_stage asks nothing; leave it out of the cascade")
    for planned in stages:
        if planned.method.unrun:
            reading(planned.method.name)  # which says why
    return stages


def name_of(stages: Sequence[Stage]) -> str:
    """The name of a method, or of a cascade: its methods joined by a plus sign."""
    return "+".join(stage.method.name for stage in stages)


def parameters_of(stages: Sequence[Stage]) -> dict[str, int]:
    """All parameters by name; those of later stages are prefixed with the stage's number."""
    found = dict(stages[0].parameters)
    for number, stage in enumerate(stages[1:], start=2):
        own = {"over": stage.over or 0, "k": stage.k, **stage.parameters}
        found.update({f"{number}.{name}": value for name, value in own.items()})
    return found


def prompts_of(spec: Spec) -> dict[str, str]:
    """The templates in use by name, each with its hash."""
    asked = [(spec.method.name, spec.prompt.template)]
    asked += [(stage.name, stage.template) for stage in spec.method.then]
    templates = [
        PromptTemplate.load(chosen or reading(name, spec.method.fidelity).template, spec.home)
        for name, chosen in asked
        if asks(name)
    ]
    return {template.name: template.sha256 for template in templates}


def vouched(spec: Spec) -> Spec:
    """A spec that was accepted here, for others to carry out as if it were typed there."""

    def found(template: str | None) -> str | None:
        return None if template is None else located(template, spec.home)

    stages = tuple(
        stage.model_copy(update={"template": found(stage.template)}) for stage in spec.method.then
    )
    parts = {
        "prompt": spec.prompt.model_copy(update={"template": found(spec.prompt.template)}),
        "method": spec.method.model_copy(update={"then": stages}),
    }
    return spec.model_copy(update=parts).at(None)


def method_facts(spec: Spec, stages: Sequence[Stage]) -> dict[str, Any]:
    """What the methods add to a run's identity; later stages only where there are any."""
    facts: dict[str, Any] = {
        "method": stages[0].method.name,
        "k": spec.method.k,
        "fidelity": spec.method.fidelity,
        "parameters": stages[0].parameters,
        **_source(stages[0]),
    }
    if spec.prompt.answer_tokens is not None:
        facts["answer_tokens"] = spec.prompt.answer_tokens
    if len(stages) > 1:
        facts["then"] = [
            {
                "method": stage.method.name,
                "over": stage.over,
                "k": stage.k,
                "parameters": stage.parameters,
                "template": asked.template,
                **_source(stage),
            }
            for stage, asked in zip(stages[1:], spec.method.then, strict=True)
        ]
    return facts


def _source(stage: Stage) -> dict[str, str]:
    """The hash of a method's source, where that lies outside of this package."""
    return {} if stage.method.sha256 is None else {"source": stage.method.sha256}
