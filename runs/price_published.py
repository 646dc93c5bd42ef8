"""Prices the published rankings of ../shared/data/published into this folder.

Run it from the project's root: python runs/price_published.py. Rankings and passages stay where
they are: what is written here is derived from them. Each row says where its ranking came from.
"""

from __future__ import annotations

import csv
import re
import subprocess
import sys
from pathlib import Path

DATA = Path("../shared/data")
RANK_LLM = "https://github.com/castorini/rank_llm"
REPRODUCTION = "https://github.com/mehak126/llm-rankers/tree/main/output_files"
MODELS = {
    "flan-t5-large": "google/flan-t5-large",
    "flan-t5-xl": "google/flan-t5-xl",
    "flan-t5-xxl": "google/flan-t5-xxl",
    "Llama-2-7b-hf": "meta-llama/Llama-2-7b-hf",
    "Llama-2-13b-hf": "meta-llama/Llama-2-13b-hf",
    "Llama-3.1-8B": "meta-llama/Llama-3.1-8B",
    "Llama-3.1-8B-Instruct": "meta-llama/Llama-3.1-8B-Instruct",
    "vicuna-7b-v1.5": "lmsys/vicuna-7b-v1.5",
    "vicuna-13b-v1.5": "lmsys/vicuna-13b-v1.5",
    "rank_vicuna": "castorini/rank_vicuna_7b_v1",
}
YEARS = {"dl19": "trec-dl-2019", "dl20": "trec-dl-2020"}
STAGES = {"bm25": "BM25", "splade-pp-ed": "SPLADE++ ED"}
DOCUMENTS = "8841823"
REPLAYED = ("pointwise.yes_no", "pointwise.qlm", "pairwise.allpair")
OPENING = 3
"""Decoder tokens of llm-rankers' T5 prompts before anything new: the start and `Passage`."""


def candidates(stage: str, year: str) -> Path:
    """The first stage's requests, plain or gzipped."""
    path = DATA / YEARS[year] / f"{stage}-top100.jsonl"
    return path if path.exists() else path.with_name(f"{path.name}.gz")


def common(stage: str, year: str, depth: str) -> list[str]:
    """What was reranked, and how it is judged."""
    return [
        *("--candidates", str(candidates(stage, year)), "--depth", depth),
        *("--qrels", str(DATA / YEARS[year] / "qrels.txt"), "--name", YEARS[year]),
        *("--first-stage", STAGES[stage], "--documents", DOCUMENTS, "--licence", "Apache-2.0"),
    ]


def rank_llm() -> list[list[str]]:
    """RankVicuna and Vicuna: every call was logged."""
    found = []
    for path in sorted((DATA / "published" / "rank_vicuna").glob("*.run.gz")):
        name, stage, depth, year = re.fullmatch(
            r"(.+)\.(bm25|splade-pp-ed)\.top(\d+)\.(dl\d+)\.run\.gz", path.name
        ).groups()
        calls = path.with_name(path.name.replace(".run.gz", ".csv.gz"))
        found.append(
            [
                *(str(path), "--source", RANK_LLM, *common(stage, year, depth)),
                *("--method", "listwise.generation", "--window", "20", "--step", "10"),
                *("--model", MODELS[name], "--calls", str(calls)),
            ]
        )
    return found


def reproduction() -> list[list[str]]:
    """llm-rankers' runs: pointwise and all pairs replayed, sorts and windows of 2019 by means."""
    folder = DATA / "published" / "llm-rankers-reproduction"
    found = []
    with (folder / "means.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    # All pairs take minutes each, and come last.
    for row in sorted(rows, key=lambda row: ("allpair" in row["run"], row["run"])):
        if not row["calls"] and row["method"] not in REPLAYED:
            continue  # nothing is known of its calls
        year, method, model = row["dataset"], row["method"], row["model"]
        words = [str(folder / row["run"]), "--source", REPRODUCTION, *common("bm25", year, "100")]
        words += ["--method", method, "--model", MODELS[model], "--k", "10"]
        words += ["--fidelity", "llm-rankers", *parameters(row)]
        if method in REPLAYED:
            words += ["--tokenizer", str(DATA / "tokenizers" / "t5.json")]
            # Its texts came through ir_datasets, which mends MS MARCO's encodings.
            words += ["--mend-encodings", "--query-tokens", "32", "--passage-tokens", "128"]
            found.append(words)
        elif year == "dl19":
            found.append([*words, *means(row)])
    return found


def parameters(row: dict[str, str]) -> list[str]:
    """The method's parameters as llm-rankers was given them."""
    given = dict(re.findall(r"(\w+)=(\d+)", row["parameters"]))
    if row["method"].startswith("setwise"):
        return ["--set-size", str(int(given.get("num_child", 3)) + 1)]
    if row["method"].startswith("listwise"):
        repeats = given.get("repeats", "5")
        return ["--window", "4", "--step", "2", "--repeats", repeats]
    return []


def means(row: dict[str, str]) -> list[str]:
    """Calls, prompt tokens and new tokens a query, out of what the logs print.

    A pairwise comparison is two prompts. Completions hold the decoder's prompt for T5 and the whole
    prompt for decoder-only models; log likelihoods print none.
    """
    calls, prompt = float(row["calls"]), float(row["prompt_tokens"])
    completion = float(row["completion_tokens"])
    if row["method"].startswith("pairwise"):
        calls *= 2
    pairs = row["model"].startswith("flan-t5")
    start = 1 if row["method"] == "listwise.generation" else OPENING
    if completion == 0:
        new = 0.0
    elif pairs:
        new = max(completion - start * calls, 0.0)
    else:
        new = max(completion - prompt, 0.0)
    words = [f"calls={calls!r}", f"prompt={prompt!r}", f"generated={new!r}"]
    words += [f"decoder_prompt={start}"] if pairs else []
    return [word for text in words for word in ("--means", text)]


def main() -> None:
    """Price them all; a row that is there already is made anew."""
    wanted = [*rank_llm(), *reproduction()]
    for number, words in enumerate(wanted, start=1):
        sys.stderr.write(f"{number}/{len(wanted)} {Path(words[0]).name}\n")
        subprocess.run([sys.executable, "-m", "e2r", "price", *words, *sys.argv[1:]], check=True)


if __name__ == "__main__":
    main()
