"""Published rankings become priced rows: exact where their calls follow, refused where not."""

from __future__ import annotations

import csv
import gzip
import json
import random
import re
import shutil
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from e2r.cli import main
from e2r.data.files.trec import read_run
from e2r.data.mended import Mended
from e2r.errors import DataError, E2RError, UsageError
from e2r.flops.architecture import Architecture
from e2r.forecast.dry_run import counter_of, dry_run
from e2r.metrics import evaluate
from e2r.metrics.pricing import Means, price_ranking
from e2r.metrics.runs.priced import rankings_in, read_priced, refuse_other_values
from e2r.prompts.template import PromptTemplate
from e2r.records.collection import load_collection
from e2r.records.priced import Priced
from e2r.records.spec import Spec
from e2r.site import build
from tests.small_collection import write_collection
from tests.tiny_models import save_t5

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "data"
RUNS = Path(__file__).resolve().parents[2] / "runs"
VICUNA = SHARED / "published" / "rank_vicuna"
FLAN = SHARED / "published" / "llm-rankers-reproduction"
needs_data = pytest.mark.skipif(not VICUNA.is_dir(), reason="../shared/data/published is not here")


def requests(stage: str, year: str) -> Path:
    path = SHARED / f"trec-dl-20{year[2:]}" / f"{stage}-top100.jsonl"
    return path if path.exists() else path.with_name(f"{path.name}.gz")


def spec(name: str, /, **tables: Any) -> Spec:
    """A spec whose model counts by a tokenizer in a file."""
    model = {"source": "google/flan-t5-large", "tokenizer": str(SHARED / "tokenizers" / "t5.json")}
    return Spec.of({"model": model, "method": {"name": name}, **tables}, "the test")


@needs_data
@pytest.mark.slow
@pytest.mark.parametrize("path", sorted(VICUNA.glob("rank_vicuna*.run.gz")), ids=lambda p: p.name)
def test_rank_vicuna_costs_what_was_logged_to_the_token(path: Path) -> None:
    """From run, candidates and tokenizer alone: every call of every query, in and out."""
    _, stage, depth, year, *_ = path.name.split(".")
    asked = spec(
        "listwise.generation",
        data={"candidates": str(requests(stage, year)), "depth": int(depth.removeprefix("top"))},
        model={
            "source": "castorini/rank_vicuna_7b_v1",
            "tokenizer": str(SHARED / "tokenizers" / "llama-2.model"),
        },
        prompt={"template": "rank_vicuna", "passage_tokens": 10**6, "query_tokens": 10**6},
    )
    architecture = Architecture.load(asked.model.source)
    counter, _ = counter_of(asked.model, asked.execution, architecture)
    found = dry_run(asked, load_collection(asked), counter, f"ranking:{path}")
    ours, logged = defaultdict(list), defaultdict(list)
    counts = (found.counts[name].tolist() for name in ("prompt_tokens", "generated_tokens"))
    for qid, *call in zip(found.qids, *counts, strict=True):
        ours[qid].append(call)
    with gzip.open(path.with_name(path.name.replace(".run.gz", ".csv.gz")), "rt") as stream:
        for row in csv.DictReader(stream):
            logged[row["qid"]].append([int(row["prompt_tokens"]), int(row["generated_tokens"])])
    assert ours == logged
    assert len(ours) in (43, 54)


