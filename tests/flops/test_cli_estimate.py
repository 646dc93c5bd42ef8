"""The commands estimate, reproduce and budget: keys, figures, exit codes, nothing half-written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from e2r.cli import main
from e2r.flops.architecture import Architecture
from e2r.flops.estimate import estimate
from e2r.flops.work import Usage

MODEL = "Qwen/Qwen2.5-7B-Instruct"


def run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as left:
        main([str(word) for word in words])
    out, err = capsys.readouterr()
    return int(left.value.code or 0), out, err


def figures(capsys: pytest.CaptureFixture[str], *words: object) -> dict[str, Any]:
    code, out, err = run(capsys, *words, "--json")
    assert (code, err) == (0, "")
    found: dict[str, Any] = json.loads(out)
    return found


def test_estimate_has_the_promised_keys(capsys: pytest.CaptureFixture[str]) -> None:
    found = figures(capsys, "estimate", MODEL, "--prompt-tokens", 400, "--calls", 100)
    expected = estimate(Architecture.load(MODEL), Usage(400))
    assert found["flops_per_call"] == expected.flops
    assert found["flops_per_query"] == 100 * expected.flops
    assert found["petaflops_per_query"] == 100 * expected.flops / 10**15
    assert found["qpp"] == pytest.approx(1 / found["petaflops_per_query"])
    assert found["parameters"] == {"total": 7_615_616_512, "active": expected.parameters.active}
    assert sum(op["flops"] for op in found["operations"]) == found["flops_per_call"]
    assert {"part", "name", "flops"} == set(found["operations"][0])
    assert "softmax" in found["not_counted"]
    assert found["bytes_per_call"] == expected.bytes
    assert (found["model"], found["convention"]) == (MODEL, "ideal")


def test_estimate_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "estimate", "flan-t5-base", "--prompt-tokens", 100)
    assert code == 0
    assert "PetaFLOPs" in out
    assert "not counted" in out


def test_estimate_of_a_method(capsys: pytest.CaptureFixture[str]) -> None:
    words = ("estimate", MODEL, "--method", "setwise.heapsort", "--depth", 100, "--k", 10)
    found = figures(capsys, *words, "--set-size", 4, "--passage-tokens", 80)
    assert 70 <= found["calls_per_query"] <= 110
    assert found["rounds_per_query"] < found["calls_per_query"]
    assert found["answers"] == "random"
    assert found["prompt_tokens_per_query"] > 80 * 4 * 70
    assert found["petaflops_per_query"] == found["flops_per_query"] / 10**15
    assert sum(op["flops"] for op in found["operations"]) == found["flops_per_call"]
    assert found["flops_per_call"] == pytest.approx(
        found["flops_per_query"] / found["calls_per_query"]
    )
    assert found["bytes_per_call"] > 10**10
    assert "softmax" in found["not_counted"]
    assert run(capsys, *words)[0] == 0


def test_what_if(capsys: pytest.CaptureFixture[str]) -> None:
    words = ("estimate", MODEL, "--prompt-tokens", 100)
    whole = figures(capsys, *words)["flops_per_call"]
    shorter = figures(capsys, *words, "--set", "num_hidden_layers=14")["flops_per_call"]
    left = figures(capsys, *words, "--exit-after", 14)["flops_per_call"]
    adapted = figures(capsys, *words, "--lora-rank", 8)["flops_per_call"]
    assert left == shorter < whole < adapted


def test_usage_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, out = tmp_path / "calls.csv", tmp_path / "priced.csv"
    source.write_text("qid,prompt_tokens,generated_tokens,cached_tokens\na,100,1,0\nb,200,3,50\n")
    code, printed, err = run(capsys, "estimate", MODEL, "--usage", source, "--out", out)
    assert (code, printed) == (0, "")
    assert "2 calls" in err
    arch = Architecture.load(MODEL)
    costs = [
        estimate(arch, usage).flops for usage in (Usage(100, 1), Usage(200, 3, cached_tokens=50))
    ]
    assert out.read_text().splitlines() == [
        "qid,prompt_tokens,generated_tokens,cached_tokens,flops",
        f"a,100,1,0,{costs[0]}",
        f"b,200,3,50,{costs[1]}",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("prompt_tokens\n5\n", "generated_tokens"),
        ("prompt_tokens,generated_tokens\n", "no calls"),
        ("prompt_tokens,generated_tokens\n5,1\n5\n", "calls.csv:3"),
        ("prompt_tokens,generated_tokens\n5,1\nfive,1\n", "calls.csv:3"),
        ("prompt_tokens,generated_tokens\n5,-1\n", "-1"),
        ("prompt_tokens,generated_tokens\n99999999999999999999,1\n", "lies between"),
    ],
)
def test_bad_usage_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, message: str
) -> None:
    source, out = tmp_path / "calls.csv", tmp_path / "priced.csv"
    source.write_text(text)
    code, printed, err = run(capsys, "estimate", MODEL, "--usage", source, "--out", out)
    assert (code, printed) == (3, "")
    assert message in err
    assert list(tmp_path.iterdir()) == [source]


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ((MODEL, "--prompt-tokens", -5), 3, "prompt_tokens is -5"),
        ((MODEL, "--prompt-tokens", 5, "--cached-tokens", 6), 3, "cached_tokens"),
        ((MODEL, "--prompt-tokens", 5, "--convention", "troch"), 2, "troch"),
        ((MODEL,), 2, "--prompt-tokens"),
        ((MODEL, "--prompt-tokens", 5, "--calls", 0), 2, "--calls"),
        ((MODEL, "--usage", "calls.csv"), 2, "--out"),
        ((MODEL, "--usage", "none.csv", "--out", "x.csv"), 4, r"none.csv"),
        (("no/such-model.json", "--prompt-tokens", 5), 4, "no/such-model.json"),
        ((MODEL, "--prompt-tokens", 5, "--set", "layers"), 2, "FIELD=VALUE"),
        ((MODEL, "--prompt-tokens", 5, "--set", "hidden_size=7"), 3, "num_attention_heads"),
        ((MODEL, "--prompt-tokens", 5, "--exit-after", 99), 3, "99"),
        ((MODEL, "--method", "setwise.heapsrt"), 2, "setwise.heapsort"),
    ],
)
def test_bad_words(
    capsys: pytest.CaptureFixture[str], words: tuple[object, ...], code: int, message: str
) -> None:
    got, out, err = run(capsys, "estimate", *words)
    assert (got, out) == (code, "")
    assert message in err
    assert "Traceback" not in err


def test_unknown_model_type(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "config.json"
    path.write_text('{"model_type": "rwkv7"}')
    code, out, err = run(capsys, "estimate", path, "--prompt-tokens", 5)
    assert (code, out) == (3, "")
    assert "known:" in err


def test_beyond_the_context(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "estimate", "bge-reranker-base", "--prompt-tokens", 600, "--json")
    assert code == 0
    assert json.loads(out)["flops_per_call"] > 0
    assert "600" in err
    assert "512" in err


def test_reproduce(shared_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paper = figures(capsys, "reproduce", "paper", "--data", shared_data)
    assert (paper["rows"], paper["reproduced"]) == (106, 106)
    assert paper["worst"] < 0.0045
    profile = figures(capsys, "reproduce", "profile", "--data", shared_data)
    assert profile["calls"] == profile["exact"] == 292_788
    assert len(profile["files"]) == 20
    assert run(capsys, "reproduce", "paper", "--data", shared_data)[0] == 0


def test_reproduce_without_data(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for what in ("paper", "profile"):
        code, out, err = run(capsys, "reproduce", what, "--data", tmp_path)
        assert (code, out) == (4, "")
        assert "--data" in err


def test_budget(capsys: pytest.CaptureFixture[str]) -> None:
    words = ("budget", "--petaflops", 0.01, "--models", "flan-t5-base,flan-t5-xxl")
    found = figures(capsys, *words, "--methods", "setwise.heapsort,pointwise.yes_no")
    assert 0 < found["fitting"] < found["weighed"]
    assert found["options"][0]["model"] == "flan-t5-base"
    code, out, _ = run(capsys, "budget", "--milliseconds", 50, "--on", "L4", "--most", 3)
    assert code == 0
    assert len(out.splitlines()) == 4
    assert run(capsys, "budget")[0] == 2
    assert run(capsys, "budget", "--petaflops", 1, "--depths", "ten")[0] == 2


def test_a_sweep_prints_active_against_total_parameters(
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ["Qwen/Qwen3-30B-A3B", "--prompt-tokens", 400, "--sweep", "num_experts_per_tok=1,8"]
    few, many = figures(capsys, "estimate", *words)
    assert few["total"] == many["total"]
    assert few["active"] < many["active"]
    assert few["flops_per_query"] < many["flops_per_query"]
    for wrong, said in (
        ([*words[:-1], "num_experts_per_tok"], "NAME=V,V"),
        ([MODEL, "--prompt-tokens", 5, "--keep-tokens", "1/2"], "--compress-after"),
        ([MODEL, "--prompt-tokens", 5, "--skip-layers", "x"], "whole number"),
    ):
        with pytest.raises(SystemExit) as left:
            main(["estimate", *map(str, wrong)])
        assert left.value.code == 2
        assert said in capsys.readouterr().err


def test_a_usage_file_goes_to_stdout_with_its_total_on_stderr(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("u.csv").write_text("prompt_tokens,generated_tokens\n100,1\n200,1\n")
    with pytest.raises(SystemExit) as ended:
        main(["estimate", "Qwen/Qwen3-8B", "--usage", "u.csv", "--out", "-"])
    assert ended.value.code == 0
    out, err = capfd.readouterr()
    rows = [line.split(",") for line in out.splitlines()]
    assert rows[0][-1] == "flops"
    assert f"{sum(int(row[-1]) for row in rows[1:]):,} FLOPs" in err
    assert not Path("-").exists()


def test_several_methods_are_priced_one_after_another(capsys: pytest.CaptureFixture[str]) -> None:
    names = ["pointwise.yes_no", "setwise.heapsort"]
    for words, code in (([], 0), (["--json"], 2)):
        with pytest.raises(SystemExit) as ended:
            main(["estimate", "Qwen/Qwen3-8B", "--method", ",".join(names), *words])
        assert ended.value.code == code
        out = capsys.readouterr().out
        assert all((f"{name} on Qwen/Qwen3-8B" in out) == (code == 0) for name in names)


def test_a_first_stage_is_priced_by_its_own_words(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["estimate", "Qwen/Qwen3-8B", "--method", "first_stage"])
    assert ended.value.code == 2
    assert "--first-stage bm25" in capsys.readouterr().err
