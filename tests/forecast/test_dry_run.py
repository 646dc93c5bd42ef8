"""A dry run asks what a run asks and counts what it counts, without loading a weight."""

from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from e2r.cli import cli
from e2r.errors import MissingError, UsageError
from e2r.flops.architecture import Architecture
from e2r.flops.hardware import accelerator
from e2r.forecast.clock import Clock
from e2r.forecast.dry_run import answerer_of, counted, counter_of, depends_on_answers, dry_run
from e2r.metrics import evaluate
from e2r.models.network.transformers import TransformersModel
from e2r.money.bill import summed
from e2r.money.prices import Tariff
from e2r.money.words import price_list
from e2r.ranking import METHODS, PRICED_ONLY
from e2r.records.collection import load_collection
from e2r.records.ledger import read_ledger
from e2r.records.spec import ExecutionSpec, ModelSpec, Spec
from e2r.runner import run
from tests.small_collection import write_collection
from tests.tiny_models import save_cross_encoder, save_llama, save_t5

COUNTED = ("prompt_tokens", "cached_tokens", "decoder_prompt_tokens", "head_positions")
DECODER_ONLY = ("pointwise.reasoning", "attention.icr")


@pytest.fixture(scope="module")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_collection(tmp_path_factory.mktemp("small") / "small")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    savers = {"llama": save_llama, "t5": save_t5, "bert": save_cross_encoder}
    return {name: save(tmp_path_factory.mktemp(name)) for name, save in savers.items()}


def spec(collection: Path, method: str, model: Path | str) -> Spec:
    return Spec.of(
        {
            "data": {
                "dataset": f"beir:{collection}",
                "candidates": str(collection / "first.run"),
                "depth": 5,
                "limit": 2,
            },
            "model": {"source": str(model)},
            "method": {"name": method, "k": 3},
            "prompt": {"answer_tokens": 4},
            "execution": {"device": "cpu"},
        },
        "the test",
    )