@needs_data
@pytest.mark.slow
@pytest.mark.parametrize("method", ["pointwise.yes_no", "pointwise.qlm"])
def test_flan_t5s_pointwise_totals_are_the_printed_ones_with_padding(method: str) -> None:
    """llm-rankers counts batches of 32 padded to their longest, and its decoder's first tokens."""
    asked = spec(
        method,
        data={"candidates": str(requests("bm25", "dl19")), "depth": 100},
        method={"name": method, "fidelity": "llm-rankers"},
        prompt={"passage_tokens": 128, "query_tokens": 32},
    )
    architecture = Architecture.load(asked.model.source)
    counter, _ = counter_of(asked.model, asked.execution, architecture)
    run = FLAN / f"flan-t5-large.{method}.dl19.run.gz"
    collection = load_collection(asked)
    # llm-rankers reads its texts by ir_datasets, which mends their encodings.
    collection = replace(collection, topics=Mended(collection.topics))
    found = dry_run(asked, collection, counter, f"ranking:{run}")
    tokens = found.counts["prompt_tokens"].reshape(43, 100)
    padded = sum(
        tokens[:, at : at + 32].max(axis=1).sum() * min(32, 100 - at) for at in range(0, 100, 32)
    )
    with (FLAN / "means.csv").open(newline="") as stream:
        [row] = [row for row in csv.DictReader(stream) if row["run"] == run.name]
    begun = found.counts["decoder_prompt_tokens"].sum()
    assert (padded + begun) / 43 == pytest.approx(float(row["prompt_tokens"]), abs=1e-9)
    assert tokens.sum() < padded
    logged = FLAN / f"flan-t5-large.{method}.dl19.csv.gz"
    if logged.exists():
        with gzip.open(logged, "rt") as stream:
            calls = [(r["qid"], int(r["prompt_tokens"])) for r in csv.DictReader(stream)]
        ours = zip(found.qids, found.counts["prompt_tokens"].tolist(), strict=True)
        assert sorted(calls) == sorted(ours), "each of 4,300 calls"


@needs_data
@pytest.mark.slow
def test_the_committed_rows_are_what_their_rankings_give() -> None:
    """Quality by ir_measures once more, and as its publishers print it; no text and no ranking."""
    rankings = rankings_in([str(SHARED / "published")])
    judgments = {
        year: load_collection(
            spec(
                "pointwise.qlm",
                data={
                    "candidates": str(requests("bm25", f"dl{year}")),
                    "qrels": str(SHARED / f"trec-dl-20{year}" / "qrels.txt"),
                },
            )
        ).judgments
        for year in ("19", "20")
    }
    with (FLAN / "means.csv").open(newline="") as stream:
        printed = {row["run"]: row for row in csv.DictReader(stream)}
    folders = sorted(path.parent for path in RUNS.rglob("priced.json"))
    assert len(folders) >= 80
    for folder in folders:
        row = Priced.load(folder)
        refuse_other_values(row, rankings[row.origin.sha256], judgments[row.dataset.id[-2:]] or {})
        values = row.measures["nDCG@10"].values()
        if said := printed.get(row.origin.file):
            assert sum(values) / len(values) == pytest.approx(float(said["ndcg10"]), abs=6e-5)
            # A setwise set is the parent and its children.
            theirs = {
                name: int(value) for name, value in re.findall(r"(\w+)=(\d+)", said["parameters"])
            }
            ours = dict(row.parameters)
            if "set_size" in ours:
                ours["num_child"] = ours["set_size"] - 1
            assert theirs.items() <= ours.items()
        assert {path.name for path in folder.iterdir()} == {"priced.json", "calls.parquet"}


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_collection(tmp_path / "small", queries=4, candidates=12)
    save_t5(tmp_path / "t5")
    return tmp_path


def published(small: Path, method: str, **parameters: int) -> tuple[Spec, Any]:
    """A spec over the small collection, and the collection."""
    tokenizer = str(small / "t5" / "tokenizer.json")
    asked = spec(
        method,
        data={
            "dataset": f"beir:{small / 'small'}",
            "candidates": str(small / "small" / "first.run"),
            "depth": 12,
        },
        model={"source": "google/flan-t5-small", "tokenizer": tokenizer},
        method={"name": method, "k": 12, "parameters": parameters},
    )
    return asked, load_collection(asked)


def write_ranking(path: Path, rows: dict[str, list[str]]) -> Path:
    lines = [
        f"{qid} Q0 {docid} {rank} {-rank} x\n"
        for qid, docids in rows.items()
        for rank, docid in enumerate(docids, start=1)
    ]
    path.write_text("".join(lines))
    return path


def order_of(small: Path) -> dict[str, list[str]]:
    run = read_run(small / "small" / "first.run")
    return {qid: [docid for docid, _ in rows] for qid, rows in run.items()}


