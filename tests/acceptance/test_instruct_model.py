"""A real instruct model of half a billion weights follows the methods that it should."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from e2r.models.network import transformers as network
from e2r.records.ledger import read_ledger
from e2r.records.spec import ExecutionSpec, ModelSpec, Spec
from e2r.runner import run
from tests.acceptance.instruct_model import NotToBeHadError, instruct_model

pytestmark = pytest.mark.slow

QUERIES, DEPTH = 2, 4
# Method, prompt and the largest share of answers that may not be readable. Scores and likelihoods
# are always read; of answers in words this model gets some wrong.
FOLLOWED = {
    "pointwise.qlm": (None, 0.0),
    "pointwise.yes_no": (None, 0.0),
    "pairwise.heapsort": ("pairwise_passage", 0.2),
    "setwise.heapsort": ("setwise_passage", 0.2),
    "setwise.heapsort.likelihood": (None, 0.0),
    "listwise.likelihood": (None, 0.0),
    "listwise.first": (None, 0.0),
    "pointwise.graded": (None, 0.0),
    "pairwise.allpair": ("pairwise_passage", 0.2),
    "pairwise.bubblesort": ("pairwise_passage", 0.2),
    "setwise.bubblesort": ("setwise_passage", 0.2),
    "setwise.insertion": ("setwise_passage", 0.2),
    "setwise.bubblesort.likelihood": (None, 0.0),
    "setwise.insertion.likelihood": (None, 0.0),
    "tournament.tourrank": (None, 0.5),
    "tournament.blitzrank": (None, 0.5),
    "tournament.jointrank": (None, 0.5),
    "tournament.acurank": (None, 0.5),
    "partition.tdpart": (None, 0.5),
}


@pytest.fixture(scope="module")
def model() -> Iterator[Path]:
    """The model's file; its weights are read once for all methods."""
    try:
        path = instruct_model()
    except NotToBeHadError as error:
        pytest.skip(f"Qwen2.5-Coder-0.5B-Instruct is not to be had: {error}")
    load, loaded = network.load, {}

    def once(spec: ModelSpec, execution: ExecutionSpec, note: Callable[[str], None]) -> Any:
        if spec.source not in loaded:
            loaded[spec.source] = load(spec, execution, note)
        return loaded[spec.source]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(network, "load", once)
        yield path


@pytest.mark.parametrize("method", FOLLOWED)
def test_answers_of_a_real_instruct_model_are_read(
    model: Path, tmp_path: Path, method: str
) -> None:
    template, most = FOLLOWED[method]
    tables: dict[str, Any] = {
        "data": {"dataset": "demo", "depth": DEPTH, "limit": QUERIES},
        "model": {"source": f"gguf:{model}"},
        "method": {"name": method, "k": 2},
        "prompt": {"passage_tokens": 32, **({"template": template} if template else {})},
        "execution": {"device": "cpu"},
    }
    folder = run(Spec.of(tables, "the test"), tmp_path)
    assert folder.manifest().status == "complete"
    ledger = read_ledger(folder.ledger_path)
    parsed = ledger["parsed"].to_pylist()
    assert parsed.count(False) <= most * len(parsed), f"{method}: {ledger['answer'].to_pylist()}"
    assert len({tuple(record.ranking) for record in folder.records()}) == QUERIES
    assert all(len(record.ranking) == DEPTH for record in folder.records())
