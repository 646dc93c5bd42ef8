"""A run's page says what was asked, how to repeat it, what it cost and where it came from."""

from __future__ import annotations

import re

import pytest

from e2r.metrics import evaluate
from e2r.records.manifest import ServerRecord, VerifiedCall
from tests.site.reading import Tags, build


@pytest.fixture
def page(make_run, tmp_path):
    """The text of a run's page, spaces made one, from a manifest with everything in it."""
    folder = make_run(command=("e2r", "run", "--method", "a b"), notes=("one note",))
    manifest = folder.manifest()
    server = ServerRecord(
        base_url="http://127.0.0.1:1",
        reported={"owner": "somebody"},
        software="vllm",
        answer_start="prefix",
        counted_by="its own tokenizer",
        logprobs=5,
        prompt_form="chat",
        notes=["said so"],
    )
    call = VerifiedCall(
        request="Labels",
        prompt_tokens=10,
        decoder_prompt_tokens=0,
        generated_tokens=1,
        head_positions=1,
        counted=123456,
        estimated=123456,
    )
    model = manifest.model.model_copy(update={"server": server, "revision": "main"})
    changes = {"model": model, "verification": [call], "earlier": [manifest.session()]}
    folder.write_manifest(manifest.model_copy(update=changes))
    out = build(tmp_path / "runs", tmp_path / "leaderboard").parent
    [path] = (out / "runs").glob("*.html")
    return path


def test_everything_that_is_known_of_a_run_is_on_its_page(page) -> None:
    text = re.sub(r"\s+", " ", Tags(page.read_text()).text)
    for said in (
        "--method setwise.heapsort --k 10",
        "e2r run runs/small/tiny-llama/setwise.heapsort--0123abcd/spec.toml",
        "Template setwise.",
        'name = "setwise.heapsort"',
        "revision main",
        "http://127.0.0.1:1, vllm; owner somebody",
        "Verified calls",
        "123456",
        "Earlier sessions",
        "one note",
        "c" * 64,
        "d" * 64,
        "0" * 40,
        "torch 2",
        "Cost by operation",
        "Padding, share of positions",
    ):
        assert said in text, said


def test_the_costs_on_the_page_are_those_of_evaluate(page, tmp_path) -> None:
    [row] = evaluate(tmp_path / "runs").rows
    tags = Tags(page.read_text())
    text = re.sub(r"\s+", " ", tags.text)
    for operation in row.cost.operations:
        assert operation.name in text
    assert sum(operation.flops for operation in row.cost.operations) == sum(
        row.cost.per_query.values()
    )
    for record in row.records:
        assert f" {record.qid}" in text
    links = [attributes["href"] for tag, attributes in tags.tags if tag == "a"]
    held = [path.name for path in row.path.iterdir() if path.suffix]
    for name in held:
        target = next(link for link in links if link.endswith(f"/{name}"))
        assert (page.parent / target).is_file(), target
