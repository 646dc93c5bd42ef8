"""Runs made elsewhere: a ranking, its calls or both become a row; what is unknown stays so."""

from __future__ import annotations

import json
import random
from decimal import Decimal
from pathlib import Path

import pytest

from e2r.cli import main
from e2r.data.files.trec import read_run
from e2r.errors import DataError, E2RError, MissingError, UsageError
from e2r.flops import measured
from e2r.flops.architecture import Architecture
from e2r.flops.conventions import CONVENTIONS
from e2r.flops.estimate import estimate
from e2r.flops.work import Usage
from e2r.metrics import evaluate
from e2r.metrics.comparison import compare
from e2r.metrics.effectiveness import parse_measures, score
from e2r.metrics.runs.foreign import Foreign, read_foreign
from e2r.money.words import tariff

MODEL = "Qwen/Qwen2.5-7B-Instruct"
SMALL = "google/flan-t5-large"
HEADER = "qid,prompt_tokens,generated_tokens,model\n"


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path, Path]:
    qrels, ranking, usage = (tmp_path / name for name in ("q.txt", "theirs.run", "calls.csv"))
    qrels.write_text("q1 0 a 1\nq2 0 b 1\n")
    ranking.write_text("q1 Q0 a 1 2 x\nq1 Q0 b 2 1 x\nq2 Q0 a 1 2 x\nq2 Q0 b 2 1 x\n")
    usage.write_text(f"{HEADER}q1,100,1,{MODEL}\nq2,200,3,{MODEL}\nq2,50,0,{MODEL}\n")
    return qrels, ranking, usage


def flops_of(model: str, prompt: int, generated: int) -> int:
    return estimate(Architecture.load(model), Usage(prompt, generated)).flops


def test_a_foreign_run_is_scored_and_priced(files) -> None:
    qrels, ranking, usage = files
    [row] = evaluate([], "RR", qrels=str(qrels), foreign=[Foreign(ranking, usage)]).rows
    flops = sum(flops_of(MODEL, n, o) for n, o in [(100, 1), (200, 3), (50, 0)])
    assert row.petaflops.value == pytest.approx(flops / 2 / 1e15)
    assert row.measures["RR"].value == 0.75
    assert (row.manifest.method, row.manifest.dataset.id) == ("theirs", "q")
    assert "rounds" not in row.standing.frontiers
    told = row.to_json()
    for unknown in ("rounds_per_query", "seconds_per_query", "parse_failures", "padding"):
        assert told[unknown] is None


def test_each_call_is_priced_by_its_own_model(files) -> None:
    qrels, ranking, usage = files
    usage.write_text(
        f"{HEADER}q1,100,2,{SMALL}\nq1,300,1,{MODEL}\nq2,80,2,{SMALL}\nq2,200,3,{MODEL}\n"
    )
    [row] = evaluate([], "RR", qrels=str(qrels), foreign=[Foreign(ranking, usage)]).rows
    assert dict(row.cost.per_query) == {
        "q1": flops_of(SMALL, 100, 2) + flops_of(MODEL, 300, 1),
        "q2": flops_of(SMALL, 80, 2) + flops_of(MODEL, 200, 3),
    }
    assert sum(op.flops for op in row.cost.operations) == sum(row.cost.per_query.values())
    assert row.manifest.model.name == f"{SMALL} + {MODEL}"


def test_seconds_are_taken_from_the_file_and_never_held_against_an_unknown_machine(files) -> None:
    qrels, ranking, usage = files
    usage.write_text(
        "qid,prompt_tokens,generated_tokens,model,seconds\n"
        f"q1,100,1,{MODEL},0.5\nq1,100,1,{MODEL},1\n"
    )
    runs = [Foreign(ranking, usage), Foreign(ranking, usage)]
    for row in evaluate([], "RR", qrels=str(qrels), foreign=runs).rows:
        assert row.work.seconds_per_query == 1.5 / 2
        assert row.to_json()["achieved_flops_per_second"] == pytest.approx(
            2 * flops_of(MODEL, 100, 1) / 1.5
        )
        assert set(row.standing.frontiers) == {"petaflops"}


def test_a_closed_model_has_quality_tokens_and_no_price(files) -> None:
    qrels, ranking, usage = files
    usage.write_text(f"{HEADER}q1,100,1,closed:gpt-4\nq2,200,3,{MODEL}\n")
    [row] = evaluate([], "RR", qrels=str(qrels), foreign=[Foreign(ranking, usage)]).rows
    assert row.measures["RR"].value == 0.75
    assert row.work.prompt_tokens_per_query == 150
    assert row.petaflops.value is row.qpp.value is row.rpp["RR"].ratio.value is None
    assert "the architecture of gpt-4 is not public, so that 1 of 2 calls" in row.notes[0]


