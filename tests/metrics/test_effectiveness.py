"""Effectiveness: equal to trec_eval, over every judged query of the run and no other."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from subprocess import CalledProcessError

import pytest
import pytrec_eval

from e2r.data.files.qrels import read_qrels
from e2r.data.files.trec import read_run
from e2r.errors import DataError, UsageError
from e2r.metrics import effectiveness
from e2r.metrics.effectiveness import parse_measures, score

QRELS = {"q1": {"a": 3, "b": 0, "c": 1}, "q2": {"b": 2}, "q9": {"a": 1}}
RUN = {"q1": [("c", 3.0), ("a", 2.0)], "q2": [("a", 1.0)], "q7": [("a", 1.0)]}


def test_words_become_measures_and_parentheses_hold_together() -> None:
    names = list(parse_measures("nDCG@10, RR(rel=2)@10 P(rel=1, judged_only=True)@5\tAP"))
    assert names[:2] == ["nDCG@10", "RR(rel=2)@10"]
    assert len(names) == 4
    assert list(parse_measures(["nDCG@10", "AP R@5"])) == ["nDCG@10", "AP", "R@5"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("nDGC@10", "did you mean"),
        ("ndcg@10", "nDCG"),
        ("xyzzy", "unknown measure"),
        ("", "no measure"),
        ("P", "cannot be computed"),
        ("nDCG(", "cannot be computed"),
        ("nDCG(colour=3)@10", "no parameter"),
    ],
)
def test_a_measure_that_cannot_be_computed_is_wrong_usage(words: str, told: str) -> None:
    with pytest.raises(UsageError, match=told.replace("(", r"\(")):
        parse_measures(words)


def test_missing_queries_score_zero_and_unjudged_ones_do_not_count() -> None:
    scores = score(parse_measures("nDCG@10 RR"), RUN, QRELS, ["q7", "q1", "q2", "q9"])
    assert list(scores.values["RR"]) == ["q1", "q2", "q9"]
    assert scores.values["RR"] == {"q1": 1.0, "q2": 0.0, "q9": 0.0}
    assert scores.missing == ("q9",)
    assert scores.unjudged == ("q7",)


def test_a_run_that_ranks_nothing_scores_zero() -> None:
    scores = score(parse_measures("nDCG@10"), {}, QRELS, ["q1"])
    assert scores.values["nDCG@10"] == {"q1": 0.0}


def test_a_grade_that_no_judgment_reaches_is_refused() -> None:
    with pytest.raises(DataError, match=r"RR\(rel=2\)@10 counts grades from 2 up.*highest.*1"):
        score(parse_measures("RR(rel=2)@10"), RUN, {"q1": {"a": 1}}, ["q1"])
    # The grade is one of the collection's, though not of this query's: 0 is the truth.
    graded = {"q1": {"a": 1}, "q2": {"a": 2}}
    scores = score(parse_measures("RR(rel=2)@10"), RUN, graded, ["q1"])
    assert scores.values["RR(rel=2)@10"] == {"q1": 0.0}
    scores = score(parse_measures("RR(rel=2)@10"), RUN, {"q1": {"a": 0}}, ["q1"])
    assert scores.values["RR(rel=2)@10"] == {"q1": 0.0}


@pytest.mark.parametrize("measure", ["SDCG(max_rel=3)@10", "ERR@10", "NERR10(max_rel=3,p=0.9)"])
def test_a_graded_measure_on_binary_judgments_is_refused(measure: str) -> None:
    with pytest.raises(DataError, match="these judgments are binary; ask for"):
        score(parse_measures(measure), RUN, {"q1": {"a": 1, "c": 0}}, ["q1"])
    assert score(parse_measures("nDCG@10"), RUN, {"q1": {"a": 1}}, ["q1"]).values["nDCG@10"]


@pytest.mark.parametrize(
    ("measure", "told"),
    [("P", "write P@10"), ("RBP", r"write RBP\(rel=1\)"), ("judged@5", "Judged")],
)
def test_a_message_says_how_to_write_a_measure(measure: str, told: str) -> None:
    with pytest.raises(UsageError, match=told) as caught:
        parse_measures(measure)
    assert "<object" not in str(caught.value)


def test_rank_biased_precision_and_judged_by_hand() -> None:
    scores = score(parse_measures("RBP(rel=1) Judged@2"), RUN, QRELS, ["q1", "q2"])
    # Relevant at ranks 1 and 2 of q1, nowhere in q2: (1 − p) Σ p^(rank − 1) with p = 0.8.
    assert scores.values["RBP(rel=1)"] == pytest.approx({"q1": 0.2 * (1 + 0.8), "q2": 0})
    assert scores.values["Judged@2"] == pytest.approx({"q1": 1.0, "q2": 0.0})


def test_judgments_of_other_queries_are_refused() -> None:
    with pytest.raises(DataError, match="none of the run's queries has a judgment"):
        score(parse_measures("nDCG@10"), RUN, QRELS, ["x"])


@pytest.mark.parametrize(
    ("run", "wanted"), [("bm25.run", 0.5058), ("rankgpt-gpt-3.5-turbo.run", 0.6799)]
)
def test_real_runs_score_as_pytrec_eval_scores_them(
    shared_data: Path, run: str, wanted: float
) -> None:
    folder = shared_data / "trec-dl-2019"
    judgments, ranking = read_qrels(folder / "qrels.txt"), read_run(folder / run)
    pairs = {
        "nDCG@10": "ndcg_cut_10",
        "AP": "map",
        "RR": "recip_rank",
        "P@5": "P_5",
        "R@100": "recall_100",
    }
    scores = score(parse_measures(list(pairs)), ranking, judgments, list(judgments))
    asked = {"ndcg_cut.10", "map", "recip_rank", "P.5", "recall.100"}
    evaluator = pytrec_eval.RelevanceEvaluator(judgments, asked)
    direct = evaluator.evaluate({qid: dict(row) for qid, row in ranking.items()})
    assert len(direct) == 43
    for qid, found in direct.items():
        for ours, theirs in pairs.items():
            assert scores.values[ours][qid] == pytest.approx(found[theirs], abs=1e-12)
    values = scores.values["nDCG@10"].values()
    assert round(sum(values) / len(values), 4) == wanted


def test_shares_of_the_queries_give_the_values_of_all_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    generator = random.Random(3)
    docids = [f"d{number}" for number in range(8)]
    judgments = {
        f"q{n}": {docid: generator.randint(-2, 3) for docid in docids[:5]} for n in range(11)
    }
    ranking = {
        qid: [(docid, float(-place)) for place, docid in enumerate(generator.sample(docids, 6))]
        for qid in judgments
        if qid not in ("q0", "q7")
    }
    measures = parse_measures("nDCG@5 RR AP(rel=2) P@3 Judged@4 RBP(rel=1)")
    whole = score(measures, ranking, judgments, list(judgments))
    monkeypatch.setattr(effectiveness, "QUERIES_AT_ONCE", 2)
    assert score(measures, ranking, judgments, list(judgments)) == whole
    assert whole.missing == ("q0", "q7")


def test_a_program_that_fails_is_told_without_its_command_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fails(*_: object) -> Iterator[object]:
        raise CalledProcessError(25, ["perl", "/home/someone/gdeval.pl"])

    monkeypatch.setattr("ir_measures.iter_calc", fails)
    with pytest.raises(DataError, match=r"ended with status 25$"):
        score(parse_measures("ERR@10"), RUN, QRELS, ["q1"])