def test_what_a_model_ranked_is_priced_as_the_model_was(small: Path) -> None:
    """A run by a seeded answerer, forgotten but for its ranking, costs what its ledger holds."""
    asked, collection = published(small, "listwise.generation", window=4, step=2)
    architecture = Architecture.load(asked.model.source)
    counter, _ = counter_of(asked.model, asked.execution, architecture)
    made = dry_run(asked, collection, counter, "random:5")
    ranking = write_ranking(small / "theirs.run", {q: list(d) for q, d in made.rankings.items()})
    row, calls = price_ranking(asked, collection, ranking, source="https://example.org")
    assert row.known == "replayed"
    totals = defaultdict(int)
    for qid, counts, several in calls:
        totals[qid] += counts[0] * several
    theirs = defaultdict(int)
    for qid, tokens in zip(made.qids, made.counts["prompt_tokens"].tolist(), strict=True):
        theirs[qid] += tokens
    assert totals == theirs


@pytest.mark.parametrize("fault", ["shuffled", "cut", "foreign", "another query's"])
def test_a_ranking_that_the_method_cannot_have_left_is_refused(small: Path, fault: str) -> None:
    asked, collection = published(small, "listwise.generation", window=4, step=2)
    order = order_of(small)
    if fault == "shuffled":
        chance = random.Random(2)
        order = {qid: chance.sample(docids, len(docids)) for qid, docids in order.items()}
    elif fault == "cut":
        order = {qid: docids[:-1] for qid, docids in order.items()}
    elif fault == "foreign":
        order = {qid: ["nobody", *docids[:-1]] for qid, docids in order.items()}
    else:
        order.popitem()
    ranking = write_ranking(small / "theirs.run", order)
    says = {
        "shuffled": "cannot leave this order",
        "cut": "does not rank 1 of the 12 candidates",
        "foreign": "does not rank 1 of the 12",
        "another query's": "has no query",
    }
    with pytest.raises(DataError, match=says[fault]):
        price_ranking(asked, collection, ranking, source="x")


@pytest.mark.parametrize(
    ("method", "parameters", "says"),
    [
        ("setwise.bubblesort", {}, "too little of its calls"),
        ("pairwise.bubblesort", {}, "too little of its calls"),
        ("listwise.generation", {"window": 4, "step": 2, "repeats": 2}, "an earlier pass"),
        ("tournament.tourrank", {}, "too little of its calls"),
        ("pointwise.reasoning", {}, "too little of its calls"),
    ],
)
def test_methods_that_a_ranking_does_not_tell_of_are_refused(
    small: Path, method: str, parameters: dict[str, int], says: str
) -> None:
    asked, collection = published(small, method, **parameters)
    ranking = write_ranking(small / "theirs.run", order_of(small))
    with pytest.raises(UsageError, match=says):
        price_ranking(asked, collection, ranking, source="x")


WORDS = [
    *("--dataset", "beir:small", "--candidates", "small/first.run", "--depth", "12"),
    *("--model", "google/flan-t5-small", "--tokenizer", "t5/tokenizer.json"),
    *("--source", "https://example.org/theirs", "--runs", "runs"),
]


HELD = ("--rankings", ".")


def priced(small: Path, *words: str) -> Path:
    """`e2r price` on the first stage's own order; the folder that it wrote."""
    ranking = write_ranking(small / "theirs.run", order_of(small))
    with pytest.raises(SystemExit) as ended:
        main(["price", str(ranking), *WORDS, *words])
    assert ended.value.code == 0
    [found] = (small / "runs").rglob("priced.json")
    return found.parent


