"""The exported coefficients price what the estimator prices, convention by convention."""

from __future__ import annotations

import json

import pytest

from e2r.cli import main
from e2r.errors import DataError
from e2r.flops.architecture import Architecture
from e2r.flops.catalogue import entries
from e2r.flops.coefficients import FORMAT, coefficients
from e2r.flops.conventions import CONVENTIONS
from e2r.flops.estimate import estimate
from e2r.flops.expression import Constant, Variable, from_json, maximum
from e2r.flops.hardware import accelerator, least_weight_bytes, peak_memory
from e2r.flops.work import Usage
from e2r.forecast.lengths import Lengths, call_counts
from e2r.forecast.method import FIGURES, forecast, simulate
from e2r.ranking import METHODS


def products(pairs, units, variables) -> int:
    return sum(total * units[place].evaluate(variables) for place, total in pairs)


def test_exported_products_are_the_estimates() -> None:
    models = {name: Architecture.load(name) for name in entries()}
    exported = json.loads(json.dumps(coefficients(models)))
    units = [from_json(unit) for unit in exported["units"]]
    assert len(units) < 120
    assert [model["name"] for model in exported["models"]] == list(models)
    for model in exported["models"]:
        arch = models[model["name"]]
        usage = Usage(1234, generated_tokens=7 if arch.generates else 0, head="last")
        variables = usage.variables(arch.mode, arch.generates)
        for convention in CONVENTIONS:
            try:
                wanted = estimate(arch, usage, convention).total
            except DataError:
                assert convention not in model["flops"]
                continue
            assert products(model["flops"][convention], units, variables) == wanted
        assert products(model["memory"], units, variables) == peak_memory(arch, usage)


def test_export_prints_one_model_for_the_page(capsys) -> None:
    with pytest.raises(SystemExit) as left:
        main(["estimate", "flan-t5-base", "--set", "num_layers=6", "--export"])
    assert left.value.code == 0
    exported = json.loads(capsys.readouterr().out)
    assert exported["format"] == FORMAT
    [model] = exported["models"]
    assert (model["name"], model["mode"], model["task"]) == (
        "flan-t5-base",
        "decoder",
        "generation",
    )


def test_a_methods_seconds_are_printed_for_an_accelerator(capsys) -> None:
    words = ["estimate", "Qwen2.5-7B-Instruct", "--method", "setwise.heapsort", "--json"]
    for more in ([], ["--on", "H100"]):
        with pytest.raises(SystemExit) as left:
            main([*words, *more])
        assert left.value.code == 0
    without, figures = (
        json.loads(text) for text in capsys.readouterr().out.replace("}\n{", "}\n\0{").split("\0")
    )
    assert "floor_seconds_per_query" not in without
    # One new token a call: the longer of all arithmetic and of the weights once a round.
    bound = figures["flops_per_query"] / 989.4e12
    weights = Architecture.load("Qwen2.5-7B-Instruct")
    reading = least_weight_bytes(weights)[1] - accelerator("H100").cache
    wanted = max(bound, figures["rounds_per_query"] * reading / 3.35e12)
    assert figures["floor_seconds_per_query"] == pytest.approx(wanted, rel=1e-9)
    assert figures["expected_seconds_per_query"] is None
    assert figures["memory_bytes"] > 2 * figures["parameters"]["total"]


def test_division_leaves_the_integers_and_the_rest_does_not() -> None:
    half = Variable("x") / 2
    assert half.evaluate({"x": 5}) == 2.5
    assert from_json(half.to_json()) == half
    assert maximum(half, Constant(1)).evaluate({"x": 1}) == 1
    assert half.bounds({"x": (-4, 10)})[0] == (-2, 5)
    assert FIGURES["qpp"].evaluate({"flops": 10**15}) == 1


@pytest.mark.parametrize(
    "method", sorted(set(METHODS) - {"first_stage", "pointwise.cross_encoder"})
)
def test_prompts_grow_by_the_passages_that_stand_in_them(method: str) -> None:
    made = {"listwise.embedding": "jina-reranker-v3", "listwise.fid": "t5-base"}
    arch = Architecture.load(made.get(method, "Qwen2.5-7B-Instruct"))
    short, long = (
        forecast(arch, method, depth=20, lengths=Lengths(9, passage, answer=8))
        for passage in (50, 60)
    )
    shapes, _ = simulate(method, 20, 10, (), "random")
    passages = sum(float(weight) * size for (_, size), weight in shapes.items())
    assert long.prompt_tokens - short.prompt_tokens == pytest.approx(10 * passages)


def test_a_label_is_generated_where_no_list_is() -> None:
    variables = {"query_tokens": 9, "passage_tokens": 75, "extra_tokens": 0, "passages": 20}
    counts = call_counts("causal", "generation", "setwise.heapsort", "Choose")
    assert counts["generated_tokens"].evaluate(variables) == 1
    counts = call_counts("decoder", "generation", "setwise.heapsort", "Choose")
    assert counts["generated_tokens"].evaluate(variables) == 2
    counts = call_counts("causal", "generation", "listwise.generation", "Order")
    assert counts["generated_tokens"].evaluate(variables) == 91