@pytest.mark.parametrize("kind", ["llama", "t5"])
@pytest.mark.parametrize("method", sorted(set(METHODS) - PRICED_ONLY - {"first_stage"}))
def test_replaying_a_run_counts_what_it_cost(
    collection: Path,
    tmp_path: Path,
    models: dict[str, Path],
    method: str,
    kind: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Same calls, rounds and prompt tokens; generated tokens where the method fixes them."""
    if method == "pointwise.cross_encoder":
        kind = "bert"
    if kind == "t5" and method in DECODER_ONLY:
        return
    asked = spec(collection, method, models[kind])
    folder = run(asked, tmp_path)
    ledger = read_ledger(folder.ledger_path)

    def forbidden(self: Any, requests: Sequence[Any]) -> None:
        raise AssertionError("a dry run computes nothing")

    monkeypatch.setattr(TransformersModel, "reply", forbidden)
    data = load_collection(asked)
    counter, name = counter_of(asked.model, asked.execution, None)
    dry = dry_run(asked, data, counter, f"replay:{folder.path}")
    assert name == "the model's own"
    assert dry.calls == ledger.num_rows
    assert dry.rounds == sum(record.rounds for record in folder.per_query())
    for column in COUNTED:
        assert sorted(dry.counts[column].tolist()) == sorted(ledger[column].to_pylist()), column
    if "likelihood" in method or (method.startswith("pointwise") and "reasoning" not in method):
        assert dry.counts["generated_tokens"].sum() == sum(ledger["generated_tokens"].to_pylist())


def test_a_plan_a_run_and_its_evaluation_ask_the_same_money(
    collection: Path, tmp_path: Path, models: dict[str, Path]
) -> None:
    prices = price_list("in=0.15,out=0.60,cached=0.075")
    asked = spec(collection, "pointwise.yes_no", models["llama"])
    folder = run(asked, tmp_path, prices=prices)
    counter, _ = counter_of(asked.model, asked.execution, None)
    dry = dry_run(asked, load_collection(asked), counter, f"replay:{folder.path}")
    planned = dry.money(prices)
    spent = folder.manifest().prices
    [row] = evaluate(folder.path, tariff=Tariff(prices)).rows
    assert row.paid is not None
    assert spent is not None
    assert planned == summed(row.paid.per_query.values())
    assert Decimal(str(spent["spent"])) == planned.total > 0


def test_answerers_differ_in_calls_and_give_a_range(
    collection: Path, models: dict[str, Path]
) -> None:
    asked = spec(collection, "setwise.heapsort", models["llama"])
    data = load_collection(asked)
    counter, _ = counter_of(asked.model, asked.execution, None)
    calls = {
        word: dry_run(asked, data, counter, word).calls
        for word in ("oracle", "oracle:3", "first-stage", "random:1")
    }
    assert calls["first-stage"] <= calls["oracle"]
    assert len(set(calls.values())) > 1
    assert depends_on_answers(asked)
    assert not depends_on_answers(spec(collection, "pairwise.allpair", "x"))


def test_who_does_not_answer_is_refused(collection: Path) -> None:
    data = load_collection(spec(collection, "pointwise.qlm", "x"))
    for word in ("nobody", "random:x", "replay:", "oracle:x"):
        with pytest.raises(UsageError, match="give oracle"):
            answerer_of(word, data)


def test_without_a_tokenizer_words_are_counted(collection: Path) -> None:
    source = ModelSpec(source="google/flan-t5-large")
    architecture = Architecture.load("google/flan-t5-large")
    counter, name = counter_of(source, ExecutionSpec(), architecture)
    assert "words" in name
    assert counter.encoder_decoder
    assert counter.cut("one, two three", 2) == ("one,", 2)
    asked = spec(collection, "pairwise.heapsort", "google/flan-t5-large")
    dry = dry_run(asked, load_collection(asked), counter, "oracle")
    assert set(dry.counts["decoder_prompt_tokens"].tolist()) == {2}
    assert dry.flops(architecture, "ideal") > 0
    assert Clock(accelerator("H100")).time(dry.demand(architecture)).floor.total > 0
    with pytest.raises(MissingError, match="neither a tokenizer nor an architecture"):
        counter_of(ModelSpec(source="nobody/nothing"), ExecutionSpec(), None)


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


def planned(*words: str) -> Result:
    return CliRunner().invoke(cli, ["plan", *words])


def test_the_command_prints_what_the_contract_names(
    collection: Path, models: dict[str, Path]
) -> None:
    flags = [
        "--dataset",
        f"beir:{collection}",
        "--candidates",
        str(collection / "first.run"),
        "--model",
        str(models["llama"]),
        "--method",
        "setwise.heapsort",
        "--depth",
        "6",
    ]
    result = planned(*flags, "--on", "H100", "--json")
    assert result.exit_code == 0, result.output
    figures = json.loads(result.stdout)
    assert figures["answers"] == "oracle"
    for name in ("calls", "rounds", "prompt_tokens", "generated_tokens"):
        assert figures[f"{name}_per_query"] > 0
    assert figures["qpp"] == pytest.approx(1 / figures["petaflops_per_query"])
    assert set(figures["petaflops_by_convention"]) == {"ideal", "torch", "deepspeed", "paper"}
    assert figures["floor_seconds_per_query"] > 0
    assert figures["ledger_bytes"] > 0
    words = [row["answers"] for row in figures["range"]]
    assert words == ["oracle", "oracle:0", "first-stage", "random:0"]
    shown = planned(*flags)
    assert shown.exit_code == 0
    assert "over answerers" in shown.output
    with pytest.raises(UsageError, match="computes nothing"):
        CliRunner().invoke(
            cli,
            ["plan", *flags, "--model", "oracle"],
            catch_exceptions=False,
            standalone_mode=False,
        )


def test_a_cascade_and_a_fidelity_are_planned_as_they_would_run(collection: Path) -> None:
    """Five scores a query, then a sort of three; llm-rankers' bubblesort does not clamp k."""
    flags = ["--dataset", f"beir:{collection}", "--candidates", str(collection / "first.run")]
    flags += ["--model", "Qwen/Qwen2.5-7B-Instruct", "--depth", "5", "--json"]
    cascade = planned(*flags, "--method", "pointwise.qlm", "--then", "pairwise.allpair:3")
    assert cascade.exit_code == 0, cascade.output
    figures = json.loads(cascade.stdout)
    assert figures["method"] == "pointwise.qlm+pairwise.allpair"
    assert figures["calls_per_query"] == 5 + 6
    assert figures["rounds_per_query"] == 2
    assert len(figures["range"]) == 1, "both methods make their calls whatever is answered"
    calls = {}
    for fidelity in ("mended", "llm-rankers"):
        words = ["--method", "setwise.bubblesort", "--fidelity", fidelity, "--k", "9"]
        result = planned(*flags, *words, "--answers", "first-stage")
        calls[fidelity] = json.loads(result.stdout)["calls_per_query"]
    assert calls["llm-rankers"] >= 9 > calls["mended"]


def test_a_plan_of_a_spec_file_takes_no_other_words(collection: Path, tmp_path: Path) -> None:
    path = tmp_path / "spec.toml"
    path.write_text(spec(collection, "pointwise.qlm", "google/flan-t5-xl").to_toml())
    assert planned(str(path)).exit_code == 0
    with pytest.raises(UsageError, match="drop --depth"):
        CliRunner().invoke(
            cli,
            ["plan", str(path), "--depth", "3"],
            catch_exceptions=False,
            standalone_mode=False,
        )


def test_a_served_model_is_counted_by_its_tokenizer(
    collection: Path, models: dict[str, Path]
) -> None:
    """No server is asked; the counts are those of the same model run here."""
    here = spec(collection, "setwise.heapsort", models["llama"])
    served = ModelSpec(source="openai:any/name", tokenizer=str(models["llama"]))
    data = load_collection(here)
    by_name, _ = counter_of(here.model, here.execution, None)
    by_tokenizer, _ = counter_of(counted(served), here.execution, None)
    ours, theirs = (dry_run(here, data, c, "oracle").counts for c in (by_name, by_tokenizer))
    for name in COUNTED:
        assert ours[name].tolist() == theirs[name].tolist(), name
    assert counted(ModelSpec(source="openai:ORG/NAME")).source == "ORG/NAME"
    assert counted(here.model) is here.model


@pytest.mark.parametrize(
    ("model", "method", "says"),
    [
        ("cross-encoder/ms-marco-MiniLM-L2-v2", "setwise.heapsort", "wants a model that generates"),
        ("Qwen/Qwen2.5-7B-Instruct", "pointwise.cross_encoder", "wants a classifier"),
        ("google/flan-t5-xl", "attention.icr", "wants a decoder-only model"),
    ],
)
def test_a_plan_refuses_what_the_model_cannot_do(model: str, method: str, says: str) -> None:
    words = ["plan", "--dataset", "demo", "--depth", "4", "--model", model, "--method", method]
    done = CliRunner().invoke(cli, words)
    assert isinstance(done.exception, UsageError)
    assert says in str(done.exception)


def test_a_plan_refuses_a_template_that_hides_passages(tmp_path: Path) -> None:
    words = ["plan", "--dataset", "demo", "--depth", "4", "--model", "google/flan-t5-xl"]
    setwise = [*words, "--method", "setwise.heapsort", "--template", "yes_no"]
    assert "shows 1 of 3 passages" in str(CliRunner().invoke(cli, setwise).exception)
    blind = tmp_path / "blind.jinja"
    blind.write_text("Is {{ passages[0] }} any good?")
    pointwise = [*words, "--method", "pointwise.yes_no", "--template", str(blind)]
    assert "does not show the query" in str(CliRunner().invoke(cli, pointwise).exception)