def test_a_misspelt_model_is_not_taken_for_a_closed_one(files) -> None:
    _, _, usage = files
    for name in ("Qwen2.5-7B-Instuct", "flan-t5-lage", "gone/config.json"):
        usage.write_text(f"{HEADER}q1,100,1,{name}\n")
        with pytest.raises(MissingError, match=name):
            evaluate([usage])


@pytest.mark.parametrize(
    ("header", "model", "said"),
    [(HEADER, ",gpt-4", "gpt-4 is not known here"), (HEADER[:-7] + "\n", "", "no call names")],
)
def test_token_counts_alone_reach_quality_and_money_but_no_flops(
    files, header: str, model: str, said: str
) -> None:
    qrels, ranking, usage = files
    usage.write_text(f"{header}q1,1000,10{model}\nq2,3000,30{model}\n")
    run = [Foreign(ranking, usage)]
    [row] = evaluate(
        [], "RR", qrels=str(qrels), foreign=run, tariff=tariff(["in=0.15,out=0.60"])
    ).rows
    assert row.measures["RR"].value == 0.75
    assert row.work.calls_per_query == 1
    assert row.petaflops.value is None
    assert row.paid is not None
    assert row.paid.exact.total == Decimal("0.312")
    assert said in row.notes[0]


def test_a_third_partys_real_run_has_quality_and_says_that_its_cost_is_unknown(
    shared_data, capsys
) -> None:
    folder = shared_data / "trec-dl-2019"
    ranking = folder / "rankgpt-gpt-3.5-turbo.run"
    words = ["evaluate", str(ranking), "--qrels", f"{folder}/qrels.txt", "--name", "dl19"]
    with pytest.raises(SystemExit) as left:
        main([*words, "--json"])
    assert left.value.code == 0
    [row] = json.loads(capsys.readouterr().out)
    assert round(row["measures"]["nDCG@10"]["value"], 4) == 0.6799
    assert (row["dataset"], row["method"]) == ("dl19", "rankgpt-gpt-3.5-turbo")
    assert (row["calls_per_query"], row["petaflops_per_query"]) == (None, None)
    assert row["rpp"]["nDCG@10"]["value"] is None
    assert row["notes"] == ["its calls are not known, so that it has no price"]
    with pytest.raises(SystemExit):
        main(words)
    assert "it has no price" in capsys.readouterr().err


def test_a_third_partys_real_run_with_its_calls(shared_data, tmp_path) -> None:
    folder = shared_data / "trec-dl-2019"
    ranking, usage = folder / "rankgpt-gpt-3.5-turbo.run", tmp_path / "calls.csv"
    usage.write_text(HEADER + "".join(f"{qid},4000,100,{MODEL}\n" for qid in read_run(ranking)))
    foreign = [Foreign(ranking, usage)]
    [row] = evaluate([], qrels=f"{folder}/qrels.txt", foreign=foreign, dataset="dl19").rows
    assert (row.manifest.dataset.id, len(row.qids), row.work.calls_per_query) == ("dl19", 43, 1)
    quality = row.measures["nDCG@10"].value
    petaflops = flops_of(MODEL, 4000, 100) / 1e15
    assert row.rpp["nDCG@10"].ratio.value == pytest.approx(quality / petaflops)


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_the_authors_profiled_calls_become_rows_under_every_convention(
    shared_data, convention
) -> None:
    folder = shared_data / "paper" / "measured"
    paths = sorted(folder.glob("*.dl19.setwise-heapsort-c3.csv.gz"))
    rows = evaluate(paths, convention=convention).rows
    assert len(rows) == 4
    for path, row in zip(paths, rows, strict=True):
        calls = measured.read(path)
        told = row.to_json()
        assert told["model"] == calls.model
        assert told["queries"] == 43
        assert told["calls_per_query"] == pytest.approx(len(calls.flops) / 43)
        assert told["prompt_tokens_per_query"] == pytest.approx(calls.prompt.sum() / 43)
        assert told["measures"]["nDCG@10"]["value"] is None
        priced = estimate(calls.architecture, calls.usage, convention).total
        assert told["petaflops_per_query"] == pytest.approx(priced / 43 / 1e15)
        assert told["qpp"]["value"] == pytest.approx(43e15 / priced)
        assert told["seconds_per_query"] == pytest.approx(calls.seconds.sum() / 43)
        assert told["achieved_flops_per_second"] == pytest.approx(priced / calls.seconds.sum())
        if convention == "deepspeed":
            assert sum(row.cost.per_query.values()) == int(calls.flops.sum())


def test_calls_of_queries_that_are_not_ranked_are_refused(files) -> None:
    qrels, ranking, usage = files
    usage.write_text(f"{HEADER}q7,100,1,{MODEL}\n")
    with pytest.raises(DataError, match="query q7 is not in"):
        evaluate([], qrels=str(qrels), foreign=[Foreign(ranking, usage)])