def test_one_command_makes_a_row_that_every_command_takes(
    small: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = priced(small, "--method", "pointwise.yes_no", "--name", "small")
    out = capsys.readouterr().out
    assert "exact: its calls were replayed from the ranking" in out
    for words in (
        ["evaluate", "runs", "--json"],
        ["frontier", "runs"],
        ["compare", str(folder), str(folder)],
        ["validate", "runs", *HELD, "--qrels", "small=beir:small"],
        [
            "leaderboard",
            "--runs",
            "runs",
            "--out",
            "board",
            "--rankings",
            ".",
            "--qrels",
            "beir:small",
        ],
    ):
        with pytest.raises(SystemExit) as ended:
            main(words)
        assert ended.value.code in (0, 2 if words[0] == "compare" else 0), words
        text = capsys.readouterr().out
        if words[0] == "evaluate":
            [row] = json.loads(text)
            assert (row["known"], row["source"]) == ("replayed", "https://example.org/theirs")
            assert row["calls_per_query"] == 12
            assert row["rounds_per_query"] is None
    [page] = (small / "board" / "runs").glob("*.html")
    text = page.read_text()
    assert "priced exactly" in text
    assert "the first stage’s order" in text
    board = json.loads((small / "board" / "board.json").read_text())
    assert "priced exactly" in json.dumps(board)


def test_means_have_intervals_of_quality_alone(small: Path) -> None:
    words = ["--method", "setwise.bubblesort", "--means", "calls=7.5", "--means", "prompt=900"]
    folder = priced(small, *words, "--means", "generated=15", "--means", "decoder_prompt=3")
    [row] = evaluate(folder, measures=["nDCG@10"]).rows
    assert row.work.calls_per_query == 7.5
    assert row.petaflops.low is None
    assert row.rpp["nDCG@10"].ratio.low is None
    assert row.measures["nDCG@10"].low is not None
    assert row.priced is not None
    assert row.priced.known == "means"


@pytest.mark.parametrize(
    ("places", "idle"),
    [
        (list(range(12)), "first stage"),
        (list(reversed(range(12))), "one order"),
        ([0, 11, 10, 9, 8, 7, 6, 5, 4, 3, 1, 2], "one order"),
        (None, None),
    ],
)
def test_a_ranking_that_follows_from_places_alone_is_told(
    small: Path, places: list[int] | None, idle: str | None
) -> None:
    """What a model that answers every call alike leaves is a row, but not one to be held up."""
    asked, collection = published(small, "pointwise.yes_no")
    chance = random.Random(3)
    rows = {
        qid: [docids[place] for place in places or chance.sample(range(12), 12)]
        for qid, docids in order_of(small).items()
    }
    ranking = write_ranking(small / "theirs.run", rows)
    row, _ = price_ranking(asked, collection, ranking, source="x")
    assert row.idle == idle


def test_printed_calls_are_held_against_the_parameters(small: Path, capsys) -> None:
    """Three passes of five windows are 15 calls: one pass is said to be unlike them."""
    means = [f"--means={word}" for word in ("calls=15", "prompt=900", "generated=15")]
    words = ["--method", "listwise.generation", "--window", "4", "--step", "2", *means]
    ranking = write_ranking(small / "theirs.run", order_of(small))
    for more, said in (
        ([], "with step 2, window 4 makes 5 a query"),
        (["--repeats", "3"], None),
        (["--method", "setwise.heapsort"], None),
    ):
        chosen = words if "--method" not in more else means
        with pytest.raises(SystemExit) as ended:
            main(["price", str(ranking), *WORDS, *chosen, *more])
        assert ended.value.code == 0
        err = capsys.readouterr().err
        assert (said in err) if said else ("makes" not in err)


def test_means_make_no_row_of_a_foreign_ranking(small: Path) -> None:
    asked, collection = published(small, "setwise.bubblesort")
    rows = {qid: ["nobody", *docids[:-1]] for qid, docids in order_of(small).items()}
    ranking = write_ranking(small / "theirs.run", rows)
    means = Means.parse(["calls=7", "prompt=900", "generated=15"])
    with pytest.raises(DataError, match="nobody, which is no candidate"):
        price_ranking(asked, collection, ranking, source="x", means=means)


@pytest.mark.parametrize("word", ["calls=0", "calls=x", "calls", "token=3", "prompt=-1"])
def test_means_that_are_none_are_refused(small: Path, word: str) -> None:
    ranking = write_ranking(small / "theirs.run", order_of(small))
    words = ["--means", "prompt=1", "--means", "generated=1", "--means", word]
    with pytest.raises(SystemExit) as ended:
        main(["price", str(ranking), *WORDS, "--method", "setwise.bubblesort", *words])
    assert ended.value.code == 2


def test_a_forged_row_is_refused_or_unverified(small: Path) -> None:
    """Quality of 0.95, another model, dearer or cheaper calls, a foreign file: none passes."""
    whole = priced(small, "--method", "pointwise.yes_no", "--name", "small")
    rankings, qrels = [str(small)], "small=beir:small"

    def verdict(folder: Path) -> int:
        with pytest.raises(SystemExit) as ended:
            main(["validate", str(folder), "--rankings", ".", "--qrels", qrels])
        return int(str(ended.value.code))

    assert verdict(whole) == 0
    forgeries: dict[str, Any] = {
        "measures": lambda facts: facts["measures"]["nDCG@10"].update(
            dict.fromkeys(facts["measures"]["nDCG@10"], 0.95)
        ),
        "model": lambda facts: facts.update(model="meta-llama/Llama-3.1-70B-Instruct"),
        "method": lambda facts: facts.update(method="pointwise.qlm"),
        "origin": lambda facts: facts["origin"].update(sha256="0" * 64),
        "queries": lambda facts: facts["qids"].pop(),
        "hash": lambda facts: facts["files"].update({"calls.parquet": "0" * 64}),
        "word": lambda facts: facts.update(rank=1),
    }
    for name, forge in forgeries.items():
        folder = small / "forged" / name / whole.name
        shutil.copytree(whole, folder)
        path = folder / "priced.json"
        facts = json.loads(path.read_text())
        forge(facts)
        path.write_text(json.dumps(facts))
        assert verdict(folder) == 3, name
    extra = small / "forged" / "extra" / whole.name
    shutil.copytree(whole, extra)
    (extra / "notes.sh").write_text("echo")
    assert verdict(extra) == 3
    row = read_priced(small / "forged" / "measures" / whole.name)
    assert row.priced is not None
    said: list[str] = []
    build(small / "runs", small / "open", qrels=[qrels], paper=False, note=said.append)
    assert any("its ranking is not at hand" in text for text in said)
    assert '"unverified": true' in (small / "open" / "board.json").read_text()
    build(small / "runs", small / "held", qrels=[qrels], rankings=rankings, paper=False)
    assert '"unverified": true' not in (small / "held" / "board.json").read_text()


def test_a_plan_by_a_ranking_says_how_it_knows(
    small: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ranking = write_ranking(small / "theirs.run", order_of(small))
    words = ["plan", *WORDS[:10], "--answers", f"ranking:{ranking}", "--json"]
    words[words.index("--tokenizer") + 1] = "t5/tokenizer.json"
    for method, known in (("pointwise.qlm", "exact"), ("setwise.heapsort", "estimate")):
        with pytest.raises(SystemExit) as ended:
            main([*words, "--method", method])
        assert ended.value.code == 0
        assert json.loads(capsys.readouterr().out)["known"] == known
    with pytest.raises(SystemExit) as ended:
        main([*words, "--method", "setwise.bubblesort"])
    assert ended.value.code == 2


def test_rank_vicunas_prompt_is_its_authors(tmp_path: Path) -> None:
    """One user turn in Vicuna's conversation; 300 words a passage, no identifiers in them, mended
    encodings."""
    passage = "a [12]  b â€œcâ€\x9d " + " ".join("w" for _ in range(400))
    filled = PromptTemplate.load("rank_vicuna").fill("why", [passage, "two"], encoder_decoder=False)
    [message] = filled.messages
    assert message.role == "text"
    head, _, rest = message.content.partition("USER: ")
    assert head.startswith("A chat between a curious user and an artificial intelligence")
    assert rest.startswith(
        "I will provide you with 2 passages, each indicated by a numerical identifier []. Rank "
        'the passages based on their relevance to the search query: why.\n\n[1] a (12) b "c" w w'
    )
    assert rest.endswith(
        "Only respond with the ranking results, do not say any word or explain.  ASSISTANT:"
    )
    first = rest.partition("\n[1] ")[2].partition("\n[2] two")[0]
    assert len(first.split()) == 300
    zephyr = PromptTemplate.load("rank_zephyr").fill("why", ["one"], encoder_decoder=False)
    assert zephyr.messages[0].content.startswith("<|system|>\nYou are RankLLM")
    assert zephyr.messages[0].content.endswith("or explain. </s>\n<|assistant|>\n")


@pytest.mark.parametrize("name", ["tokens.txt", "broken.json", "broken.model", "missing.json"])
def test_a_file_that_is_no_tokenizer_is_refused(tmp_path: Path, name: str) -> None:
    from e2r.models.network.tokenizer_file import load_tokenizer

    if name != "missing.json":
        (tmp_path / name).write_text("{}")
    with pytest.raises((E2RError, FileNotFoundError)):
        load_tokenizer(tmp_path / name)