def test_judgments_have_to_be_named(files) -> None:
    with pytest.raises(UsageError, match="--qrels"):
        evaluate([], foreign=[Foreign(files[1], files[2])])
    with pytest.raises(UsageError, match="--qrels"):
        evaluate(files[1])


def test_calls_alone_cannot_be_compared_in_quality(files) -> None:
    with pytest.raises(DataError, match="no ranking"):
        compare([files[2], files[2]])


def test_five_hundred_rankings_with_ties_score_as_trec_eval_scores_them(tmp_path: Path) -> None:
    """Scores that are equal, equal as 32-bit floats alone, or beyond them; lines in any order."""
    import ir_measures

    measures = parse_measures("nDCG@10 nDCG@3 AP RR P@5 R@5 Bpref")
    chance, path = random.Random(3), tmp_path / "theirs.run"
    apart = 0
    for _ in range(500):
        scores = [1.0, 1 + 1e-9, -2.0, 12.3456789, 12.34567891, 1e39, 2e39, chance.random()]
        docids = chance.sample([f"d{n}" for n in range(40)] + ["é", "ﬀ", "😀", "D1"], 15)
        lines = [
            f"q{q} Q0 {docid} {rank} {chance.choice(scores)!r} x\n"
            for q in range(2)
            for rank, docid in enumerate(chance.sample(docids, 12), start=1)
        ]
        path.write_text("".join(lines))
        judgments = {
            f"q{q}": {docid: chance.randint(-1, 3) for docid in chance.sample(docids, 8)}
            for q in range(2)
        }
        run = read_foreign(Foreign(path, None))
        apart += bool(run.listed)
        ours = score(measures, run.ranking, judgments, ["q0", "q1"]).values
        theirs = ir_measures.iter_calc(
            list(measures.values()), judgments, list(ir_measures.read_trec_run(str(path)))
        )
        for metric in theirs:
            assert ours[str(metric.measure)][metric.query_id] == metric.value, lines
    assert apart > 400


def test_what_the_order_of_the_file_would_give_is_said(tmp_path: Path) -> None:
    (tmp_path / "q.txt").write_text("7 0 b 1\n")
    (tmp_path / "theirs.run").write_text("7 Q0 b 1 1.0 r\n7 Q0 c 2 1.0 r\n")
    said: list[str] = []
    [row] = evaluate(
        tmp_path / "theirs.run", "nDCG@10 P@2", qrels=str(tmp_path / "q.txt"), note=said.append
    ).rows
    assert row.measures["nDCG@10"].value == pytest.approx(0.63093, abs=1e-5)
    [note] = [note for note in row.notes if "equal scores" in note]
    assert "the file's own order would give nDCG@10 1.0000 instead of 0.6309" in note
    assert "P@2" not in note
    assert any(note in words for words in said)


@pytest.mark.parametrize("grade", [-1, -2, -3, -9])
def test_a_query_whose_judgments_are_all_spam_scores_0(tmp_path: Path, grade: int) -> None:
    """-2 and less end the evaluation library's process where a query has nothing above."""
    (tmp_path / "q.txt").write_text(f"q0 0 a 1\nq1 0 c {grade}\n")
    lines = "q0 Q0 a 1 3 x\nq0 Q0 b 2 2 x\nq1 Q0 c 1 3 x\nq1 Q0 d 2 2 x\n"
    (tmp_path / "theirs.run").write_text(lines)
    words = "nDCG@10 AP RR P@5 Bpref Judged@10 RBP(rel=1)"
    [row] = evaluate(tmp_path / "theirs.run", words, qrels=str(tmp_path / "q.txt")).rows
    for name, values in row.scores.values.items():
        assert values["q1"] == (0.5 if name == "Judged@10" else 0), name
        assert values["q0"] > 0


def test_the_models_of_a_strangers_calls_lead_to_no_file_elsewhere(tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (tmp_path / "config.json").write_text('{"model_type": "secret"}')
    calls = theirs / "calls.csv"
    for model in (str(tmp_path / "config.json"), "/etc/hostname", f"{theirs}/../config.json"):
        calls.write_text(f"qid,prompt_tokens,generated_tokens,model\n1,5,1,{model}\n")
        with pytest.raises(DataError, match="leads out") as refused:
            evaluate(calls)
        assert "secret" not in str(refused.value)
    for model in ("x" * 250, "a/b/c"):
        calls.write_text(f"qid,prompt_tokens,generated_tokens,model\n1,5,1,{model}\n")
        with pytest.raises(E2RError):
            evaluate(calls)
    calls.write_text('qid,prompt_tokens,generated_tokens,model\n1,5,1,Qwen/Qwen2.5-"7B\n')
    assert evaluate(calls).rows[0].petaflops.value is None
